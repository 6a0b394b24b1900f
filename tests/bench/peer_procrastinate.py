"""In: a role and a database's URL. Out: procrastinate on compiled psycopg; it keeps finished jobs, its default."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import Any

_CONCURRENCY = 100
_CHUNK = 1_000


def make(url: str, hit: Any) -> tuple[Any, Any]:
    """The app and its task."""
    procrastinate = import_module("procrastinate")
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, min_size=4, max_size=10))

    @app.task(name="noop", queue="default")  # type: ignore[untyped-decorator]
    async def noop(i: int) -> None:
        hit(i)

    return app, noop


async def fill(url: str, number: str) -> None:
    """Make the schema and enqueue."""
    app, noop = make(url, int)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for at in range(0, int(number), _CHUNK):
            await noop.batch_defer_async(*({"i": i} for i in range(at, min(at + _CHUNK, int(number)))))


async def worker(url: str, counter: str) -> None:
    """Work until the process is ended."""
    app, _ = make(url, import_module("counter").Counter(counter).hit)
    async with app.open_async():
        await app.run_worker_async(concurrency=_CONCURRENCY)


if __name__ == "__main__":
    role = {"fill": fill, "worker": worker}[sys.argv[1]]
    with asyncio.Runner(loop_factory=import_module("uvloop").new_event_loop) as runner:
        runner.run(role(*sys.argv[2:]))
