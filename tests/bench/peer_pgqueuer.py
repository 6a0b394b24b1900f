"""In: a role and a database's URL. Out: pgqueuer on asyncpg; a finished job is deleted and its log gets a row."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import Any

_BATCH = 250
_TOGETHER = 500
_CHUNK = 5_000


async def queries(url: str) -> Any:
    """What its statements are called by."""
    connection = await import_module("asyncpg").connect(url)
    driver = import_module("pgqueuer.db").AsyncpgDriver(connection)
    return import_module("pgqueuer.queries").Queries(driver)


async def fill(url: str, number: str) -> None:
    """Make the schema and enqueue."""
    made = await queries(url)
    await made.install()
    for at in range(0, int(number), _CHUNK):
        part = range(at, min(at + _CHUNK, int(number)))
        await made.enqueue(["noop"] * len(part), [b"%d" % i for i in part], [0] * len(part))


async def worker(url: str, counter: str) -> None:
    """Work until the process is ended."""
    hit = import_module("counter").Counter(counter).hit
    connection = await import_module("asyncpg").connect(url)
    queue = import_module("pgqueuer").PgQueuer(import_module("pgqueuer.db").AsyncpgDriver(connection))

    @queue.entrypoint("noop")  # type: ignore[untyped-decorator]
    async def noop(job: Any) -> None:
        hit(int(job.payload))

    await queue.run(batch_size=_BATCH, max_concurrent_tasks=_TOGETHER)


if __name__ == "__main__":
    role = {"fill": fill, "worker": worker}[sys.argv[1]]
    with asyncio.Runner(loop_factory=import_module("uvloop").new_event_loop) as runner:
        runner.run(role(*sys.argv[2:]))
