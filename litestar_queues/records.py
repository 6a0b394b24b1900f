"""In: what a caller wants run. Out: the values that travel between the rooms; no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from litestar_queues.ids import first_id_at
from litestar_queues.outcomes import RunError
from litestar_queues.status import TaskStatus

__all__ = (
    "CANARY_QUEUE",
    "AttemptError",
    "Claim",
    "ClaimBatch",
    "Enqueued",
    "Held",
    "NewRecord",
    "QueueStatistics",
    "QueuedTaskRecord",
    "RecordFilter",
    "RecordPage",
    "Renewal",
    "Rescued",
)

CANARY_QUEUE = "litestar-queues.canary"
"""The reserved queue of the canary task: claimed by every worker, outside slots and ``--queue`` filters.
A claim over "all queues" leaves it out; it is claimed only by its name."""


class NewRecord(NamedTuple):
    """A record as the producer minted it, encoded and checked, ready to be inserted."""

    id: UUID
    task: str
    payload: bytes
    """JSON ``[[positional arguments], {keyword arguments}]``."""
    queue: str = "default"
    priority: int = 0
    max_attempts: int = 1
    """``retries`` + 1."""
    timeout: float | None = None
    """Seconds that one attempt may run."""
    key: str | None = None
    """At most one live record per key."""
    unique_for: float | None = None
    """Seconds from the enqueue in which the key stays taken even after the record ended."""
    delay: float = 0.0
    """Seconds from the store's now until the record is due; ignored where ``scheduled_at`` is set."""
    scheduled_at: datetime | None = None
    """Absolute, aware due time."""
    expires_in: float | None = None
    """Seconds from the store's now after which the record is not started any more."""
    metadata: bytes | None = None
    """JSON object of the caller's own."""
    backoff: bytes | None = None
    """JSON of a retry policy that replaces the task's own for this record."""
    execution_backend: str | None = None
    execution_profile: str | None = None
    schedule: str | None = None
    """Name of the schedule that made the record."""
    at_most_once: bool = False
    """The record fails where another would run again: when its worker vanishes, or a drain cuts its run off."""


class Enqueued(NamedTuple):
    """What became of one :class:`NewRecord`."""

    id: UUID
    """The record's id: the new one, or the one that already holds the key."""
    created: bool
    """False where the key was taken and nothing was written."""


class Claim(NamedTuple):
    """A record held by this worker, with all that a run needs."""

    id: UUID
    token: int
    task: str
    queue: str
    payload: bytes
    attempt: int
    """1 for the first."""
    max_attempts: int
    timeout: float | None
    metadata: bytes | None
    backoff: bytes | None
    execution_backend: str | None
    execution_profile: str | None
    schedule: str | None
    waited: float
    """Seconds between due and claimed."""
    at_most_once: bool = False


class ClaimBatch(NamedTuple):
    """The answer to one claim."""

    claims: Sequence[Claim]
    """In the order of the law: priority (bigger first), due time, id."""
    next_due_in: float | None = None
    """Seconds until the next delayed record of these queues is due; ``None`` where there is none, or where the
    batch was full (ask again at once)."""


class Held(NamedTuple):
    """A claim as the renewal names it."""

    id: UUID
    token: int


class Renewal(NamedTuple):
    """The answer to one renewal."""

    lost: Sequence[UUID]
    """No longer held under the token: stop them, they change nothing any more."""
    cancelled: Sequence[UUID]
    """Still held, but somebody asked for their cancellation."""


class Rescued(NamedTuple):
    """A record whose lease ran out, and where it went."""

    id: UUID
    task: str
    queue: str
    worker_id: str
    status: TaskStatus
    """``PENDING`` (runs again), ``FAILED`` (too many lost leases) or ``CANCELLED`` (it had been asked for)."""


@dataclass(frozen=True, slots=True)
class AttemptError:
    """One failed attempt of a record."""

    attempt: int
    at: datetime
    error: RunError


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedTaskRecord:
    """A record as it is stored, decoded for reading."""

    id: UUID
    task_name: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    queue: str
    status: TaskStatus
    priority: int = 0
    attempt: int = 0
    """Attempts started and not given back."""
    max_attempts: int = 1
    timeout: float | None = None
    key: str | None = None
    created_at: datetime
    scheduled_at: datetime
    """When the record is or was due."""
    expires_at: datetime | None = None
    started_at: datetime | None = None
    """Start of the latest attempt."""
    completed_at: datetime | None = None
    """When the record reached a terminal state."""
    lease_until: datetime | None = None
    worker_id: str | None = None
    """The holder while it runs, else the last holder."""
    result: Any = None
    error: str | None = None
    """``Type: message`` of the latest failure, or why the record was cancelled or snoozed."""
    errors: Sequence[AttemptError] = ()
    """Every failed attempt, oldest first."""
    progress: Mapping[str, Any] | None = None
    """The latest progress that the task published: ``current``, ``total``, ``message``."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    lost_leases: int = 0
    cancel_requested: bool = False
    execution_backend: str | None = None
    execution_profile: str | None = None
    schedule: str | None = None
    at_most_once: bool = False

    @property
    def is_terminal(self) -> bool:
        """Whether the record has reached its last state."""
        return self.status.is_terminal

    @property
    def retry_count(self) -> int:
        """Attempts after the first."""
        return max(0, self.attempt - 1)

    @property
    def max_retries(self) -> int:
        """Attempts allowed after the first."""
        return self.max_attempts - 1


_NO_ID, _LAST_ID = UUID(int=0), UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFilter:
    """Which records ``list_tasks`` shows; paged by id, newest first unless told otherwise."""

    status: TaskStatus | None = None
    queue: str | None = None
    task: str | None = None
    key: str | None = None
    schedule: str | None = None
    worker_id: str | None = None
    """Those that this worker holds or held last."""
    created_after: datetime | None = None
    """Aware; only records minted then or later, by the time in their ids: the clock of whoever enqueued them."""
    created_before: datetime | None = None
    """Aware; only records minted earlier than that."""
    before: UUID | None = None
    """Only records minted before this id: the last id of the page before, where the newest come first."""
    after: UUID | None = None
    """Only records minted after this id: the last id of the page before, where the oldest come first."""
    oldest_first: bool = False
    limit: int = 100

    def id_bounds(self) -> tuple[UUID, UUID]:
        """The ids between which all of these records lie, both left out; every page is a walk along one index.

        Raises:
            ValueError: A time has no zone.
        """
        lower, upper = self.after or _NO_ID, self.before or _LAST_ID
        if self.created_after is not None:
            lower = max(lower, UUID(int=first_id_at(self.created_after).int - 1))
        if self.created_before is not None:
            upper = min(upper, first_id_at(self.created_before))
        return lower, upper

    def reaching(self, last: UUID) -> RecordFilter:
        """The same, of no record that comes behind this one."""
        if self.oldest_first:
            return replace(self, before=UUID(int=last.int + 1))
        return replace(self, after=UUID(int=last.int - 1))


class RecordPage(NamedTuple):
    """A page of records that was read within bounds."""

    records: Sequence[QueuedTaskRecord]
    next: UUID | None
    """Where the next page begins: its ``before``, or its ``after`` where the oldest come first; ``None``: nowhere."""
    cut_short: bool
    """Whether the page is not full because so many records were looked at; further ones may fit."""


class QueueDepth(NamedTuple):
    """The live records of one queue."""

    queue: str
    pending: int
    """Due and waiting for a worker; also delayed ones that are due and that no claim has come across yet."""
    scheduled: int
    """Not due yet."""
    running: int
    oldest_due_age: float | None
    """Seconds for which the longest waiting of the pending ones has been due; ``None`` where there is none."""


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """Stored records by state."""

    pending: int = 0
    scheduled: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        """All stored records."""
        return self.pending + self.scheduled + self.running + self.completed + self.failed + self.cancelled

    def as_dict(self) -> dict[str, int]:
        """The seven counts in the order that `litestar queues status` prints them."""
        return {
            "pending": self.pending,
            "scheduled": self.scheduled,
            "running": self.running,
            "completed": self.completed,
            "failed": self.failed,
            "cancelled": self.cancelled,
            "total": self.total,
        }
