"""In: a number of workers. Out: a server that flushes each commit, the workers on it, and what is seen of both."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg

from litestar_queues import QueueConfig, QueueService
from tests.bench.lab import rss
from tests.bench.postgres import Databases, databases
from tests.ledger.stage import Crew

__all__ = ("Stand", "percentiles", "stand")

_LEFT = "select count(*) from lq_live where schedule is null"


class Stand(Crew):
    """Worker processes on a database of their own."""

    def __init__(self, folder: Path, made: Databases, **settings: object) -> None:
        self.made = made
        self._url = made.new()
        super().__init__(folder, seed=1, app="tests.ledger.load.app:app", **{"worker_max_concurrency": 200, **settings})
        self._ended = threading.Event()
        self.memory: list[float] = []

    @property
    def url(self) -> str:
        return self._url

    def call(self, work: Callable[[QueueService], Coroutine[Any, Any, Any]]) -> Any:
        """Run something with a service on the same database, in this process."""

        async def run() -> Any:
            async with QueueService(QueueConfig(queue_backend=self.url)) as service:
                return await work(service)

        return asyncio.run(run())

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Look from outside."""
        with psycopg.connect(self.made.plain(self.url), autocommit=True) as connection:
            return connection.execute(sql).fetchall()

    def crew(self, number: int, **environment: str) -> None:
        """Start workers."""
        for process in [self.worker(**environment) for _ in range(number)]:
            process.starts()

    def done(self, within: float) -> None:
        """Wait until nothing is left but what schedules make."""
        deadline = time.monotonic() + within
        while self.ask(_LEFT)[0][0]:
            assert time.monotonic() < deadline, f"{self.ask(_LEFT)} records are left\n{self.said()[-2000:]}"
            time.sleep(0.2)

    def watch_memory(self) -> None:
        """Sample the workers' memory each second, in the background."""
        processes = [psutil.Process(one.pid) for one in self.workers]

        def watch() -> None:
            while not self._ended.wait(1.0):
                self.memory.append(max(rss(one) for one in processes))

        threading.Thread(target=watch, daemon=True).start()

    def close(self) -> None:
        """Kill what is left."""
        self._ended.set()
        super().close()


@contextmanager
def stand(**settings: object) -> Iterator[Stand]:
    """Workers on a server of their own, until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="lq-load-"))
    with databases() as made:
        stage = Stand(folder, made, **settings)
        try:
            yield stage
        finally:
            stage.close()
            shutil.rmtree(folder, ignore_errors=True)


def percentiles(stage: Stand, where: str = "true") -> str:
    """How long records waited between due and started."""
    ((p50, p99, longest),) = stage.ask(
        "select percentile_disc(array[0.5, 0.99, 1]) within group (order by extract(epoch from started_at - due_at)) "
        f"from lq_done where attempt = 1 and {where}"
    )[0]
    return f"wait p50 {_time(p50)}, p99 {_time(p99)}, longest {_time(longest)}"


def _time(seconds: Any) -> str:
    return f"{float(seconds) * 1000:.0f} ms" if seconds < 1 else f"{float(seconds):.1f} s"


def flat(memory: Sequence[float]) -> str:
    """How memory went."""
    if not memory:
        return "memory was not measured, it went too fast"
    return f"the largest worker held {memory[len(memory) // 4]:.0f} MiB after a quarter, {memory[-1]:.0f} at the end"
