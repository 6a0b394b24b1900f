"""In: a role, a database, a mode. Out: the producer or worker of procrastinate; the safest one retries stalled jobs.

Its documentation gives the periodic task for that to whoever wants it.
"""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import Any


def make(url: str, mode: str) -> tuple[Any, Any]:
    """The app and its task."""
    procrastinate = import_module("procrastinate")
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, min_size=2, max_size=6))

    @app.task(name="work", retry=3)  # type: ignore[untyped-decorator]
    async def work(n: int) -> int:
        return int(await import_module("notes").work(n))

    if mode == "safest":

        @app.periodic(cron="*/2 * * * * *")  # type: ignore[untyped-decorator]
        @app.task(name="retry_stalled", queueing_lock="retry_stalled")  # type: ignore[untyped-decorator]
        async def retry_stalled(timestamp: int) -> None:
            for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=6):
                await app.job_manager.retry_job(job)

    return app, work


async def fill(url: str, mode: str, number: str) -> None:
    """Make the schema and enqueue."""
    app, work = make(url, mode)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for n in range(int(number)):
            await work.defer_async(n=n)


async def worker(url: str, mode: str) -> None:
    """Work until told to leave."""
    app, _ = make(url, mode)
    short = {"update_heartbeat_interval": 2, "stalled_worker_timeout": 6, "shutdown_graceful_timeout": 1}
    async with app.open_async():
        await app.run_worker_async(concurrency=20, **(short if mode == "safest" else {}))


if __name__ == "__main__":
    role: Any = {"fill": fill, "worker": worker}[sys.argv[1]]
    asyncio.run(role(*sys.argv[2:]))
