"""In: what a store is asked. Out: what it must answer and hold then, in the plainest words: no index, no haste.

It is written from the promises about records (docs/concepts/guarantees.md and the docstrings of the seam), and shares
no code with any store but the wording of reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from litestar_queues.backends.laws import CANCELLED_ON_REQUEST, EXPIRED, LOST_ONCE, lost_too_often
from litestar_queues.clock import Clock
from litestar_queues.outcomes import Completion
from litestar_queues.records import (
    CANARY_QUEUE,
    Enqueued,
    Held,
    NewRecord,
    QueueDepth,
    QueuedTaskRecord,
    Rescued,
)
from litestar_queues.status import TERMINAL, TaskStatus
from tests.contract.model.rows import (
    CANCELLED,
    COMPLETED,
    FAILED,
    PENDING,
    RUNNING,
    SCHEDULED,
    Row,
    after,
)  # fmt: skip

__all__ = ("Model",)


class Model:
    """The records and pauses of one store."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.rows: dict[UUID, Row] = {}
        self.pauses: dict[str, tuple[datetime, datetime | None]] = {}
        self.pruned = 0
        self.canary_completed_at: datetime | None = None

    @property
    def now(self) -> datetime:
        return self.clock.now()

    # producers

    def enqueue(self, records: Iterable[NewRecord]) -> list[Enqueued]:
        return [self._enqueue(new) for new in records]

    def _enqueue(self, new: NewRecord) -> Enqueued:
        holder = self._holder(new.key)
        if holder is not None:
            return Enqueued(holder.seen.id, created=holder.seen.id == new.id)
        if new.id not in self.rows:  # else the answer to an earlier enqueue was lost
            self.rows[new.id] = self._row(new)
        return Enqueued(new.id, created=True)

    def _holder(self, key: str | None) -> Row | None:
        """A live record goes before one that holds the key by its window."""
        rows = [row for row in self.rows.values() if key is not None and row.seen.key == key]
        live = [row for row in rows if row.is_live]
        assert len(live) <= 1
        return next(iter(live or [row for row in rows if row.keeps_key(self.now)]), None)

    def _row(self, new: NewRecord) -> Row:
        now = self.now
        due_at = new.scheduled_at or now + timedelta(seconds=new.delay)
        seen = QueuedTaskRecord(
            id=new.id,
            task_name=new.task,
            queue=new.queue,
            status=SCHEDULED if due_at > now else PENDING,
            priority=new.priority,
            max_attempts=new.max_attempts,
            key=new.key,
            created_at=now,
            scheduled_at=due_at,
            expires_at=after(now, new.expires_in),
            schedule=new.schedule,
            at_most_once=new.at_most_once,
        )
        return Row(seen, None if new.key is None else after(now, new.unique_for))

    def cancel(self, ids: Iterable[UUID], *, include_running: bool) -> dict[UUID, TaskStatus]:
        cancelled = {}
        for row in self._rows(ids):
            if row.is_waiting:
                row.end(CANCELLED, self.now, CANCELLED_ON_REQUEST)
            elif row.seen.status is RUNNING and include_running:
                row.change(cancel_requested=True)
            else:
                continue
            cancelled[row.seen.id] = row.seen.status
        return cancelled

    def retry(self, ids: Iterable[UUID]) -> set[UUID]:
        retried = set()
        for row in self._rows(ids):
            holder = self._holder(row.seen.key)
            if row.seen.status in (FAILED, CANCELLED) and (holder is None or not holder.is_live):
                fresh = {"attempt": 0, "lost_leases": 0, "cancel_requested": False}
                past = dict.fromkeys(("completed_at", "expires_at", "started_at", "progress"))
                row.change(**fresh, **past)
                row.wait(self.now, self.now)
                retried.add(row.seen.id)
        return retried

    # workers

    def claim(self, worker_id: str, queues: Sequence[str], *, limit: int, lease: float) -> list[Row]:
        """The records that the worker must get, in this order."""
        self._promote(queues)
        waiting = [row for row in self._claimable(queues) if row.seen.status is PENDING]
        waiting.sort(key=lambda row: (-row.seen.priority, row.seen.scheduled_at, row.seen.id))
        held: list[Row] = []
        for row in waiting:
            if len(held) == limit:
                break
            if row.seen.expires_at is not None and row.seen.expires_at <= self.now:
                row.end(CANCELLED, self.now, EXPIRED)
                continue
            row.change(
                status=RUNNING,
                attempt=row.seen.attempt + 1,
                worker_id=worker_id,
                started_at=self.now,
                lease_until=after(self.now, lease),
            )
            held.append(row)
        return held

    def next_due_in(self, queues: Sequence[str]) -> float | None:
        """Seconds until a claim of these queues may find more: a delayed record, or the end of a pause."""
        moments = [row.seen.scheduled_at for row in self._claimable(queues) if row.seen.status is SCHEDULED]
        for row in self.rows.values():
            until = self.pauses.get(row.seen.queue, (None, None))[1]
            if until is not None and self._is_paused(row.seen.queue) and _wants(queues, row.seen.queue):
                moments += [until] if row.is_waiting else []
        return (min(moments) - self.now).total_seconds() if moments else None

    def _promote(self, queues: Sequence[str]) -> None:
        for row in self._claimable(queues):
            if row.seen.status is SCHEDULED and row.seen.scheduled_at <= self.now:
                row.change(status=PENDING)

    def _claimable(self, queues: Sequence[str]) -> list[Row]:
        rows = [row for row in self.rows.values() if _wants(queues, row.seen.queue)]
        return [row for row in rows if not self._is_paused(row.seen.queue)]

    def finish(self, completions: Iterable[Completion]) -> list[UUID]:
        """The refused ones."""
        return [one.id for one in completions if not self._finish(one)]

    def _finish(self, one: Completion) -> bool:
        row = self.held(one.id, one.token)
        if row is None:
            return False
        row.finish(one.outcome, self.now)
        if row.seen.status is COMPLETED and row.seen.queue == CANARY_QUEUE:
            self.canary_completed_at = self.now
        return True

    def held(self, record_id: UUID, token: int) -> Row | None:
        row = self.rows.get(record_id)
        return row if row is not None and row.seen.status is RUNNING and row.token == token else None

    def renew(self, claims: Iterable[Held], *, lease: float) -> tuple[set[UUID], set[UUID]]:
        """Those that are lost, and those that somebody asked to stop."""
        lost, cancelled = set(), set()
        for one in claims:
            row = self.held(*one)
            if row is None:
                lost.add(one.id)
                continue
            row.change(lease_until=after(self.now, lease))
            if row.seen.cancel_requested:
                cancelled.add(one.id)
        return lost, cancelled

    def save_progress(self, progress: Mapping[Held, Mapping[str, int]]) -> None:
        for one, news in progress.items():
            row = self.held(*one)
            if row is not None:
                row.change(progress=news)

    def running(self, worker_id: str | None = None) -> list[Row]:
        rows = [row for row in self.rows.values() if row.seen.status is RUNNING]
        return [row for row in rows if worker_id in {None, row.seen.worker_id}]

    def stale(self) -> list[Row]:
        """Those whose lease ran out."""
        return [row for row in self.running() if row.seen.lease_until is None or row.seen.lease_until <= self.now]

    def former(self, worker_id: str) -> list[Row]:
        """Those that an earlier process of the same name holds."""
        name = worker_id.split(":", maxsplit=1)[0]
        rows = [row for row in self.running() if row.seen.worker_id != worker_id]
        return [row for row in rows if (row.seen.worker_id or "").split(":")[0] == name]

    def take_back(self, rows: Iterable[Row], *, max_lost_leases: int) -> set[Rescued]:
        """Take these records from holders that are gone."""
        rescued = set()
        for row in rows:
            lost = row.seen.lost_leases + 1
            row.change(lost_leases=lost)
            if row.seen.cancel_requested or (lost < max_lost_leases and not row.seen.at_most_once):
                row.give_back(row.seen.scheduled_at, self.now)
            else:
                row.end(FAILED, self.now, LOST_ONCE if row.seen.at_most_once else lost_too_often(max_lost_leases))
            seen = row.seen
            rescued.add(Rescued(seen.id, seen.task_name, seen.queue, seen.worker_id or "", seen.status))
        return rescued

    # operators

    def pause(self, queue: str, seconds: float | None) -> None:
        since = self.pauses[queue][0] if self._is_paused(queue) else self.now
        self.pauses[queue] = since, after(self.now, seconds)

    def resume(self, queue: str) -> bool:
        was_paused = self._is_paused(queue)
        self.pauses.pop(queue, None)
        return was_paused

    def _is_paused(self, queue: str) -> bool:
        until = self.pauses[queue][1] if queue in self.pauses else self.now
        return until is None or self.now < until

    def paused(self) -> list[tuple[str, datetime, datetime | None]]:
        return [(queue, *self.pauses[queue]) for queue in sorted(self.pauses) if self._is_paused(queue)]

    def prunable(self, status: TaskStatus, *, older_than: float) -> set[UUID]:
        before = self.now - timedelta(seconds=older_than)
        rows = [row for row in self.rows.values() if row.seen.status is status and not row.keeps_key(self.now)]
        return {row.seen.id for row in rows if row.seen.completed_at and row.seen.completed_at < before}

    def forget(self, ids: Iterable[UUID]) -> None:
        for one in ids:
            del self.rows[one]
            self.pruned += 1

    # what anybody may see

    def count(self, queue: str | None = None) -> dict[str, int]:
        states = [row.seen.status for row in self.rows.values() if queue in {None, row.seen.queue}]
        return {**{status.value: states.count(status) for status in TaskStatus}, "total": len(states)}

    def ledger(self) -> dict[str, int]:
        live = sum(row.is_live for row in self.rows.values())
        terminal = sum(row.seen.status in TERMINAL for row in self.rows.values())
        return {"enqueued": live + terminal + self.pruned, "live": live, "terminal": terminal, "pruned": self.pruned}

    def depths(self) -> list[QueueDepth]:
        live = [row.seen for row in self.rows.values() if row.is_live]
        return [self._depth(queue, live) for queue in sorted({seen.queue for seen in live})]

    def _depth(self, queue: str, live: Sequence[QueuedTaskRecord]) -> QueueDepth:
        waits = [seen.scheduled_at for seen in live if seen.queue == queue and seen.status is not RUNNING]
        due = [moment for moment in waits if moment <= self.now]
        running = sum(seen.queue == queue and seen.status is RUNNING for seen in live)
        oldest = (self.now - min(due)).total_seconds() if due else None
        return QueueDepth(queue, len(due), len(waits) - len(due), running, oldest)

    def _rows(self, ids: Iterable[UUID]) -> list[Row]:
        return [self.rows[one] for one in dict.fromkeys(ids) if one in self.rows]


def _wants(queues: Sequence[str], queue: str) -> bool:
    return queue in queues if queues else queue != CANARY_QUEUE
