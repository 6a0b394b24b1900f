"""In: files with few and with many finished records. Out: whether what an operator and a worker do costs the same."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from litestar_queues import QueueConfig, QueueService
from litestar_queues.records import CANARY_QUEUE
from tests.bench.lab import Lab, median
from tests.bench.report import Result

__all__ = ("run",)

_FEW = 1_000
_BATCH = 100
_CANARY_EACH = 1_000
_INSERT = """
insert into lq_record (
    id, task, queue, status, priority, due_at, created_at, attempt, max_attempts, token, worker_id, started_at,
    completed_at, payload
) values (:id, 'bench.noop', :queue, 'completed', 0, :at, :at, 1, 1, 1, 'bench', :at, :at, '[[1],{}]')
"""
_COUNT = "insert into lq_counter (queue, status, n) select queue, status, count(*) from lq_record group by 1, 2"


def run(lab: Lab) -> list[Result]:
    """Measure on both files in turns, in one process."""
    many = lab.size(1_000_000, 100_000)
    few_file, many_file = lab.path(".db"), lab.path(".db")
    fill_history(few_file, _FEW)
    fill_history(many_file, many)
    rounds = lab.size(60, 20) * lab.repeats
    taken = lab.ask("ages", f"{few_file},{many_file}", rounds, _BATCH)
    few, old = taken[str(few_file)], taken[str(many_file)]
    return [
        Result(
            what=f"{name} with {many:,} finished records",
            value=median(old[step]),
            unit="ms",
            limit=median(few[step]),
            limit_is=f"ms, with {_FEW:,}",
            target=1.5,
            judged=median(old[step]) / median(few[step]),
            target_is="at most 1.5 times",
            better="less",
        )
        for step, name in {
            "claim": f"claim of {_BATCH}",
            "finish": f"finish of {_BATCH}",
            "status": "status",
            "scheduler-health": "scheduler-health",
        }.items()
    ]


def fill_history(path: Path, number: int) -> None:
    """Write finished records by plain SQL, and the counts that go with them."""
    asyncio.run(_create(path))
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("pragma synchronous = off")
    connection.execute("begin")
    connection.executemany(_INSERT, _rows(number))
    connection.execute(_COUNT)
    connection.execute("commit")
    connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()


async def _create(path: Path) -> None:
    async with QueueService(QueueConfig(queue_backend=f"sqlite:///{path}")):
        pass


def _rows(number: int) -> Iterator[dict[str, object]]:
    now = time.time_ns() // 1000
    for i in range(number):
        at = now - (number - i) * 1000
        queue = CANARY_QUEUE if i % _CANARY_EACH == 0 else "default"
        yield {"id": (at << 60).to_bytes(16, "big"), "queue": queue, "at": at}
