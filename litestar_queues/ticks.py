"""In: schedules as code defines them. Out: the values by which they are stored and fired; no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from litestar_queues.records import NewRecord

__all__ = ("DueSchedules", "ScheduleRow", "ScheduleSync", "Tick", "TickBatch")


class ScheduleSync(NamedTuple):
    """A schedule as the code defines it now."""

    name: str
    task: str
    definition: str
    """Canonical text of cron, interval, zone, jitter and policies; a change makes ``first_at`` the next due time."""
    first_at: datetime
    """Due time for a schedule that is new or changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRow:
    """A schedule as it is stored."""

    name: str
    task: str
    definition: str
    next_at: datetime
    paused: bool = False
    last_at: datetime | None = None
    """The latest tick that was fired."""
    last_record: UUID | None = None
    seen_at: datetime
    """When a worker last vouched for the definition."""


class DueSchedules(NamedTuple):
    """The answer to a look for due schedules."""

    rows: Sequence[ScheduleRow]
    """Those that are due, the longest overdue first."""
    now: datetime
    """The store's time of the look, by which ticks are judged."""
    next_in: float | None = None
    """Seconds until the next of the others is due; ``None`` where there is none."""


class Tick(NamedTuple):
    """One due time of a schedule and the record that it makes."""

    at: datetime
    record: NewRecord


class TickBatch(NamedTuple):
    """Everything that one firing of one schedule writes, in one transaction."""

    schedule: str
    expected_at: datetime
    """The ``next_at`` that was read; where another worker has moved it on, nothing is written."""
    ticks: Sequence[Tick]
    next_at: datetime
    overlap: bool
    """False: a tick makes no record while a live record of the schedule exists."""
