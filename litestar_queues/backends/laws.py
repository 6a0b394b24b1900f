"""In: what was asked and what is stored. Out: the small rulings and texts that every store shares."""

from __future__ import annotations

from litestar_queues.clock import MICROSECONDS, to_micros
from litestar_queues.outcomes import RunError
from litestar_queues.records import NewRecord
from litestar_queues.status import TaskStatus

__all__ = (
    "CANCELLED_ON_REQUEST",
    "EXPIRED",
    "due_at",
    "fate_of_lost",
    "is_former_self",
    "later",
    "lost_too_often",
    "storable",
    "summary",
)

CANCELLED_ON_REQUEST = "cancelled on request"
EXPIRED = "expired before a worker could start it"


def due_at(record: NewRecord, now: int) -> int:
    """When a new record is due, in microseconds."""
    return later(now, record.delay) if record.scheduled_at is None else to_micros(record.scheduled_at)


def later(now: int, seconds: float) -> int:
    """So many seconds after now, in microseconds."""
    return now + int(seconds * MICROSECONDS)


def fate_of_lost(*, asked_to_stop: bool, lost_leases: int, max_lost_leases: int) -> TaskStatus:
    """Where a record goes that has just lost its holder, after so many before."""
    if asked_to_stop:
        return TaskStatus.CANCELLED
    return TaskStatus.FAILED if lost_leases + 1 >= max_lost_leases else TaskStatus.PENDING


def lost_too_often(times: int) -> str:
    """Say why a record failed whose holders kept vanishing."""
    return f"LeaseLost: {times} workers in a row vanished while they ran this record"


def is_former_self(holder: str, worker_id: str) -> bool:
    """Whether ``holder`` was a former process of the worker: the same name, another nonce."""
    name, colon, _ = worker_id.rpartition(":")
    return bool(colon) and holder != worker_id and holder.rpartition(":")[0] == name


def summary(error: RunError) -> str:
    """Name an error in one line of text."""
    return storable(f"{error.type}: {error.message}" if error.message else error.type)


def storable(text: str) -> str:
    """Replace lone surrogates, which exceptions may carry and UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()
    return text
