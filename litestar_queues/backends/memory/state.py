"""In: rows and what happens to them. Out: each in one place by its state, with the indexes and counts that follow.

Every change is made between two awaits of one event loop, so nobody sees half of one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from heapq import heapify, heappop, heapreplace
from uuid import UUID

from litestar_queues.backends.laws import EXPIRED
from litestar_queues.backends.memory.rows import Heap, Queue, Row
from litestar_queues.records import CANARY_QUEUE, Enqueued, QueueDepth
from litestar_queues.status import TERMINAL, TaskStatus

__all__ = ("Rows",)

_RUNNING = TaskStatus.RUNNING
_COMPLETED = TaskStatus.COMPLETED


class Rows:
    """All records."""

    def __init__(self) -> None:
        self.by_id: dict[UUID, Row] = {}
        self.queues: dict[str, Queue] = {}
        self.running: dict[UUID, Row] = {}
        self.ended = {status: Heap() for status in TERMINAL}
        """By the time at which they ended."""
        self.enqueued = 0
        self.pruned = 0
        self.canary_completed_at: int | None = None
        self._live_keys: dict[str, Row] = {}
        self._windows: dict[str, Row] = {}
        """The latest record with a ``unique_for`` of each key."""
        self._live_of_schedule: Counter[str] = Counter()

    def has_live_key(self, key: str) -> bool:
        """Whether a live record holds a key."""
        return key in self._live_keys

    def has_live_of(self, schedule: str) -> bool:
        """Whether a record of the schedule is live."""
        return schedule in self._live_of_schedule

    def insert(self, row: Row, now: int) -> Enqueued:
        """Add a new row unless its key is held; an id that is there already is a reply that got lost."""
        if row.new.key is not None and (holder := self._holder(row.new.key, now)) is not None:
            return Enqueued(holder.id, created=holder.id == row.id)
        if row.id not in self.by_id:
            self._add(row, now)
        return Enqueued(row.id, created=True)

    def choose(self, names: Sequence[str]) -> list[Queue]:
        """The named queues; without names every queue but the canary's."""
        if not names:
            return [queue for name, queue in self.queues.items() if name != CANARY_QUEUE]
        return [self.queues[name] for name in dict.fromkeys(names) if name in self.queues]

    def take(self, queues: Sequence[Queue], *, limit: int, now: int) -> tuple[list[Row], bool]:
        """The first due rows of these queues together, and whether others had expired."""
        for queue in queues:
            queue.promote(now)
        fronts = [(entry, queue) for queue in queues if (entry := queue.waiting.first()) is not None]
        heapify(fronts)
        taken: list[Row] = []
        expired = False
        while fronts and len(taken) < limit:
            queue = fronts[0][1]
            row = queue.waiting.pop()
            if (entry := queue.waiting.first()) is None:
                heappop(fronts)
            else:
                heapreplace(fronts, (entry, queue))
            if row.expires_at is not None and row.expires_at <= now:
                self.end(row, TaskStatus.CANCELLED, now, EXPIRED)
                expired = True
            else:
                taken.append(row)
        return taken, expired

    def hold(self, row: Row, token: int, worker_id: str, lease_until: int, now: int) -> None:
        """Let a worker have a row that was taken."""
        row.status = _RUNNING
        row.token, row.worker_id, row.lease_until, row.started_at = token, worker_id, lease_until, now
        row.attempt += 1
        row.queue.counts[_RUNNING] += 1
        self.running[row.id] = row

    def stale(self, now: int) -> list[Row]:
        """Running rows whose lease ran out, the longest first; there are as many as workers have slots."""
        stale = [row for row in self.running.values() if row.lease_until is not None and row.lease_until <= now]
        return sorted(stale, key=lambda row: row.lease_until or 0)

    def held(self, record_id: UUID, token: int) -> Row | None:
        """The running row that is held under this token."""
        row = self.running.get(record_id)
        return row if row is not None and row.token == token else None

    def wait_again(self, row: Row, now: int) -> None:
        """Let a running row wait again."""
        self._release(row)
        row.queue.wait(row, now)

    def end(self, row: Row, status: TaskStatus, now: int, error: str | None) -> None:
        """Bring a row to a terminal state, from wherever it is."""
        if row.status is _RUNNING:
            self._release(row)
        elif row.heap is not None:
            row.heap.drop(row)
        row.status, row.completed_at, row.error = status, now, error
        row.queue.counts[status] += 1
        self.ended[status].push(now, row)
        if status is _COMPLETED and row.queue.name == CANARY_QUEUE:
            self.canary_completed_at = max(now, self.canary_completed_at or now)
        self._leave(row)

    def revive(self, row: Row, now: int) -> None:
        """Make an ended row pending with a fresh set of attempts."""
        self.ended[row.status].drop(row)
        row.queue.counts[row.status] -= 1
        row.due_at, row.attempt, row.lost_leases, row.cancel_requested = now, 0, 0, False
        row.token = row.completed_at = row.expires_at = row.started_at = row.progress = None
        self._enter(row)
        row.queue.wait(row, now)

    def prune(self, status: TaskStatus, *, before: int, now: int, limit: int) -> int:
        """Delete the oldest rows of a terminal state that hold no key any more."""
        heap, kept, pruned = self.ended[status], [], 0
        while pruned < limit and (entry := heap.first()) is not None and entry[0] < before:
            row = heap.pop()
            if row.in_window(now):
                kept.append(entry)
                continue
            self._forget(row)
            pruned += 1
        for ended_at, _, row in kept:
            heap.push(ended_at, row)
        return pruned

    def count_old(self, status: TaskStatus, *, before: int, now: int) -> int:
        """How many rows of a terminal state could be deleted."""
        ended = (row for row in self.by_id.values() if row.status is status and not row.in_window(now))
        return sum(row.completed_at is not None and row.completed_at < before for row in ended)

    def count(self, status: TaskStatus, queue: str | None = None) -> int:
        """How many rows are in a state."""
        queues = self.queues.values() if queue is None else self.choose((queue,))
        return sum(one.count(status) for one in queues)

    def depths(self, now: int) -> list[QueueDepth]:
        """The live rows of each queue that has any, by name."""
        depths = (self.queues[name].depth(now) for name in sorted(self.queues))
        return [one for one in depths if one.pending or one.scheduled or one.running]

    def _holder(self, key: str, now: int) -> Row | None:
        """The record that holds a key: a live one, or one within its window."""
        holder = self._live_keys.get(key)
        if holder is None:
            holder = self._windows.get(key)
            if holder is not None and not holder.in_window(now):
                return None
        return holder

    def _add(self, row: Row, now: int) -> None:
        queue = self.queues.get(row.new.queue)
        if queue is None:
            queue = self.queues[row.new.queue] = Queue(row.new.queue)
        row.queue = queue
        self.by_id[row.id] = row
        self.enqueued += 1
        if row.unique_until is not None and row.new.key is not None:
            self._windows[row.new.key] = row
        self._enter(row)
        queue.wait(row, now)

    def _release(self, row: Row) -> None:
        del self.running[row.id]
        row.lease_until = None
        row.queue.counts[_RUNNING] -= 1

    def _enter(self, row: Row) -> None:
        """Note that a row is live."""
        if row.new.key is not None:
            self._live_keys[row.new.key] = row
        if row.new.schedule is not None:
            self._live_of_schedule[row.new.schedule] += 1

    def _leave(self, row: Row) -> None:
        """Note that a row is live no more."""
        if row.new.key is not None:
            del self._live_keys[row.new.key]
        if row.new.schedule is not None:
            self._live_of_schedule[row.new.schedule] -= 1
            if not self._live_of_schedule[row.new.schedule]:
                del self._live_of_schedule[row.new.schedule]

    def _forget(self, row: Row) -> None:
        del self.by_id[row.id]
        row.queue.counts[row.status] -= 1
        self.pruned += 1
        key = row.new.key
        if key is not None and self._windows.get(key) is row:
            del self._windows[key]
