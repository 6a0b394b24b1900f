"""In: nothing. Out: tasks of every temper, and as many schedules as the environment says."""

from __future__ import annotations

import asyncio
import os
import time

from litestar_queues import task


@task("load.fast")
async def fast(n: int) -> None:
    """Do nothing."""


@task("load.once", unique_for=3600.0)
async def once(n: int) -> None:
    """Do nothing, once for each key."""


@task("load.waits")
async def waits(n: int) -> None:
    """Await 10 ms."""
    await asyncio.sleep(0.01)


@task("load.slow")
async def slow(n: int) -> None:
    """Await 2 s."""
    await asyncio.sleep(2)


@task("load.fails", retries=1, retry_backoff=0.1)
async def fails(n: int) -> None:
    """Fail, twice."""
    raise ValueError(n)


@task("load.late", timeout=0.1)
async def late(n: int) -> None:
    """Run into the timeout."""
    await asyncio.sleep(60)


@task("load.thread")
def thread(n: int) -> None:
    """Block a thread for a millisecond."""
    time.sleep(0.001)


@task("load.measures")
async def measures(text: str) -> int:
    """Tell how long the text is."""
    return len(text)


async def tick() -> None:
    """Run by a schedule."""


for number in range(int(os.environ.get("LEDGER_SCHEDULES", "0"))):
    task(f"load.tick{number}", interval=5)(tick)
