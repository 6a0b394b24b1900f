"""In: a role and a database file. Out: PyPI's package of this project's name, through its sqlspec backend."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from importlib import import_module
from typing import Any


def make(path: str, hit: Any) -> Any:
    """A service with its task registered."""
    queues = import_module("litestar_queues")
    adapter = import_module("sqlspec.adapters.aiosqlite").AiosqliteConfig(connection_config={"database": path})
    backend = import_module("litestar_queues.backends.sqlspec").SQLSpecBackendConfig(sqlspec_config=adapter)
    worker = import_module("litestar_queues.config").WorkerConfig(
        placement="external", max_concurrency=100, batch_size=100
    )

    @queues.task("noop")  # type: ignore[untyped-decorator]
    async def noop(i: int) -> None:
        hit(i)

    return queues.QueueService(queues.QueueConfig(queue_backend=backend, worker=worker))


async def fill(path: str, number: str) -> None:
    """Make the schema and enqueue."""
    connection = sqlite3.connect(path)
    connection.execute("pragma journal_mode = wal")
    connection.close()
    request = import_module("litestar_queues.models").TaskRequest
    async with make(path, int) as service:
        await service.get_queue_backend().create_schema()
        await service.get_queue_backend().enqueue_many([request("noop", (i,)) for i in range(int(number))])


async def worker(path: str, counter: str) -> None:
    """Work until the process is ended."""
    async with make(path, import_module("counter").Counter(counter).hit) as service:
        await import_module("litestar_queues.worker").Worker(service).start()


if __name__ == "__main__":
    role = {"fill": fill, "worker": worker}[sys.argv[1]]
    with asyncio.Runner(loop_factory=import_module("uvloop").new_event_loop) as runner:
        runner.run(role(*sys.argv[2:]))
