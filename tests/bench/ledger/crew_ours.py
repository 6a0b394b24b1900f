"""In: a role, a database, a mode. Out: this library's producer or worker."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

from litestar_queues import EnqueueSpec, QueueConfig, QueueService, Worker, task
from tests.bench.ledger.notes import work

SAFEST = {"worker_stale_after": 6.0, "worker_heartbeat_interval": 2.0}


@task("ledger.work", retries=3)
async def run(n: int) -> int:
    """Work."""
    return await work(n)


def service(url: str, mode: str) -> QueueService:
    """As an app has it."""
    short = SAFEST if mode == "safest" else {}
    return QueueService(QueueConfig(queue_backend=url, worker_graceful_shutdown_timeout=1.0, **short))  # type: ignore[arg-type]


async def fill(url: str, mode: str, number: str) -> None:
    """Enqueue."""
    async with service(url, mode) as opened:
        await opened.enqueue_many([EnqueueSpec(run, (n,)) for n in range(int(number))])


async def worker(url: str, mode: str) -> None:
    """Work until told to leave."""
    async with service(url, mode) as opened:
        made = Worker(opened)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, made.stop)
        await made.start()


if __name__ == "__main__":
    role: Any = {"fill": fill, "worker": worker}[sys.argv[1]]
    asyncio.run(role(*sys.argv[2:]))
