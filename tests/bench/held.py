"""In: seconds and a rate. Out: a worker on PostgreSQL with and without a transaction that somebody leaves open.

Such a transaction keeps the server from removing dead rows. It is how queues by SKIP LOCKED fail in production.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from litestar_queues import QueueConfig, QueueService, Worker
from litestar_queues.backends.postgres import starts
from tests.bench.child import ignore, loop_factory, make_task
from tests.bench.counter import Counter
from tests.bench.lab import ROOT
from tests.postgres.server import Server, durable_server

_TICK = 0.02
_EACH = 3
"""Of so many ticks one task is timed."""
_UNTIMED = 5_000
_CASES = {"as-ever": (False, ""), "left-open": (True, ""), "left-open-from-front": (True, "front")}
_numbers = count()


@asynccontextmanager
async def left_open(url: str) -> AsyncIterator[None]:
    """A transaction that has read something and does not end."""
    asyncpg = import_module("asyncpg")

    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    await connection.execute("begin isolation level repeatable read")
    await connection.fetch("select 1 from pg_class limit 1")
    try:
        yield
    finally:
        await connection.close()


async def load(url: str, seconds: float, rate: int, counter: Path, how: str) -> dict[str, float]:
    """Enqueue steadily; gives how the worker fared."""
    asyncpg = import_module("asyncpg")

    noop, seen = make_task(ignore), Counter(counter, create=True)
    look = await asyncpg.connect(url.replace("+asyncpg", ""))
    calls: list[float] = []
    async with QueueService(QueueConfig(queue_backend=url)) as service:
        command = ("-m", "tests.bench.held", "--work", url, str(counter), how)
        process = await asyncio.create_subprocess_exec(sys.executable, *command, cwd=ROOT)
        await asyncio.sleep(2)
        began = time.monotonic()
        for tick in range(int(seconds / _TICK)):
            timed = tick % _EACH == 0
            if timed:
                calls.append(time.monotonic())
            first = len(calls) - 1 if timed else _UNTIMED
            rest = int(rate * _TICK) - 1
            await asyncio.gather(service.enqueue(noop, first), *(service.enqueue(noop, _UNTIMED) for _ in range(rest)))
            await asyncio.sleep(max(0.0, began + (tick + 1) * _TICK - time.monotonic()))
        took, done = time.monotonic() - began, seen.count
        cpu = psutil.Process(process.pid).cpu_times()
        await asyncio.sleep(1)
        size = await look.fetchval("select pg_total_relation_size('lq_live') / 1048576.0")
        process.kill()
        await process.wait()
    await look.close()
    waits = [(seen.started_at(i) - called) * 1000 for i, called in enumerate(calls)]
    return {
        "tasks a second": done / took,
        "p50 ms": _quantile(waits, 0.5),
        "p99 ms": _quantile(waits, 0.99),
        "p99 ms of the last quarter": _quantile(waits[-len(waits) // 4 :], 0.99),
        "worker CPU %": (cpu.user + cpu.system) / took * 100,
        "MiB of lq_live": float(size),
    }


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def work(url: str, counter: str, how: str) -> None:
    """Work until killed; ``front``: every claim looks from the front of the queue."""
    if how == "front":
        starts._SLOW = float("inf")
    make_task(Counter(counter).hit)
    async with QueueService(QueueConfig(queue_backend=url)) as service:
        await Worker(service).start()


async def compare(server: Server, seconds: float, rate: int, cases: Sequence[str]) -> None:
    """Print a line for each case."""
    with TemporaryDirectory() as folder:
        for name in cases:
            held, how = _CASES[name]
            database = f"held{next(_numbers)}_{os.getpid()}"
            server.run(f"create database {database}")
            url = server.url(database=database)
            if held:
                async with left_open(url):
                    results = await load(url, seconds, rate, Path(folder) / database, how)
            else:
                results = await load(url, seconds, rate, Path(folder) / database, how)
            print(f"{name}:", ", ".join(f"{value:,.1f} {what}" for what, value in results.items()), flush=True)


def main() -> None:
    """Take the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.held", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--rate", type=int, default=1_000)
    parser.add_argument("--only", nargs="+", choices=_CASES, default=list(_CASES))
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        if options.work:
            runner.run(work(*options.work))
            return
        with durable_server() as server:
            runner.run(compare(server, options.seconds, options.rate, options.only))


if __name__ == "__main__":
    main()
