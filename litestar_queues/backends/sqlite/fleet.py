"""In: what workers tell and operators ask. Out: who is there, which queues rest, and what ended when."""

# ruff: noqa: D102 - the seam documents its methods
from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, TypeVar

import msgspec

from litestar_queues.backends.base import QueueBackend
from litestar_queues.backends.laws import check_pause, later, minute_of
from litestar_queues.backends.sqlite.calls import Operation, Work
from litestar_queues.backends.statements import load_statements
from litestar_queues.clock import from_micros, to_micros
from litestar_queues.fleet import QueuePause, Tally, WorkerReport, WorkerRow, add_up, by_queue

__all__ = ("SQLiteFleet",)

SQL = load_statements("sqlite")

T = TypeVar("T")


class SQLiteFleet(QueueBackend):
    """The half of the sqlite backend that is about no single record."""

    @abstractmethod
    def _write(
        self, operation: Operation[T], *, peek: Operation[T | None] | None = None, wakes: bool = False
    ) -> asyncio.Future[T]: ...

    @abstractmethod
    def _read(self, operation: Operation[T]) -> Awaitable[T]: ...

    async def report_worker(self, report: WorkerReport, *, lease: float, tallies: Sequence[Tally] = ()) -> None:
        await self._write(partial(_report, report=report, lease=lease, tallies=tallies))

    async def forget_worker(self, worker_id: str) -> None:
        await self._write(partial(_forget, worker_id=worker_id))

    async def list_workers(self) -> Sequence[WorkerRow]:
        return await self._read(_workers)

    async def count_workers(self) -> Mapping[str, int]:
        return Counter(one.state for one in await self.list_workers())

    async def pause_queue(self, queue: str, *, seconds: float | None = None) -> None:
        check_pause(queue, seconds)
        await self._write(partial(_pause, queue=queue, seconds=seconds), wakes=True)

    async def resume_queue(self, queue: str) -> bool:
        return await self._write(partial(_resume, queue=queue), wakes=True)

    async def paused_queues(self) -> Sequence[QueuePause]:
        return await self._read(_pauses)

    async def list_tallies(self, *, seconds: float) -> Sequence[Tally]:
        return await self._read(partial(_tallies, seconds=seconds))

    async def prune_workers(self, *, older_than: float, limit: int) -> int:
        return await self._write(partial(_prune, statement=SQL["prune_workers"], older_than=older_than, limit=limit))

    async def prune_tallies(self, *, older_than: float, limit: int) -> int:
        return await self._write(partial(_prune, statement=SQL["prune_tallies"], older_than=older_than, limit=limit))


def _report(work: Work, report: WorkerReport, *, lease: float, tallies: Sequence[Tally]) -> None:
    row = {
        **asdict(report),
        "queues": _as_json(report.queues),
        "started_at": to_micros(report.started_at),
        "now": work.now,
        "lease_until": later(work.now, lease),
    }
    work.execute(SQL["report_worker"], row)
    minute = minute_of(work.now)
    for one in by_queue(tallies):
        known = work.execute(SQL["find_tally"], {"minute": minute, "queue": one.queue}).fetchone()
        both = one if known is None else add_up(_tally(known), one)
        texts = {"minute": minute, "waits": _as_json(both.waits), "durations": _as_json(both.durations)}
        work.execute(SQL["put_tally"], {**both._asdict(), **texts})


def _forget(work: Work, worker_id: str) -> None:
    work.execute(SQL["forget_worker"], {"worker_id": worker_id})


def _workers(work: Work) -> list[WorkerRow]:
    return [
        WorkerRow(
            worker_id=worker_id,
            host=host,
            pid=pid,
            version=version,
            queues=_as_tuple(queues),
            max_concurrency=most,
            running=running,
            draining=bool(draining),
            started_at=from_micros(started_at),
            seen_at=from_micros(seen_at),
            alive=bool(alive),
        )
        for worker_id, host, pid, version, queues, most, running, draining, started_at, seen_at, alive in work.execute(
            SQL["list_workers"], {"now": work.now}
        )
    ]


def _pause(work: Work, queue: str, *, seconds: float | None) -> None:
    work.execute(SQL["forget_pauses"], {"now": work.now})
    until = None if seconds is None else later(work.now, seconds)
    work.execute(SQL["pause_queue"], {"queue": queue, "now": work.now, "until": until})


def _resume(work: Work, queue: str) -> bool:
    work.execute(SQL["forget_pauses"], {"now": work.now})
    return bool(work.execute(SQL["resume_queue"], {"queue": queue}).rowcount)


def _pauses(work: Work) -> list[QueuePause]:
    return [
        QueuePause(queue, from_micros(paused_at), None if until is None else from_micros(until))
        for queue, paused_at, until in work.execute(SQL["paused_queues"], {"now": work.now})
    ]


def _tallies(work: Work, *, seconds: float) -> list[Tally]:
    since = minute_of(later(work.now, -seconds))
    return [_tally(row) for row in work.execute(SQL["list_tallies"], {"since": since})]


def _prune(work: Work, *, statement: str, older_than: float, limit: int) -> int:
    old = {"before": later(work.now, -older_than), "now": work.now, "limit": limit}
    return work.execute(statement, old).rowcount


def _tally(row: Sequence[Any]) -> Tally:
    minute, *counts, waits, durations = row
    return Tally._make((from_micros(minute), *counts, _as_tuple(waits), _as_tuple(durations)))


def _as_tuple(text: str) -> tuple[Any, ...]:
    return tuple(msgspec.json.decode(text))


def _as_json(values: Sequence[Any]) -> str:
    return msgspec.json.encode(values).decode()
