"""In: minutes and a rate. Out: how a worker on PostgreSQL fares at a steady rate, minute by minute.

Ended records are kept for a minute, so that tables can only grow where retention or vacuum cannot keep up.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from litestar_queues import EnqueueSpec, QueueConfig, QueueService, Worker
from tests.bench.child import ignore, loop_factory, make_task
from tests.bench.counter import Counter
from tests.bench.lab import ROOT, rss
from tests.postgres.server import durable_server

_TICK = 0.05
_LATENCY_TICKS = 100
"""In so many ticks of each minute one task is timed."""
_SIZES = """
    select sum(pg_table_size(oid)) filter (where relname = 'lq_live') / 1048576,
        sum(pg_indexes_size(oid)) filter (where relname = 'lq_live') / 1048576,
        sum(pg_table_size(oid)) filter (where relname = 'lq_done') / 1048576,
        sum(pg_indexes_size(oid)) filter (where relname = 'lq_done') / 1048576
    from pg_class where relname in ('lq_live', 'lq_done')
"""


def service(url: str) -> QueueService:
    """As an app has it that keeps what is done for a minute."""
    return QueueService(QueueConfig(queue_backend=url, worker_max_concurrency=1_000, completed_retention=60.0))


async def work(url: str, counter: str) -> None:
    """Work until killed."""
    make_task(Counter(counter).hit)
    async with service(url) as opened:
        await Worker(opened).start()


@asynccontextmanager
async def running_worker(url: str, counter: Path) -> AsyncIterator[psutil.Process]:
    """One worker process."""
    command = ("-m", "tests.bench.steady", "--work", url, str(counter))
    process = await asyncio.create_subprocess_exec(sys.executable, *command, cwd=ROOT)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        await process.wait()


class Steady:
    """The load, and what is seen of it.

    Args:
        opened: Enqueues.
        look: A connection that reads sizes.
        worker: The process that works.
        counter: Counts what it starts.
        rate: Tasks a second.
    """

    def __init__(self, opened: QueueService, look: Any, worker: psutil.Process, counter: Counter, rate: int) -> None:
        self._opened = opened
        self._look = look
        self._worker = worker
        self._counter = counter
        self._rate = rate
        self._timed = 0

    async def minute(self, seconds: float) -> str:
        """Enqueue steadily for so long; gives the line of the report."""
        began, before = time.monotonic(), self._counter.count
        cpu = sum(self._worker.cpu_times()[:2])
        called: dict[int, float] = {}
        for tick in range(int(seconds / _TICK)):
            numbers = [10_000] * int(self._rate * _TICK)  # 10,000: not timed
            if tick % (int(seconds / _TICK) // _LATENCY_TICKS or 1) == 0:
                numbers[-1] = self._timed
                called[self._timed] = time.monotonic()
                self._timed += 1
            await self._opened.enqueue_many([EnqueueSpec("bench.noop", (number,)) for number in numbers])
            await asyncio.sleep(max(0.0, began + (tick + 1) * _TICK - time.monotonic()))
        took, done = time.monotonic() - began, self._counter.count - before
        cpu = sum(self._worker.cpu_times()[:2]) - cpu
        await asyncio.sleep(0.5)  # for the last one that was timed
        waits = sorted(1000 * (self._counter.started_at(i) - at) for i, at in called.items())
        sizes = await self._look.fetchrow(_SIZES)
        return (
            f"{done / took:,.0f} tasks a second, pick-up p50 {waits[len(waits) // 2]:.1f} ms, p99 "
            f"{waits[int(len(waits) * 0.99)]:.1f} ms; MiB of live records {sizes[0]:.1f}, indexes {sizes[1]:.1f}, "
            f"ended ones {sizes[2]:.0f}, indexes {sizes[3]:.0f}; worker {rss(self._worker):.1f} MiB, "
            f"{cpu / took * 100:.0f} % of a core"
        )


async def run(url: str, minutes: int, seconds: float, rate: int) -> None:
    """Print a line for each minute."""
    asyncpg = import_module("asyncpg")

    make_task(ignore)
    look = await asyncpg.connect(url.replace("+asyncpg", ""))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "counter"
        counter = Counter(path, create=True)
        async with service(url) as opened, running_worker(url, path) as worker:
            await asyncio.sleep(2)
            steady = Steady(opened, look, worker, counter, rate)
            for number in range(minutes):
                print(f"minute {number + 1}: {await steady.minute(seconds)}", flush=True)
    await look.close()


def main() -> None:
    """Take the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.steady", description=__doc__)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60.0, help="of a minute, to try it out")
    parser.add_argument("--rate", type=int, default=5_000, help="tasks a second")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        if options.work:
            runner.run(work(*options.work))
            return
        with durable_server() as server:
            runner.run(run(server.url(), options.minutes, options.seconds, options.rate))


if __name__ == "__main__":
    main()
