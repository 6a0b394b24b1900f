"""In: what workers tell and operators ask. Out: who is there, which queues rest, and what ended when."""

# ruff: noqa: D102 - the seam documents its methods
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import islice

from litestar_queues.backends.base import QueueBackend
from litestar_queues.backends.laws import check_pause, later, minute_of
from litestar_queues.backends.memory.wakeups import WakeUps
from litestar_queues.clock import MICROSECONDS, Clock, from_micros
from litestar_queues.errors import BackendUnavailableError
from litestar_queues.fleet import QueuePause, Tally, WorkerReport, WorkerRow, add_up, by_queue

__all__ = ("Fleet", "MemoryFleet")


class Fleet:
    """Workers, pauses and tallies."""

    def __init__(self) -> None:
        self._workers: dict[str, tuple[WorkerReport, int, int]] = {}
        """What each told, when, and until when its lease lasts."""
        self._pauses: dict[str, tuple[int, int | None]] = {}
        """Since when, and until when."""
        self._tallies: dict[tuple[int, str], Tally] = {}

    def report(self, report: WorkerReport, *, lease: float, tallies: Sequence[Tally], now: int) -> None:
        """Note a worker, and add what ended in it."""
        self._workers[report.worker_id] = report, now, later(now, lease)
        minute = minute_of(now)
        for one in by_queue(tallies):
            known = self._tallies.get((minute, one.queue))
            self._tallies[minute, one.queue] = add_up(known, one) if known else one._replace(minute=from_micros(minute))

    def forget(self, worker_id: str) -> None:
        """Delete a worker."""
        self._workers.pop(worker_id, None)

    def workers(self, now: int) -> list[WorkerRow]:
        """All workers by host and id."""
        rows = [
            WorkerRow(**asdict(report), seen_at=from_micros(seen_at), alive=lease_until > now)
            for report, seen_at, lease_until in self._workers.values()
        ]
        return sorted(rows, key=lambda row: (row.host, row.worker_id))

    def pause(self, queue: str, *, seconds: float | None, now: int) -> None:
        """Pause a queue, or move the end of its pause."""
        since = self._pauses[queue][0] if self._is_paused(queue, now) else now
        self._pauses[queue] = since, None if seconds is None else later(now, seconds)

    def resume(self, queue: str, now: int) -> bool:
        """End a pause; whether there was one."""
        was_paused = self._is_paused(queue, now)
        self._pauses.pop(queue, None)
        return was_paused

    def pauses(self, now: int) -> list[QueuePause]:
        """Those in force, by queue."""
        return [
            QueuePause(queue, from_micros(since), None if until is None else from_micros(until))
            for queue, (since, until) in sorted(self._pauses.items())
            if self._is_paused(queue, now)
        ]

    def resting(self, queues: Iterable[str], now: int) -> dict[str, float | None]:
        """Those of the queues that are paused, and the seconds until each goes on by itself."""
        if not self._pauses:
            return {}
        ends = {queue: self._pauses[queue][1] for queue in queues if self._is_paused(queue, now)}
        return {queue: None if end is None else (end - now) / MICROSECONDS for queue, end in ends.items()}

    def tallies(self, *, seconds: float, now: int) -> list[Tally]:
        """Those of the last so many seconds."""
        since = minute_of(later(now, -seconds))
        return [tally for (minute, _), tally in sorted(self._tallies.items()) if minute >= since]

    def prune_workers(self, *, older_than: float, limit: int, now: int) -> int:
        """Delete workers that were lost long ago."""
        before = later(now, -older_than)
        lost = (one for one, (_, seen_at, until) in self._workers.items() if seen_at < before and until <= now)
        gone = list(islice(lost, limit))
        for one in gone:
            del self._workers[one]
        return len(gone)

    def prune_tallies(self, *, older_than: float, limit: int, now: int) -> int:
        """Delete tallies of long ago."""
        before = later(now, -older_than)
        gone = list(islice((key for key in self._tallies if key[0] < before), limit))
        for key in gone:
            del self._tallies[key]
        return len(gone)

    def _is_paused(self, queue: str, now: int) -> bool:
        until = self._pauses.get(queue, (0, 0))[1]
        return until is None or until > now


class MemoryFleet(QueueBackend):
    """The half of the memory backend that is about no single record.

    Args:
        clock: The store's time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._fleet = Fleet()
        self._wakeups = WakeUps()
        self._is_open = False

    def _check_open(self) -> None:
        if not self._is_open:
            raise BackendUnavailableError("the memory backend is not open: await open() first")

    async def report_worker(self, report: WorkerReport, *, lease: float, tallies: Sequence[Tally] = ()) -> None:
        self._check_open()
        self._fleet.report(report, lease=lease, tallies=tallies, now=self._clock.micros())

    async def forget_worker(self, worker_id: str) -> None:
        self._check_open()
        self._fleet.forget(worker_id)

    async def list_workers(self) -> Sequence[WorkerRow]:
        self._check_open()
        return self._fleet.workers(self._clock.micros())

    async def count_workers(self) -> Mapping[str, int]:
        return Counter(one.state for one in await self.list_workers())

    async def pause_queue(self, queue: str, *, seconds: float | None = None) -> None:
        self._check_open()
        check_pause(queue, seconds)
        self._fleet.pause(queue, seconds=seconds, now=self._clock.micros())
        self._wakeups.notify()

    async def resume_queue(self, queue: str) -> bool:
        self._check_open()
        was_paused = self._fleet.resume(queue, self._clock.micros())
        self._wakeups.notify()
        return was_paused

    async def paused_queues(self) -> Sequence[QueuePause]:
        self._check_open()
        return self._fleet.pauses(self._clock.micros())

    async def list_tallies(self, *, seconds: float) -> Sequence[Tally]:
        self._check_open()
        return self._fleet.tallies(seconds=seconds, now=self._clock.micros())

    async def prune_workers(self, *, older_than: float, limit: int) -> int:
        self._check_open()
        return self._fleet.prune_workers(older_than=older_than, limit=limit, now=self._clock.micros())

    async def prune_tallies(self, *, older_than: float, limit: int) -> int:
        self._check_open()
        return self._fleet.prune_tallies(older_than=older_than, limit=limit, now=self._clock.micros())
