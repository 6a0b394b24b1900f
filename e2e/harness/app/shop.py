"""In: calls over HTTP, and the clock. Out: tasks that write down when and where each of their attempts ran."""

from __future__ import annotations

import asyncio
import os
import time
from itertools import cycle, islice
from typing import Any
from uuid import UUID

import asyncpg
from litestar import Litestar, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery

from litestar_queues import QueuePlugin, QueueService, TaskExecutionContext, task

POD = os.environ.get("HOSTNAME", "")
RELEASE = int(os.environ.get("SHOP_RELEASE", "1"))
_pools: list[asyncpg.Pool] = []


async def write(statement: str, *arguments: object) -> None:
    """Write into the ledger, which is no part of the queue."""
    if not _pools:
        url = os.environ["LITESTAR_QUEUES_QUEUE_BACKEND"]
        _pools.append(asyncpg.create_pool(url, min_size=0, max_size=2))
    pool = await _pools[0]
    await pool.execute(statement, *arguments)


async def begin(context: TaskExecutionContext) -> None:
    """Note that an attempt has begun."""
    await write(
        "insert into run (record, attempt, pod, release) values ($1, $2, $3, $4)",
        *(context.task_id, context.attempt, POD, RELEASE),
    )


async def runs(context: TaskExecutionContext) -> int:
    """Count how often the record was begun: a lost lease spends no attempt."""
    pool = await _pools[0]
    return int(await pool.fetchval("select count(*) from run where record = $1", context.task_id))


async def end(context: TaskExecutionContext) -> None:
    """Note that the run that was begun last has ended well."""
    await write(
        "update run set ended_at = clock_timestamp() where record = $1"
        " and begun_at = (select max(begun_at) from run where record = $1)",
        context.task_id,
    )


@task(retries=3)
async def fast(seconds: float, context: TaskExecutionContext) -> None:
    """Do what most tasks do: one write."""
    await begin(context)
    await end(context)


@task(retries=3)
async def slow(seconds: float, context: TaskExecutionContext) -> None:
    """Take as long as the caller says."""
    await begin(context)
    await asyncio.sleep(seconds)
    await end(context)


@task(retries=0)
async def failing(seconds: float) -> None:
    """Fail."""
    message = "this task always fails"
    raise RuntimeError(message)


@task(retries=3)
async def wedge(seconds: float, context: TaskExecutionContext) -> None:
    """Stop the event loop of the first worker that runs it."""
    await begin(context)
    if await runs(context) == 1:
        time.sleep(seconds)  # noqa: ASYNC251 - this is the fault
    await end(context)


@task("tick", interval=2)
async def tick(context: TaskExecutionContext) -> None:
    """Run every two seconds, once in the whole fleet."""
    await begin(context)
    await end(context)


@task("minute", cron="* * * * *")
async def minute(context: TaskExecutionContext) -> None:
    """Run each minute, once in the whole fleet."""
    await begin(context)
    await end(context)


@task("scheduler.heartbeat", interval=20)
async def heartbeat() -> None:
    """Show that the fleet is alive."""


TASKS = {"fast": [fast], "slow": [slow], "failing": [failing], "wedge": [wedge], "mixed": [fast]}
"""What is enqueued under a name, in turns."""
if RELEASE > 1:

    @task(retries=3)
    async def newfast(seconds: float, context: TaskExecutionContext) -> None:
        """Do the same under a name that workers of the first release do not know."""
        await begin(context)
        await end(context)

    TASKS["mixed"] = [newfast, *[fast] * 9]


@post("/enqueue/{name:str}")
async def enqueue(
    name: FromPath[str],
    queue_service: NamedDependency[QueueService],
    count: FromQuery[int] = 1,
    seconds: FromQuery[float] = 0.0,
) -> list[UUID]:
    """Enqueue so many calls of a task."""
    turns = islice(cycle(TASKS[name]), count)
    return [(await queue_service.enqueue(one, seconds)).id for one in turns]


@get("/tasks/{task_id:uuid}")
async def show(task_id: FromPath[UUID], queue_service: NamedDependency[QueueService]) -> dict[str, Any]:
    """Tell how a task is doing."""
    record = await queue_service.get_task(task_id)
    if record is None:
        raise NotFoundException("there is no such task")
    return {"status": record.status, "attempt": record.attempt, "error": record.error}


app = Litestar(route_handlers=[enqueue, show], plugins=[QueuePlugin()])
