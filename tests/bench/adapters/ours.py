"""In: the environment of a queue benchmark harness. Out: this library on PostgreSQL, as that harness' adapter.

The harness names the database by ``BENCH_DSN`` and gives a module ``probe`` whose ``hit`` counts a task's first line.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from typing import Any

import probe  # type: ignore[import-not-found]

GROUP = "postgres"
DISTRIBUTIONS = ("litestar-queues", "asyncpg", "uvloop")
SETTINGS = "defaults, but worker_max_concurrency=1000 for no-op drains, 100 else"
CLEAR = ["TRUNCATE lq_live, lq_done, lq_count"]
REMAINING = "SELECT count(*) FROM lq_live"
HISTORY = [
    """INSERT INTO lq_done (id, task, queue, status, rank, due_at, created_at, attempt, max_attempts, lost_leases,
           cancel_requested, worker_id, started_at, completed_at, payload)
       SELECT gen_random_uuid(), 'noop', 'default', 'completed', 0, now(), now(), 1, 1, 0, false, 'w:1', now(), now(),
           '[[1],{{}}]' FROM generate_series(1, {n})""",
    "INSERT INTO lq_count (queue, status, n) VALUES ('default', 'completed', {n})",
]
CONCURRENCY = {"W4": 1000, "W5": 1000, "W8": 1000}
DRAIN_N = 60_000
VENV = "ours"


def tasks() -> dict[str, Any]:
    """The harness' two tasks."""
    from litestar_queues import task

    @task("noop")
    async def noop(i: int) -> None:
        probe.hit(i)

    @task("sleep10")
    async def sleep10(i: int) -> None:
        probe.hit(i)
        await asyncio.sleep(0.01)

    return {"noop": noop, "sleep10": sleep10}


class Adapter:
    """What the harness calls."""

    def service(self, concurrency: int = 100) -> Any:
        """The one place that configures the library."""
        from litestar_queues import QueueConfig, QueueService

        url = os.environ["BENCH_DSN"]
        config = QueueConfig(queue_backend=url, worker_max_concurrency=concurrency, completed_retention=None)
        return QueueService(config)

    async def setup(self) -> None:
        """Make the schema."""
        async with self.service():
            pass

    async def open_producer(self) -> None:
        """Make ready to enqueue."""
        self.tasks = tasks()
        self.producer = self.service()
        await self.producer.open()

    async def close_producer(self) -> None:
        """Leave."""
        await self.producer.close()

    async def enqueue_one(self, i: int, kind: str) -> None:
        """Return when the record is durable."""
        await self.producer.enqueue(self.tasks[kind], i)

    async def enqueue_many(self, ids: Iterable[int], kind: str) -> None:
        """Return when all are durable."""
        from litestar_queues import EnqueueSpec

        task = self.tasks[kind]
        await self.producer.enqueue_many([EnqueueSpec(task, (i,)) for i in ids])

    def run_worker(self, concurrency: int, gate: Callable[[], None]) -> None:
        """Work until killed."""
        import uvloop

        from litestar_queues import Worker

        async def main() -> None:
            tasks()
            gate()
            async with self.service(concurrency) as service:
                await Worker(service).start()

        uvloop.run(main())
