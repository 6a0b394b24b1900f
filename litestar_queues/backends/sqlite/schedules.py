"""In: definitions of schedules and their due ticks. Out: each tick's record, written once, ever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from litestar_queues.backends.sqlite.calls import Work
from litestar_queues.backends.sqlite.enqueue import enqueue
from litestar_queues.backends.statements import load_statements
from litestar_queues.clock import MICROSECONDS, from_micros, to_micros
from litestar_queues.ticks import DueSchedules, ScheduleRow, ScheduleSync, TickBatch

__all__ = ("due_schedules", "fire_ticks", "list_schedules", "pause_schedule", "prune_ticks", "sync_schedules")

SQL = load_statements("sqlite")


def sync_schedules(work: Work, schedules: Sequence[ScheduleSync]) -> None:
    """Store new and changed definitions, and vouch for the others."""
    for one in schedules:
        row = {
            "name": one.name,
            "task": one.task,
            "definition": one.definition,
            "first_at": to_micros(one.first_at),
            "now": work.now,
        }
        work.execute(SQL["sync_schedule"], row)


def due_schedules(work: Work, names: Sequence[str]) -> DueSchedules:
    """Those that are due, and the seconds until the next of the others is."""
    found = work.execute(SQL["find_schedules"], {"names": msgspec.json.encode(names).decode()}).fetchall()
    due = [_schedule(row) for row in found if row[3] <= work.now]
    later = [row[3] for row in found if row[3] > work.now]
    return DueSchedules(due, from_micros(work.now), (min(later) - work.now) / MICROSECONDS if later else None)


def fire_ticks(work: Work, batch: TickBatch) -> int:
    """Write the ticks of one schedule and their records."""
    moved = {
        "name": batch.schedule,
        "expected_at": to_micros(batch.expected_at),
        "next_at": to_micros(batch.next_at),
    }
    if not work.execute(SQL["move_schedule"], moved).rowcount:
        return 0
    made = 0
    latest: dict[str, Any] = {"name": batch.schedule, "last_at": None, "last_record": None}
    for tick in batch.ticks:
        at = {"schedule": batch.schedule, "at": to_micros(tick.at)}
        if not work.execute(SQL["take_tick"], {**at, "now": work.now}).rowcount:
            continue
        latest["last_at"] = at["at"]
        if not batch.overlap and work.execute(SQL["schedule_is_live"], {"schedule": batch.schedule}).fetchone()[0]:
            continue
        enqueued = enqueue(work, [tick.record])[0]
        if enqueued.created:
            made += 1
            latest["last_record"] = enqueued.id.bytes
            work.execute(SQL["note_tick"], {**at, "record": enqueued.id.bytes})
    if latest["last_at"] is not None:
        work.execute(SQL["note_fired"], latest)
    return made


def list_schedules(work: Work) -> list[ScheduleRow]:
    """All schedules by name."""
    return [_schedule(row) for row in work.execute(SQL["list_schedules"])]


def pause_schedule(work: Work, name: str, *, paused: bool) -> bool:
    """Pause a schedule or let it go on."""
    return bool(work.execute(SQL["pause_schedule"], {"name": name, "paused": int(paused)}).rowcount)


def prune_ticks(work: Work, *, older_than: float, limit: int) -> int:
    """Delete old ticks, and schedules that nobody has vouched for."""
    old = {"before": work.now - int(older_than * MICROSECONDS), "limit": limit}
    return work.execute(SQL["prune_ticks"], old).rowcount + work.execute(SQL["prune_schedules"], old).rowcount


def _schedule(row: Sequence[Any]) -> ScheduleRow:
    name, task, definition, next_at, paused, last_at, last_record, seen_at = row
    return ScheduleRow(
        name=name,
        task=task,
        definition=definition,
        next_at=from_micros(next_at),
        paused=bool(paused),
        last_at=None if last_at is None else from_micros(last_at),
        last_record=None if last_record is None else UUID(bytes=last_record),
        seen_at=from_micros(seen_at),
    )
