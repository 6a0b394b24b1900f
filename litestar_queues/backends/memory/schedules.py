"""In: definitions of schedules and ticks. Out: what is due, and each tick once, ever."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from uuid import UUID

from litestar_queues.backends.laws import later
from litestar_queues.clock import from_micros, to_micros
from litestar_queues.ticks import DueSchedules, ScheduleRow, ScheduleSync

__all__ = ("Schedules", "utc")


def utc(moment: datetime) -> datetime:
    """The same moment in UTC; a naive time is refused."""
    return from_micros(to_micros(moment))


class Schedules:
    """All schedules, and the ticks that were fired."""

    def __init__(self) -> None:
        self._rows: dict[str, ScheduleRow] = {}
        self._ticks: dict[tuple[str, datetime], datetime] = {}
        """When each was fired."""

    def sync(self, schedules: Sequence[ScheduleSync], now: datetime) -> None:
        """Store new and changed definitions, and vouch for the others."""
        for name, task, definition, first_at in [(*one[:3], utc(one.first_at)) for one in schedules]:
            known = self._rows.get(name)
            if known is None:
                row = ScheduleRow(name=name, task=task, definition=definition, next_at=first_at, seen_at=now)
            else:
                next_at = known.next_at if known.definition == definition else first_at
                row = replace(known, task=task, definition=definition, next_at=next_at, seen_at=now)
            self._rows[name] = row

    def due(self, names: Iterable[str], now: datetime) -> DueSchedules:
        """Those that are due, and the seconds until the next of the others is."""
        known = (self._rows[name] for name in dict.fromkeys(names) if name in self._rows)
        going = sorted((row for row in known if not row.paused), key=lambda row: row.next_at)
        due = [row for row in going if row.next_at <= now]
        rest = going[len(due) :]
        return DueSchedules(due, now, (rest[0].next_at - now).total_seconds() if rest else None)

    def move(self, name: str, *, expected_at: datetime, next_at: datetime) -> bool:
        """Move a schedule on, where nobody else has."""
        row = self._rows.get(name)
        if row is None or row.paused or row.next_at != expected_at:
            return False
        self._rows[name] = replace(row, next_at=next_at)
        return True

    def take_tick(self, name: str, at: datetime, now: datetime) -> bool:
        """Take a tick; at most once, ever."""
        if (name, at) in self._ticks:
            return False
        self._ticks[name, at] = now
        self._rows[name] = replace(self._rows[name], last_at=at)
        return True

    def note_record(self, name: str, record_id: UUID) -> None:
        """Note the record that a tick made."""
        self._rows[name] = replace(self._rows[name], last_record=record_id)

    def pause(self, name: str, *, paused: bool) -> bool:
        """Pause a schedule or let it go on."""
        if name not in self._rows:
            return False
        self._rows[name] = replace(self._rows[name], paused=paused)
        return True

    def all(self) -> list[ScheduleRow]:
        """All schedules by name."""
        return sorted(self._rows.values(), key=lambda row: row.name)

    def prune(self, *, older_than: float, now: int, limit: int) -> int:
        """Delete old ticks, and schedules that nobody has vouched for."""
        before = from_micros(later(now, -older_than))
        ticks = list(islice((tick for tick, fired_at in self._ticks.items() if fired_at < before), limit))
        names = list(islice((name for name, row in self._rows.items() if row.seen_at < before), limit))
        for tick in ticks:
            del self._ticks[tick]
        for name in names:
            del self._rows[name]
        return len(ticks) + len(names)
