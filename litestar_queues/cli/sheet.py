"""In: one record. Out: all that an operator wants to know of it, as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from litestar_queues.cli.printing import duration, moment, plain, plain_lines, shortened, to_json
from litestar_queues.status import TaskStatus

if TYPE_CHECKING:
    from datetime import datetime

    from litestar_queues.records import AttemptError, QueuedTaskRecord

__all__ = ("sheet",)

_LONGEST_VALUE = 2_000
_WIDTH = 10


def sheet(record: QueuedTaskRecord) -> str:
    """One line for each fact that there is, then each error with its traceback."""
    facts = [*_what(record), *_when(record), *_contents(record)]
    lines = [f"{name:<{_WIDTH}}  {shortened(value, _LONGEST_VALUE)}" for name, value in facts if value is not None]
    return "\n".join([*lines, *(line for one in record.errors for line in _error(one))])


def _what(record: QueuedTaskRecord) -> Iterator[tuple[str, object]]:
    yield "id", record.id
    yield "task", record.task_name
    yield "queue", record.queue
    yield "status", f"{record.status}{', asked to stop' if record.cancel_requested else ''}"
    yield "attempt", f"{record.attempt} of {record.max_attempts}"
    yield "lost", f"{record.lost_leases} workers vanished while they held it" if record.lost_leases else None
    yield "runs", "at most once" if record.at_most_once else None
    yield "priority", record.priority or None
    yield "key", record.key
    yield "schedule", record.schedule
    yield "timeout", None if record.timeout is None else duration(record.timeout)


def _when(record: QueuedTaskRecord) -> Iterator[tuple[str, object]]:
    yield "enqueued", moment(record.created_at)
    yield "due", moment(record.scheduled_at)
    yield "expires", None if record.expires_at is None else moment(record.expires_at)
    yield "started", _with_span(record.started_at, "waited", record.scheduled_at)
    yield "ended", _with_span(record.completed_at, "ran", record.started_at)
    if record.status is TaskStatus.RUNNING:
        yield "held by", f"{record.worker_id}, which vouches for it until {moment(record.lease_until)}"
    else:
        yield "last held", None if record.worker_id is None else f"by {record.worker_id}"


def _with_span(at: datetime | None, verb: str, began: datetime | None) -> str | None:
    if at is None:
        return None
    return moment(at) if began is None else f"{moment(at)}, {verb} {duration((at - began).total_seconds())}"


def _contents(record: QueuedTaskRecord) -> Iterator[tuple[str, object]]:
    for name, value in (
        ("args", list(record.args)),
        ("kwargs", dict(record.kwargs)),
        ("metadata", dict(record.metadata)),
        ("progress", record.progress),
        ("result", record.result),
    ):
        yield name, _json(value)
    yield "error", record.error


def _json(value: Any) -> str | None:
    return None if value in (None, [], {}) else to_json(value)


def _error(one: AttemptError) -> Iterator[str]:
    yield ""
    yield f"attempt {one.attempt}, {moment(one.at)}: {plain(one.error.type)}: {plain(one.error.message)}"
    yield from (f"    {line}" for line in plain_lines(one.error.traceback.rstrip("\n")) if one.error.traceback)
