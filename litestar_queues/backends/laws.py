"""In: what was asked and what is stored. Out: the small rulings and texts that every store shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from litestar_queues.clock import MICROSECONDS, from_micros, to_micros
from litestar_queues.codec import decode_json, decode_payload
from litestar_queues.errors import InvalidArgumentError
from litestar_queues.options import LONGEST_NAME, is_name
from litestar_queues.outcomes import RunError
from litestar_queues.records import CANARY_QUEUE, AttemptError, NewRecord
from litestar_queues.status import TaskStatus

__all__ = (
    "CANCELLED_ON_REQUEST",
    "EXPIRED",
    "LOST_ONCE",
    "arguments_of",
    "check_pause",
    "due_at",
    "errors_of",
    "fate_of_lost",
    "is_former_self",
    "json_of",
    "later",
    "lost_too_often",
    "metadata_of",
    "minute_of",
    "storable",
    "summary",
    "text_of",
)

CANCELLED_ON_REQUEST = "cancelled on request"
LOST_ONCE = "LeaseLost: the worker vanished while it ran this record, which runs at most once"
EXPIRED = "expired before a worker could start it"

_FIRST = to_micros(datetime.min.replace(tzinfo=UTC))
_LONGEST_PAUSE = 100 * 365 * 86_400.0
_LAST = to_micros(datetime.max.replace(tzinfo=UTC))


def due_at(record: NewRecord, now: int) -> int:
    """When a new record is due, in microseconds.

    Raises:
        InvalidArgumentError: No datetime can hold it, so that the record could be stored and never be read.
    """
    due = later(now, record.delay) if record.scheduled_at is None else to_micros(record.scheduled_at)
    if not _FIRST <= due <= _LAST:
        raise InvalidArgumentError("a value cannot be stored: the due time is outside the years 1 to 9999 of UTC")
    return due


def later(now: int, seconds: float) -> int:
    """So many seconds after now, in microseconds."""
    return now + int(seconds * MICROSECONDS)


def fate_of_lost(
    *, asked_to_stop: bool, at_most_once: bool, lost_leases: int, max_lost_leases: int
) -> tuple[TaskStatus, str | None]:
    """Where a record goes that has just lost its holder, after so many before; and why, where it ends there."""
    if asked_to_stop:
        return TaskStatus.CANCELLED, CANCELLED_ON_REQUEST
    if at_most_once:
        return TaskStatus.FAILED, LOST_ONCE
    if lost_leases + 1 >= max_lost_leases:
        return TaskStatus.FAILED, lost_too_often(max_lost_leases)
    return TaskStatus.PENDING, None


def lost_too_often(times: int) -> str:
    """Say why a record failed whose holders kept vanishing."""
    return f"LeaseLost: {times} workers in a row vanished while they ran this record"


def is_former_self(holder: str, worker_id: str) -> bool:
    """Whether ``holder`` was a former process of the worker: the same name, another nonce."""
    name, colon, nonce = worker_id.rpartition(":")
    former_name, former_colon, former_nonce = holder.rpartition(":")
    return bool(colon and former_colon) and former_name == name and former_nonce != nonce


def arguments_of(text: str) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Decode stored arguments for reading; what somebody else wrote there is shown as it stands."""
    try:
        return decode_payload(text.encode())
    except (InvalidArgumentError, RecursionError):
        return (text,), {}


def metadata_of(text: str | None) -> Mapping[str, Any]:
    """Decode stored metadata for reading."""
    found = json_of(text)
    return found if isinstance(found, dict) else {} if found is None else {"unreadable": found}


def json_of(text: str | None) -> Any:
    """Decode a stored JSON text for reading; ``None`` for ``None``, and what is no JSON as it stands."""
    try:
        return None if text is None else decode_json(text.encode())
    except (ValueError, RecursionError):
        return text


def text_of(json: bytes | None) -> str | None:
    """Turn encoded JSON into the text that is stored; ``None`` for ``None``."""
    return None if json is None else json.decode()


def errors_of(text: str | None) -> Sequence[AttemptError]:
    """Decode the stored history of failed attempts."""
    try:
        return tuple(
            AttemptError(
                one["attempt"], from_micros(one["at"]), RunError(one["type"], one["message"], one["traceback"])
            )
            for one in json_of(text) or ()
        )
    except (TypeError, LookupError, ValueError, OverflowError):  # somebody else wrote it
        return ()


def summary(error: RunError) -> str:
    """Name an error in one line of text."""
    return storable(f"{error.type}: {error.message}" if error.message else error.type)


def storable(text: str) -> str:
    """Spell out what exceptions may carry and stores cannot: lone surrogates and nul."""
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode(errors="backslashreplace").decode()
    return text.replace("\0", "\\x00")


def check_pause(queue: str, seconds: float | None) -> None:
    """Refuse a pause that cannot be.

    Raises:
        InvalidArgumentError: It is the canary's queue or no name of a queue, or the seconds are no such number.
    """
    if queue == CANARY_QUEUE:
        msg = f"queue {queue!r} cannot be paused: its canary shows that workers work; pause the queues of your tasks"
        raise InvalidArgumentError(msg)
    if not is_name(queue):
        msg = f"queue={queue!r} is not accepted: give a printable name of 1 to {LONGEST_NAME} characters"
        raise InvalidArgumentError(msg)
    if seconds is not None and not 0 < seconds <= _LONGEST_PAUSE:
        msg = f"seconds={seconds!r} is not accepted: pause for a number of seconds above 0, or for None until resumed"
        raise InvalidArgumentError(msg)


def minute_of(now: int) -> int:
    """The start of the minute of a time, both in microseconds."""
    return now - now % (60 * MICROSECONDS)
