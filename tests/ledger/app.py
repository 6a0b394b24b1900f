"""In: the environment. Out: the app whose worker the scenarios run; each run notes its start and its end.

A worker is ``litestar queues run`` with ``LITESTAR_APP=tests.ledger.app:app``, as on any user's machine.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock

from litestar import Litestar

from litestar_queues import QueuePlugin, TaskExecutionContext, task
from tests.ledger.sidelog import SideLog

FOLDER = Path(os.environ.get("LEDGER_FOLDER", "."))
"""Where side logs lie, and the files by which a scenario steers its tasks."""


_one_at_a_time = Lock()


def log() -> SideLog:
    """The side log of this worker, made by its first run; runs in threads may begin together."""
    with _one_at_a_time:
        return _log()


@cache
def _log() -> SideLog:
    return SideLog(FOLDER, "worker")


@contextmanager
def noted(context: TaskExecutionContext) -> Iterator[None]:
    """Note one run under its claim token."""
    run = {"id": context.task_id, "token": context._claim.token, "attempt": context.attempt}
    log().write("start", **run)
    how = "returned"
    try:
        yield
    except BaseException as error:
        how = type(error).__name__
        raise
    finally:
        log().write("end", how=how, **run)


@task("ledger.quick", retries=1)
async def quick(n: int, context: TaskExecutionContext) -> int:
    """Return at once."""
    with noted(context):
        return n


@task("ledger.naps")
async def naps(n: int, context: TaskExecutionContext) -> int:
    """Await something for a moment."""
    with noted(context):
        await asyncio.sleep(0.01 + n % 5 / 100)
        return n


@task("ledger.thread")
def thread(n: int, context: TaskExecutionContext) -> int:
    """Block a thread for a moment."""
    with noted(context):
        time.sleep(0.02)
        return n


@task("ledger.long")
async def long(n: int, context: TaskExecutionContext) -> int:
    """Run so long that a fault finds it at work."""
    with noted(context):
        await asyncio.sleep(1.5)
        return n


@task("ledger.fails", retries=2, retry_backoff=0.1)
async def fails(n: int, context: TaskExecutionContext) -> None:
    """Fail each time."""
    with noted(context):
        raise ValueError(n)


@task("ledger.recovers", retries=3, retry_backoff=0.1)
async def recovers(n: int, context: TaskExecutionContext) -> int:
    """Fail at first."""
    with noted(context):
        if context.attempt == 1:
            raise ConnectionError(n)
        return n


@task("ledger.late", timeout=0.1)
async def late(n: int, context: TaskExecutionContext) -> None:
    """Run into the timeout."""
    with noted(context):
        await asyncio.sleep(60 + n)


@task("ledger.endless")
async def endless(n: int, context: TaskExecutionContext) -> None:
    """Run until somebody cancels it."""
    with noted(context):
        await asyncio.sleep(600 + n)


@task("ledger.blocks")
async def blocks(seconds: float, context: TaskExecutionContext) -> None:
    """Block the event loop of the first worker that runs it."""
    with noted(context):
        if first("blocked"):
            time.sleep(seconds)  # noqa: ASYNC251 - the fault


@task("ledger.hog")
def hog(mebibytes: int, context: TaskExecutionContext) -> None:
    """Take more memory than the first worker that runs it may have."""
    with noted(context):
        if first("hogged"):
            taken = [b"x" * 2**20 for _ in range(mebibytes)]
            time.sleep(5)
            del taken


@task("ledger.tick", interval=1)
async def tick(context: TaskExecutionContext) -> None:
    """Run each second."""
    with noted(context):
        await asyncio.sleep(0)


def first(name: str) -> bool:
    """Whether nobody has asked for this name before, in any process."""
    try:
        os.close(os.open(FOLDER / name, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


app = Litestar(plugins=[QueuePlugin()])
