"""In: a role, a database, a mode. Out: producer or worker of PyPI's package of this project's name."""

from __future__ import annotations

import asyncio
import signal
import sys
from importlib import import_module
from typing import Any

SAFEST = {
    "heartbeat_interval": 2.0, "stale_after": 6.0, "stale_check_interval": 2.0, "requeue_on_shutdown": True,
}  # fmt: skip


def service(url: str, mode: str) -> Any:
    """As its documentation has it, on PostgreSQL by sqlspec's asyncpg adapter."""
    queues = import_module("litestar_queues")
    adapter = import_module("sqlspec.adapters.asyncpg").AsyncpgConfig(connection_config={"dsn": url})
    backend = import_module("litestar_queues.backends.sqlspec").SQLSpecBackendConfig(sqlspec_config=adapter)
    short = SAFEST if mode == "safest" else {}
    worker = import_module("litestar_queues.config").WorkerConfig(
        placement="external", max_concurrency=20, batch_size=20, graceful_shutdown_timeout=1.0, **short
    )
    safe = {"requeue_on_stale": True, "requeue_on_shutdown": True} if mode == "safest" else {}

    @queues.task("work", retries=3, **safe)  # type: ignore[untyped-decorator]
    async def work(n: int) -> int:
        return int(await import_module("notes").work(n))

    return queues.QueueService(queues.QueueConfig(queue_backend=backend, worker=worker))


async def fill(url: str, mode: str, number: str) -> None:
    """Make the schema and enqueue."""
    async with service(url, mode) as opened:
        await opened.get_queue_backend().create_schema()
        for n in range(int(number)):
            await opened.enqueue("work", n)


async def worker(url: str, mode: str) -> None:
    """Work until told to leave."""
    async with service(url, mode) as opened:
        made = import_module("litestar_queues.worker").Worker(opened)
        leaving = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leaving.set)
        working = asyncio.create_task(made.start())
        await leaving.wait()
        await made.stop()
        await working


if __name__ == "__main__":
    role: Any = {"fill": fill, "worker": worker}[sys.argv[1]]
    asyncio.run(role(*sys.argv[2:]))
