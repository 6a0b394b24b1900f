"""In: a worker's demand, and what became of what it holds. Out: rows claimed, ended, renewed or taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never
from uuid import UUID

from litestar_queues.backends.laws import CANCELLED_ON_REQUEST, fate_of_lost, later, storable, summary
from litestar_queues.backends.memory.rows import Queue, Row
from litestar_queues.backends.memory.state import Rows
from litestar_queues.clock import MICROSECONDS, from_micros
from litestar_queues.ids import new_token
from litestar_queues.outcomes import Cancelled, Completed, Completion, Failed, Released, Retried, RunError, Snoozed
from litestar_queues.records import AttemptError, Claim, Held, Renewal, Rescued
from litestar_queues.status import TaskStatus

__all__ = ("finish", "hold", "renew", "save_progress", "take_back", "until_next")


def hold(rows: Rows, taken: Sequence[Row], *, worker_id: str, lease: float, now: int) -> list[Claim]:
    """Let a worker have the rows, under one fresh token."""
    token = new_token()
    lease_until = later(now, lease)
    claims = []
    for row in taken:
        rows.hold(row, token, worker_id, lease_until, now)
        new = row.new
        waited = (now - row.due_at) / MICROSECONDS if row.due_at < now else 0.0
        claims.append(
            Claim(
                new.id,
                token,
                new.task,
                new.queue,
                new.payload,
                row.attempt,
                new.max_attempts,
                new.timeout,
                new.metadata,
                new.backoff,
                new.execution_backend,
                new.execution_profile,
                new.schedule,
                waited,
                new.at_most_once,
            )
        )
    return claims


def until_next(queues: Sequence[Queue], now: int) -> float | None:
    """Seconds until the next delayed record of these queues is due."""
    due = [entry[0] for queue in queues if (entry := queue.delayed.first()) is not None]
    return (min(due) - now) / MICROSECONDS if due else None


def finish(rows: Rows, completions: Sequence[Completion], now: int) -> list[UUID]:
    """Write outcomes of rows that are still held; gives the refused ids."""
    refused = []
    for record_id, token, outcome in completions:
        row = rows.held(record_id, token)
        if row is None:
            refused.append(record_id)
            continue
        match outcome:
            case Completed():
                row.result = outcome.result
                rows.end(row, TaskStatus.COMPLETED, now, None)
            case Failed():
                _add_error(row, outcome.error, now)
                rows.end(row, TaskStatus.FAILED, now, summary(outcome.error))
            case Cancelled():
                rows.end(row, TaskStatus.CANCELLED, now, storable(outcome.reason))
            case Retried():
                _add_error(row, outcome.error, now)
                _try_again(rows, row, outcome, now)
            case Snoozed() | Released() if row.cancel_requested:
                rows.end(row, TaskStatus.CANCELLED, now, CANCELLED_ON_REQUEST)
            case Snoozed():
                row.error, row.due_at = storable(outcome.reason), later(now, outcome.delay)
                _give_back(rows, row, now)
            case Released():
                _give_back(rows, row, now)
            case _:
                assert_never(outcome)
    return refused


def renew(rows: Rows, held: Sequence[Held], *, lease: float, now: int) -> Renewal:
    """Extend leases, and tell which claims are lost or asked to stop."""
    lost: list[UUID] = []
    cancelled: list[UUID] = []
    for record_id, token in held:
        row = rows.held(record_id, token)
        if row is None:
            lost.append(record_id)
            continue
        row.lease_until = later(now, lease)
        if row.cancel_requested:
            cancelled.append(record_id)
    return Renewal(lost, cancelled)


def save_progress(rows: Rows, progress: Mapping[Held, bytes]) -> None:
    """Store the latest progress of held rows."""
    for (record_id, token), news in progress.items():
        row = rows.held(record_id, token)
        if row is not None:
            row.progress = news


def take_back(rows: Rows, lost: Sequence[Row], *, max_lost_leases: int, now: int) -> list[Rescued]:
    """Take rows back whose holder vanished."""
    rescued = []
    for row in lost:
        fate, reason = fate_of_lost(
            asked_to_stop=row.cancel_requested,
            at_most_once=row.new.at_most_once,
            lost_leases=row.lost_leases,
            max_lost_leases=max_lost_leases,
        )
        row.lost_leases += 1
        if fate is TaskStatus.PENDING:
            _give_back(rows, row, now)
        else:
            rows.end(row, fate, now, reason)
        rescued.append(Rescued(row.id, row.new.task, row.new.queue, row.worker_id or "", fate))
    return rescued


def _try_again(rows: Rows, row: Row, outcome: Retried, now: int) -> None:
    if row.cancel_requested:
        rows.end(row, TaskStatus.CANCELLED, now, summary(outcome.error))
        return
    row.error, row.due_at = summary(outcome.error), later(now, outcome.delay)
    rows.wait_again(row, now)


def _give_back(rows: Rows, row: Row, now: int) -> None:
    row.attempt -= 1
    rows.wait_again(row, now)


def _add_error(row: Row, error: RunError, now: int) -> None:
    stored = RunError(storable(error.type), storable(error.message), storable(error.traceback))
    row.errors = (*row.errors, AttemptError(row.attempt, from_micros(now), stored))
