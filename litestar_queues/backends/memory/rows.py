"""In: new records. Out: rows, and the orders in which they wait."""

from __future__ import annotations

from collections import Counter
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any

from litestar_queues.backends.laws import due_at, later
from litestar_queues.clock import MICROSECONDS, from_micros
from litestar_queues.codec import decode_json, decode_payload
from litestar_queues.records import AttemptError, NewRecord, QueueDepth, QueuedTaskRecord, RecordFilter
from litestar_queues.status import TaskStatus

__all__ = ("Heap", "Queue", "Row", "fits")

_FEW = 64

_stamps = count(1)


class Row:
    """A record: as it was enqueued, and what has become of it. Times are microseconds, JSON is bytes."""

    __slots__ = (
        "attempt", "cancel_requested", "completed_at", "created_at", "due_at", "error", "errors", "expires_at", "heap",
        "id", "lease_until", "lost_leases", "new", "progress", "queue", "result", "stamp", "started_at", "status",
        "token", "unique_until", "worker_id",
    )  # fmt: skip

    def __init__(self, new: NewRecord, now: int) -> None:
        self.new = new
        self.id = new.id
        self.created_at = now
        self.due_at = due_at(new, now)
        self.expires_at = None if new.expires_in is None else later(now, new.expires_in)
        self.unique_until = None if new.unique_for is None or new.key is None else later(now, new.unique_for)
        self.queue: Queue
        self.status = TaskStatus.PENDING
        self.attempt = 0
        self.lost_leases = 0
        self.cancel_requested = False
        self.token: int | None = None
        self.lease_until: int | None = None
        self.worker_id: str | None = None
        self.started_at: int | None = None
        self.completed_at: int | None = None
        self.result: bytes | None = None
        self.error: str | None = None
        self.errors: tuple[AttemptError, ...] = ()
        self.progress: bytes | None = None
        self.heap: Heap | None = None
        self.stamp = 0

    def in_window(self, now: int) -> bool:
        """Whether its key is taken, ended or not."""
        return self.unique_until is not None and self.unique_until > now

    def read(self) -> QueuedTaskRecord:
        """Decode the record for reading."""
        new = self.new
        args, kwargs = decode_payload(new.payload)
        return QueuedTaskRecord(
            id=new.id,
            task_name=new.task,
            args=tuple(args),
            kwargs=kwargs,
            queue=new.queue,
            status=self.status,
            priority=new.priority,
            attempt=self.attempt,
            max_attempts=new.max_attempts,
            timeout=new.timeout,
            key=new.key,
            created_at=from_micros(self.created_at),
            scheduled_at=from_micros(self.due_at),
            expires_at=None if self.expires_at is None else from_micros(self.expires_at),
            started_at=None if self.started_at is None else from_micros(self.started_at),
            completed_at=None if self.completed_at is None else from_micros(self.completed_at),
            lease_until=None if self.lease_until is None else from_micros(self.lease_until),
            worker_id=self.worker_id,
            result=decode_json(self.result),
            error=self.error,
            errors=self.errors,
            progress=decode_json(self.progress),
            metadata=decode_json(new.metadata) or {},
            lost_leases=self.lost_leases,
            cancel_requested=self.cancel_requested,
            execution_backend=new.execution_backend,
            execution_profile=new.execution_profile,
            schedule=new.schedule,
            at_most_once=new.at_most_once,
        )


class Heap:
    """Rows in an order. One that leaves from the middle stays as a stale entry until half of them are."""

    __slots__ = ("_stale", "entries")

    def __init__(self) -> None:
        self.entries: list[tuple[Any, int, Row]] = []
        """Order, stamp and row; an entry counts while its row bears its stamp."""
        self._stale = 0

    def __len__(self) -> int:
        return len(self.entries) - self._stale

    def push(self, order: Any, row: Row) -> None:
        """Add a row that is in no heap."""
        row.heap, row.stamp = self, next(_stamps)
        heappush(self.entries, (order, row.stamp, row))

    def rows(self) -> list[Row]:
        """All rows, in no order."""
        return [entry[2] for entry in self.entries if entry[2].stamp == entry[1]]

    def first(self) -> tuple[Any, int, Row] | None:
        """The entry in front."""
        entries = self.entries
        while entries:
            entry = entries[0]
            if entry[2].stamp == entry[1]:
                return entry
            heappop(entries)
            self._stale -= 1
        return None

    def pop(self) -> Row:
        """Take the entry that :meth:`first` gave."""
        row = heappop(self.entries)[2]
        row.heap, row.stamp = None, 0
        return row

    def drop(self, row: Row) -> None:
        """Take out a row from wherever it is."""
        row.heap, row.stamp = None, 0
        self._stale += 1
        if self._stale > _FEW and self._stale * 2 > len(self.entries):
            self.entries = [entry for entry in self.entries if entry[2].stamp == entry[1]]
            heapify(self.entries)
            self._stale = 0


class Queue:
    """The waiting records of one queue, and how many are in the other states."""

    __slots__ = ("counts", "delayed", "name", "waiting")

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting = Heap()
        self.delayed = Heap()
        self.counts: Counter[TaskStatus] = Counter()
        """Running and ended ones."""

    @property
    def waits(self) -> bool:
        """Whether anything is there that a claim could take, now or later."""
        return bool(len(self.waiting) or len(self.delayed))

    def count(self, status: TaskStatus) -> int:
        """How many records are in a state."""
        match status:
            case TaskStatus.PENDING:
                return len(self.waiting)
            case TaskStatus.SCHEDULED:
                return len(self.delayed)
            case _:
                return self.counts[status]

    def depth(self, now: int) -> QueueDepth:
        """The live ones; this is a look, which promotes nothing."""
        due = [row.due_at for heap in (self.waiting, self.delayed) for row in heap.rows() if row.due_at <= now]
        age = max(0, now - min(due)) / MICROSECONDS if due else None
        waiting = len(self.waiting) + len(self.delayed)
        return QueueDepth(self.name, len(due), waiting - len(due), self.counts[TaskStatus.RUNNING], age)

    def promote(self, now: int) -> None:
        """Make delayed records that are due pending."""
        while (entry := self.delayed.first()) is not None and entry[0] <= now:
            self.wait(self.delayed.pop(), now)

    def wait(self, row: Row, now: int) -> None:
        """Let a row wait for a worker, or for its due time first."""
        if row.due_at > now:
            row.status = TaskStatus.SCHEDULED
            self.delayed.push(row.due_at, row)
        else:
            row.status = TaskStatus.PENDING
            self.waiting.push((-row.new.priority, row.due_at, row.id.int), row)


def fits(row: Row, which: RecordFilter) -> bool:
    """Whether a filter lets a row through, of whatever id."""
    new = row.new
    return (
        which.status in {None, row.status}
        and which.queue in {None, new.queue}
        and which.task in {None, new.task}
        and (which.key is None or which.key == new.key)
        and (which.schedule is None or which.schedule == new.schedule)
        and (which.worker_id is None or which.worker_id == row.worker_id)
    )
