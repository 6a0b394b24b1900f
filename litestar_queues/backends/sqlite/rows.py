"""In: rows. Out: records, counts and times, decoded for reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from litestar_queues.backends.laws import arguments_of, errors_of, json_of, metadata_of
from litestar_queues.backends.sqlite.calls import Work
from litestar_queues.backends.statements import load_statements
from litestar_queues.clock import MICROSECONDS, from_micros
from litestar_queues.records import QueueDepth, QueuedTaskRecord, QueueStatistics, RecordFilter
from litestar_queues.status import TaskStatus

__all__ = ("canary_completed_at", "get_records", "ledger", "list_records", "page_bound", "queue_depths", "statistics")

SQL = load_statements("sqlite")


def get_records(work: Work, ids: Sequence[UUID]) -> dict[UUID, QueuedTaskRecord]:
    """The records that exist."""
    found = {}
    for record_id in ids:
        row = work.execute(SQL["get_record"], {"id": record_id.bytes}).fetchone()
        if row is not None:
            found[record_id] = _record(row)
    return found


def list_records(work: Work, which: RecordFilter) -> list[QueuedTaskRecord]:
    """A page of records."""
    wanted = _bounds(which) | {
        "queue": which.queue,
        "task": which.task,
        "key": which.key,
        "schedule": which.schedule,
        "worker_id": which.worker_id,
        "oldest_first": which.oldest_first,
        "limit": which.limit,
    }
    ids = [UUID(bytes=row[0]) for row in work.execute(SQL[_walk(which)], wanted).fetchall()]
    return list(get_records(work, ids).values())


def page_bound(work: Work, which: RecordFilter, count: int) -> UUID | None:
    """The last record to look at for a page."""
    bound = _BOUNDS.get(_walk(which))
    if bound is None:
        return None
    row = work.execute(SQL[bound], _bounds(which) | {"skipped": count - 1}).fetchone()
    return None if row is None else UUID(bytes=row[0])


_BOUNDS = {
    "page_newest": "page_bound_newest",
    "page_oldest": "page_bound_oldest",
    "page_unsuccessful_newest": "page_bound_unsuccessful_newest",
    "page_unsuccessful_oldest": "page_bound_unsuccessful_oldest",
}
"""The walks that may be long."""


def _walk(which: RecordFilter) -> str:
    """The statement that finds the ids of a page: the shortest walk, where few records have the state or the name."""
    order = "oldest" if which.oldest_first else "newest"
    match which:
        case RecordFilter(key=str()):
            return f"page_of_key_{order}"
        case RecordFilter(status=TaskStatus.PENDING | TaskStatus.SCHEDULED | TaskStatus.RUNNING):
            return "page_live"
        case RecordFilter(status=TaskStatus.FAILED | TaskStatus.CANCELLED):
            return f"page_unsuccessful_{order}"
        case RecordFilter(schedule=str()):
            return f"page_of_schedule_{order}"
        case _:
            return f"page_{order}"


def _bounds(which: RecordFilter) -> dict[str, Any]:
    after, before = which.id_bounds()
    status = None if which.status is None else which.status.value
    return {"status": status, "after": after.bytes, "before": before.bytes}


def statistics(work: Work, queue: str | None) -> QueueStatistics:
    """Counts by state."""
    if queue is None:
        rows = work.execute(SQL["statistics"])
    else:
        rows = work.execute(SQL["statistics_of_queue"], {"queue": queue})
    return QueueStatistics(**dict(rows.fetchall()))


def canary_completed_at(work: Work) -> datetime | None:
    """When a record of the canary queue last completed."""
    return _moment(work.execute(SQL["canary"]).fetchone()[0])


def queue_depths(work: Work) -> list[QueueDepth]:
    """Live records by queue."""
    return [
        QueueDepth(
            queue, pending, scheduled, running, None if due_at is None else max(0, work.now - due_at) / MICROSECONDS
        )
        for queue, pending, scheduled, running, due_at in work.execute(SQL["queue_depths"], {"now": work.now})
    ]


def ledger(work: Work) -> Mapping[str, int]:
    """The balance."""
    return dict(zip(("enqueued", "live", "terminal", "pruned"), work.execute(SQL["ledger"]).fetchone(), strict=True))


def _record(row: Sequence[Any]) -> QueuedTaskRecord:
    (
        record_id, task, payload, queue, status, priority, attempt, max_attempts, timeout, key, created_at, due_at,
        expires_at, started_at, completed_at, lease_until, worker_id, result, error, errors, progress, metadata,
        lost_leases, cancel_requested, execution_backend, execution_profile, schedule, at_most_once,
    ) = row  # fmt: skip
    args, kwargs = arguments_of(payload)
    return QueuedTaskRecord(
        id=UUID(bytes=record_id),
        task_name=task,
        args=tuple(args),
        kwargs=kwargs,
        queue=queue,
        status=TaskStatus(status),
        priority=priority,
        attempt=attempt,
        max_attempts=max_attempts,
        timeout=timeout,
        key=key,
        created_at=from_micros(created_at),
        scheduled_at=from_micros(due_at),
        expires_at=_moment(expires_at),
        started_at=_moment(started_at),
        completed_at=_moment(completed_at),
        lease_until=_moment(lease_until),
        worker_id=worker_id,
        result=json_of(result),
        error=error,
        errors=errors_of(errors),
        progress=json_of(progress),
        metadata=metadata_of(metadata),
        lost_leases=lost_leases,
        cancel_requested=bool(cancel_requested),
        execution_backend=execution_backend,
        execution_profile=execution_profile,
        schedule=schedule,
        at_most_once=bool(at_most_once),
    )


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
