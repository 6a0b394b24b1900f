"""In: batches of values. Out: the laws of the seam in their plainest reading, kept in dicts and heaps."""

# ruff: noqa: D102 - the seam documents its methods
from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from heapq import nlargest, nsmallest
from typing import Any, ClassVar
from uuid import UUID

from litestar_queues.backends.base import Capabilities
from litestar_queues.backends.laws import CANCELLED_ON_REQUEST, is_former_self, later
from litestar_queues.backends.memory.fleet import MemoryFleet
from litestar_queues.backends.memory.rows import Row, fits
from litestar_queues.backends.memory.runs import finish, hold, renew, save_progress, take_back, until_next
from litestar_queues.backends.memory.schedules import Schedules, utc
from litestar_queues.backends.memory.state import Rows
from litestar_queues.clock import Clock, from_micros
from litestar_queues.errors import InvalidArgumentError
from litestar_queues.outcomes import Completion
from litestar_queues.records import (
    ClaimBatch,
    Enqueued,
    Held,
    NewRecord,
    QueueDepth,
    QueuedTaskRecord,
    QueueStatistics,
    RecordFilter,
    Renewal,
    Rescued,
)
from litestar_queues.status import LIVE, TERMINAL, TaskStatus
from litestar_queues.ticks import DueSchedules, ScheduleRow, ScheduleSync, TickBatch

__all__ = ("MemoryBackend",)


class MemoryBackend(MemoryFleet):
    """For tests, and for one process that may forget: records live as long as this object.

    Args:
        clock: The store's time; tests replace it.
    """

    name: ClassVar[str] = "memory"
    capabilities: ClassVar[Capabilities] = Capabilities(shared=False, durable=False, transactional_enqueue=False)

    def __init__(self, *, clock: Clock | None = None) -> None:
        super().__init__(clock or Clock())
        self._stored = Rows()
        self._schedules = Schedules()

    # life of the backend

    async def open(self) -> None:
        self._is_open = True

    async def close(self) -> None:
        self._is_open = False
        self._wakeups.clear()

    async def migrate(self) -> Sequence[str]:
        return ()

    async def pending_migrations(self) -> Sequence[str]:
        return ()

    def migration_sql(self) -> str:
        return ""

    def describe(self) -> str:
        return "memory of this process"

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        self._check_open()
        return self._wakeups.subscribe(wake)

    # producers

    async def enqueue_many(self, records: Sequence[NewRecord], *, connection: Any = None) -> Sequence[Enqueued]:
        if connection is not None:
            msg = (
                "connection= is not accepted: the memory backend has no transaction to share; "
                "leave it out, or choose a backend that has one (queue_backend='sqlite')"
            )
            raise InvalidArgumentError(msg)
        rows = self._rows()
        await asyncio.sleep(0)  # or a producer that never waits for anything else would hold the loop
        now = self._clock.micros()
        new = [Row(record, now) for record in records]  # what is refused, is refused before anything is written
        answers = [rows.insert(row, now) for row in new]
        self._wakeups.notify()
        return answers

    async def cancel_many(self, ids: Sequence[UUID], *, include_running: bool = False) -> Mapping[UUID, TaskStatus]:
        rows = self._rows()
        now = self._clock.micros()
        cancelled: dict[UUID, TaskStatus] = {}
        for record_id in dict.fromkeys(ids):
            row = rows.by_id.get(record_id)
            if row is None or row.status in TERMINAL:
                continue
            if row.status is not TaskStatus.RUNNING:
                rows.end(row, TaskStatus.CANCELLED, now, CANCELLED_ON_REQUEST)
            elif include_running:
                row.cancel_requested = True
            else:
                continue
            cancelled[record_id] = row.status
        self._wakeups.notify()
        return cancelled

    async def retry_many(self, ids: Sequence[UUID]) -> Sequence[UUID]:
        rows = self._rows()
        now = self._clock.micros()
        retried = []
        for record_id in dict.fromkeys(ids):
            row = rows.by_id.get(record_id)
            if row is None or row.status in LIVE or row.status is TaskStatus.COMPLETED:
                continue
            if row.new.key is None or not rows.has_live_key(row.new.key):
                rows.revive(row, now)
                retried.append(record_id)
        self._wakeups.notify()
        return retried

    # workers

    async def claim_many(self, *, worker_id: str, queues: Sequence[str], limit: int, lease: float) -> ClaimBatch:
        rows = self._rows()
        now = self._clock.micros()
        chosen = rows.choose(queues)
        resting = self._fleet.resting([queue.name for queue in chosen if queue.waits], now)
        chosen = [queue for queue in chosen if queue.name not in resting]
        taken, expired = rows.take(chosen, limit=limit, now=now)
        if expired:
            self._wakeups.notify()
        claims = hold(rows, taken, worker_id=worker_id, lease=lease, now=now)
        if len(claims) == limit:
            return ClaimBatch(claims)
        waits = [seconds for seconds in (until_next(chosen, now), *resting.values()) if seconds is not None]
        return ClaimBatch(claims, min(waits, default=None))

    async def finish_many(self, completions: Sequence[Completion]) -> Sequence[UUID]:
        refused = finish(self._rows(), completions, self._clock.micros())
        self._wakeups.notify()
        return refused

    async def renew_many(self, held: Sequence[Held], *, lease: float) -> Renewal:
        return renew(self._rows(), held, lease=lease, now=self._clock.micros())

    async def cancel_requests(self, worker_id: str) -> Sequence[UUID]:
        running = self._rows().running.values()
        return [row.id for row in running if row.cancel_requested and row.worker_id == worker_id]

    async def save_progress(self, progress: Mapping[Held, bytes]) -> None:
        save_progress(self._rows(), progress)

    async def rescue_many(self, *, limit: int, max_lost_leases: int) -> Sequence[Rescued]:
        rows, now = self._rows(), self._clock.micros()
        return self._take_back(rows.stale(now)[:limit], max_lost_leases, now)

    async def rescue_predecessor(self, worker_id: str, *, max_lost_leases: int) -> Sequence[Rescued]:
        former = [row for row in self._rows().running.values() if is_former_self(row.worker_id or "", worker_id)]
        return self._take_back(former, max_lost_leases, self._clock.micros())

    # schedules

    async def sync_schedules(self, schedules: Sequence[ScheduleSync]) -> None:
        self._check_open()
        self._schedules.sync(schedules, self._clock.now())

    async def due_schedules(self, names: Iterable[str]) -> DueSchedules:
        self._check_open()
        return self._schedules.due(names, self._clock.now())

    async def fire_ticks(self, batch: TickBatch) -> int:
        rows = self._rows()
        now = self._clock.micros()
        ticks = [(utc(tick.at), Row(tick.record, now)) for tick in batch.ticks]
        expected_at, next_at = utc(batch.expected_at), utc(batch.next_at)
        if not self._schedules.move(batch.schedule, expected_at=expected_at, next_at=next_at):
            return 0
        made = 0
        for at, row in ticks:
            if not self._schedules.take_tick(batch.schedule, at, from_micros(now)):
                continue
            if not batch.overlap and rows.has_live_of(batch.schedule):
                continue
            if rows.insert(row, now).created:
                made += 1
                self._schedules.note_record(batch.schedule, row.id)
        self._wakeups.notify()
        return made

    async def list_schedules(self) -> Sequence[ScheduleRow]:
        self._check_open()
        return self._schedules.all()

    async def pause_schedule(self, name: str, *, paused: bool) -> bool:
        self._check_open()
        found = self._schedules.pause(name, paused=paused)
        self._wakeups.notify()
        return found

    # looking

    async def get_many(self, ids: Sequence[UUID]) -> Mapping[UUID, QueuedTaskRecord]:
        by_id = self._rows().by_id
        return {record_id: by_id[record_id].read() for record_id in ids if record_id in by_id}

    async def list_records(self, which: RecordFilter) -> Sequence[QueuedTaskRecord]:
        lower, upper = which.id_bounds()
        fitting = (row for row in self._rows().by_id.values() if lower < row.id < upper and fits(row, which))
        first = nsmallest if which.oldest_first else nlargest
        return [row.read() for row in first(which.limit, fitting, key=lambda row: row.id.int)]

    async def statistics(self, queue: str | None = None) -> QueueStatistics:
        rows = self._rows()
        return QueueStatistics(**{status.value: rows.count(status, queue) for status in TaskStatus})

    async def queue_depths(self) -> Sequence[QueueDepth]:
        return self._rows().depths(self._clock.micros())

    async def canary_completed_at(self) -> datetime | None:
        completed_at = self._rows().canary_completed_at
        return None if completed_at is None else from_micros(completed_at)

    # retention

    async def prune_many(self, status: TaskStatus, *, older_than: float, limit: int) -> int:
        self._check_open()
        await asyncio.sleep(0)  # or the pruner, which asks again while there is more, would hold the loop
        now = self._clock.micros()
        return self._stored.prune(status, before=later(now, -older_than), now=now, limit=limit)

    async def count_old(self, status: TaskStatus, *, older_than: float) -> int:
        now = self._clock.micros()
        return self._rows().count_old(status, before=later(now, -older_than), now=now)

    async def prune_ticks(self, *, older_than: float, limit: int) -> int:
        self._check_open()
        return self._schedules.prune(older_than=older_than, now=self._clock.micros(), limit=limit)

    async def ledger(self) -> Mapping[str, int]:
        rows = self._rows()
        live = sum(rows.count(status) for status in LIVE)
        terminal = sum(rows.count(status) for status in TERMINAL)
        return {"enqueued": rows.enqueued, "live": live, "terminal": terminal, "pruned": rows.pruned}

    # inside

    def _rows(self) -> Rows:
        self._check_open()
        return self._stored

    def _take_back(self, lost: Sequence[Row], max_lost_leases: int, now: int) -> Sequence[Rescued]:
        rescued = take_back(self._stored, lost, max_lost_leases=max_lost_leases, now=now)
        if rescued:
            self._wakeups.notify()
        return rescued
