"""In: minutes. Out: how workers on PostgreSQL fared meanwhile: tasks, crashes, memory; run it by `make soak`.

For each driver one worker stays, and one is told to leave every twenty seconds and is started again. Their tasks
return, fail, run into their timeout and are cancelled while they run. Python's fault handler is on.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import Process
from pathlib import Path

import psutil

from litestar_queues import QueueConfig, QueueService, Worker, task
from tests.bench.child import loop_factory
from tests.bench.lab import ROOT, rss
from tests.postgres.server import running_server

DRIVERS = ("asyncpg", "psycopg")
_BETWEEN_DRAINS = 20.0
_WARM = 30.0


@task("soak.quick")
async def quick(i: int) -> int:
    """Return at once."""
    return i


@task("soak.waits")
async def waits(i: int) -> None:
    """Await something, as most tasks do."""
    await asyncio.sleep(0.02 + i % 10 / 100)


@task("soak.fails", retries=1)
async def fails(i: int) -> None:
    """Fail."""
    raise ValueError(i)


@task("soak.late", timeout=0.05)
async def late() -> None:
    """Run into the timeout."""
    await asyncio.sleep(5)


@task("soak.endless")
async def endless() -> None:
    """Run until cancelled."""
    await asyncio.sleep(600)


def service(url: str, prefix: str) -> QueueService:
    """As an app has it, with a short drain."""
    config = QueueConfig(queue_backend=url, postgres_prefix=prefix, worker_graceful_shutdown_timeout=1.0)
    return QueueService(config)


async def work(url: str, prefix: str) -> None:
    """Work until told to leave."""
    opened = service(url, prefix)
    worker = Worker(opened)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)  # opening may take long
    async with opened:
        await worker.start()


class Soak:
    """The load of one driver, and what is seen of it."""

    def __init__(self, driver: str, url: str, rate: int, folder: Path) -> None:
        self.driver = driver
        self._url = url
        self._prefix = f"soak_{driver}.lq_"
        self._rate = rate
        self._log = folder / f"soak-{driver}.log"
        self.endings: list[int] = []
        self.memory: list[float] = []

    async def run(self, until: float) -> str:
        """Soak; gives the line of the report."""
        async with service(self._url, self._prefix) as opened:
            stays, goes = await self._start(), await self._start()
            began = time.monotonic()
            drained = began
            second = 0
            while time.monotonic() < until and stays.returncode is None:
                await self._second(opened, second)
                second += 1
                if second % 10 == 0 and time.monotonic() > began + _WARM:
                    self.memory.append(rss(psutil.Process(stays.pid)))
                if time.monotonic() > drained + _BETWEEN_DRAINS:
                    drained = time.monotonic()
                    await self._end(goes)
                    goes = await self._start()
                await asyncio.sleep(max(0.0, began + second - time.monotonic()))
            for process in (stays, goes):
                await self._end(process)
            counts = await opened.get_statistics()
        crashes = sum(code < 0 for code in self.endings)
        held = f"{self.memory[0]:.1f} MiB, then {self.memory[-1]:.1f}" if self.memory else "not measured"
        return (
            f"{self.driver}: {(time.monotonic() - began) / 60:.1f} minutes, {counts.completed:,} completed, "
            f"{counts.failed:,} failed, {counts.cancelled:,} cancelled, {counts.pending + counts.running:,} left, "
            f"{len(self.endings)} drains, {crashes} crashes, exit codes {sorted(set(self.endings))}, {held}"
        )

    async def _second(self, opened: QueueService, second: int) -> None:
        endings = [await opened.enqueue(endless) for _ in range(3)]
        for i in range(self._rate // 10):
            await asyncio.gather(
                *(opened.enqueue(quick, i) for _ in range(6)), opened.enqueue(waits, i), opened.enqueue(waits, second)
            )
        await asyncio.gather(*(opened.enqueue(fails, i) for i in range(3)), *(opened.enqueue(late) for _ in range(5)))
        for one in endings:
            await opened.cancel_task(one.id, include_running=True)

    async def _start(self) -> Process:
        with self._log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.bench.soak", "--work", self._url, self._prefix,
                cwd=ROOT, env=os.environ | {"PYTHONFAULTHANDLER": "1"}, stdin=asyncio.subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip

    async def _end(self, process: Process) -> None:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(30):
                self.endings.append(await process.wait())
        except TimeoutError:
            process.kill()
            self.endings.append(await process.wait())


async def soak(minutes: float, rate: int) -> list[str]:
    """Soak both drivers at once."""
    with running_server() as server:
        loads = [Soak(driver, server.url(driver), rate, server.folder.parent) for driver in DRIVERS]
        until = time.monotonic() + minutes * 60
        return await asyncio.gather(*(load.run(until) for load in loads))


def main() -> None:
    """Take the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=100, help="tasks a second for each driver, about")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        if options.work:
            runner.run(work(*options.work))
            return
        lines = runner.run(soak(options.minutes, options.rate))
    print("\n".join(lines))
    sys.exit(any(" 0 crashes" not in line for line in lines))


if __name__ == "__main__":
    main()
