"""In: rows and filters. Out: claims, records and schedules, and the statements of their pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from litestar_queues.backends.laws import arguments_of, errors_of, json_of, metadata_of
from litestar_queues.records import Claim, QueuedTaskRecord, RecordFilter
from litestar_queues.status import TaskStatus
from litestar_queues.ticks import ScheduleRow

__all__ = ("Round", "as_record", "as_schedule", "bound", "page")


class Round(NamedTuple):
    """What the statement ``finish_and_claim`` answers, column by column; without ``ids`` it held no record."""

    finished: Sequence[UUID] | None
    finished_tokens: Sequence[int] | None
    expired: Sequence[UUID] | None
    next_due_in: float | None
    ids: Sequence[UUID] | None
    tasks: Sequence[str]
    queues: Sequence[str]
    payloads: Sequence[str]
    attempts: Sequence[int]
    max_attempts: Sequence[int]
    timeouts: Sequence[float | None]
    metadata: Sequence[str | None]
    backoffs: Sequence[str | None]
    execution_backends: Sequence[str | None]
    execution_profiles: Sequence[str | None]
    schedules: Sequence[str | None]
    waited: Sequence[float]
    at_most_once: Sequence[bool]
    ranks: Sequence[int]
    due_ats: Sequence[datetime]
    token: int
    met_a_pause: bool
    """Whether a queue is paused of which the claim did not know; then it held nothing."""

    def accepted(self) -> set[tuple[UUID, int]]:
        """The outcomes that were stored, by id and token."""
        return set(zip(self.finished or (), self.finished_tokens or (), strict=True))

    def claims(self) -> list[Claim]:
        """The records that were held."""
        if self.ids is None:
            return []
        return [
            Claim(
                record_id, self.token, task, queue, payload.encode(), attempt, max_attempts, timeout,
                None if metadata is None else metadata.encode(), None if backoff is None else backoff.encode(),
                execution_backend, execution_profile, schedule, waited, at_most_once,
            )
            for record_id, task, queue, payload, attempt, max_attempts, timeout, metadata, backoff,
            execution_backend, execution_profile, schedule, waited, at_most_once in zip(
                self.ids, self.tasks, self.queues, self.payloads, self.attempts, self.max_attempts, self.timeouts,
                self.metadata, self.backoffs, self.execution_backends, self.execution_profiles, self.schedules,
                self.waited, self.at_most_once, strict=True,
            )
        ]  # fmt: skip


def as_record(row: Sequence[Any]) -> QueuedTaskRecord:
    """Decode a record, live or ended."""
    (
        record_id, task, payload, queue, status, rank, attempt, max_attempts, timeout, key, created_at, due_at,
        expires_at, started_at, completed_at, lease_until, worker_id, result, error, errors, progress, metadata,
        lost_leases, cancel_requested, execution_backend, execution_profile, schedule, at_most_once,
    ) = row  # fmt: skip
    args, kwargs = arguments_of(payload)
    return QueuedTaskRecord(
        id=record_id,
        task_name=task,
        args=tuple(args),
        kwargs=kwargs,
        queue=queue,
        status=TaskStatus(status),
        priority=-rank,
        attempt=attempt,
        max_attempts=max_attempts,
        timeout=timeout,
        key=key,
        created_at=created_at,
        scheduled_at=due_at,
        expires_at=expires_at,
        started_at=started_at,
        completed_at=completed_at,
        lease_until=lease_until,
        worker_id=worker_id,
        result=json_of(result),
        error=error,
        errors=errors_of(errors),
        progress=json_of(progress),
        metadata=metadata_of(metadata),
        lost_leases=lost_leases,
        cancel_requested=cancel_requested,
        execution_backend=execution_backend,
        execution_profile=execution_profile,
        schedule=schedule,
        at_most_once=at_most_once,
    )


def as_schedule(row: Sequence[Any]) -> ScheduleRow:
    """Decode a schedule."""
    name, task, definition, next_at, paused, last_at, last_record, seen_at = row[:8]
    return ScheduleRow(
        name=name,
        task=task,
        definition=definition,
        next_at=next_at,
        paused=paused,
        last_at=last_at,
        last_record=last_record,
        seen_at=seen_at,
    )


def page(which: RecordFilter) -> tuple[Any, ...]:
    """The statement that finds the ids of a page, and its arguments."""
    filters = (which.queue, which.task, which.key, which.schedule, which.worker_id)
    return (f"page_{_walk(which)}{_order(which)}", *which.id_bounds(), _status(which), *filters, which.limit)


def bound(which: RecordFilter, count: int) -> tuple[Any, ...] | None:
    """The statement that says where a look at so many records ends, and its arguments; ``None`` where it is short."""
    if _walk(which) not in _LONG_WALKS:
        return None
    return f"page_bound_{_order(which)}", *which.id_bounds(), _status(which), count - 1


_LONG_WALKS = ("", "unsuccessful_")


def _walk(which: RecordFilter) -> str:
    """The shortest way to what fits, where few records have the state or the name; else along all ids."""
    match which:
        case RecordFilter(key=str()):
            return "of_key_"
        case RecordFilter(status=TaskStatus.RUNNING):
            return "running_"
        case RecordFilter(status=TaskStatus.FAILED | TaskStatus.CANCELLED):
            return "unsuccessful_"
        case RecordFilter(schedule=str()):
            return "of_schedule_"
        case _:
            return ""


def _order(which: RecordFilter) -> str:
    return "oldest" if which.oldest_first else "newest"


def _status(which: RecordFilter) -> str | None:
    return None if which.status is None else which.status.value
