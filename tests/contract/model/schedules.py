"""In: definitions and ticks. Out: what a store must make of them: each tick at most once, a record where allowed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from litestar_queues.ticks import ScheduleRow, ScheduleSync, TickBatch
from tests.contract.model.records import Model

__all__ = ("ScheduleModel",)


class ScheduleModel:
    """The schedules beside the records of a model."""

    def __init__(self, records: Model) -> None:
        self.records = records
        self.rows: dict[str, ScheduleRow] = {}
        self.fired: dict[tuple[str, datetime], datetime] = {}
        """When each tick was fired."""

    def sync(self, schedules: Iterable[ScheduleSync]) -> None:
        for name, task, definition, first_at in schedules:
            now, known = self.records.now, self.rows.get(name)
            if known is None:
                known = ScheduleRow(name=name, task=task, definition=definition, next_at=first_at, seen_at=now)
            elif known.definition != definition:
                known = replace(known, definition=definition, next_at=first_at)
            self.rows[name] = replace(known, task=task, seen_at=now)

    def due(self, names: Sequence[str]) -> tuple[list[ScheduleRow], float | None]:
        """Those that are due, the longest overdue first, and the seconds until the next of the others is."""
        now = self.records.now
        rows = sorted((row for row in self.all() if row.name in names and not row.paused), key=lambda row: row.next_at)
        waits = [(row.next_at - now).total_seconds() for row in rows if row.next_at > now]
        return [row for row in rows if row.next_at <= now], min(waits, default=None)

    def fire(self, batch: TickBatch) -> int:
        row = self.rows.get(batch.schedule)
        if row is None or row.paused or row.next_at != batch.expected_at:
            return 0
        row = replace(row, next_at=batch.next_at)
        made = 0
        for tick in batch.ticks:
            if (row.name, tick.at) in self.fired:
                continue
            self.fired[row.name, tick.at] = self.records.now
            row = replace(row, last_at=tick.at)
            if batch.overlap or not self._has_live_record(row.name):
                (enqueued,) = self.records.enqueue([tick.record])
                row = replace(row, last_record=enqueued.id)
                made += 1
        self.rows[row.name] = row
        return made

    def _has_live_record(self, name: str) -> bool:
        return any(row.is_live and row.seen.schedule == name for row in self.records.rows.values())

    def pause(self, name: str, *, paused: bool) -> bool:
        if name in self.rows:
            self.rows[name] = replace(self.rows[name], paused=paused)
        return name in self.rows

    def all(self) -> list[ScheduleRow]:
        return [self.rows[name] for name in sorted(self.rows)]

    def prune(self, *, older_than: float) -> int:
        """Forget ticks, and schedules that no code vouches for."""
        before = self.records.now - timedelta(seconds=older_than)
        ticks = [tick for tick, fired_at in self.fired.items() if fired_at < before]
        names = [name for name, row in self.rows.items() if row.seen_at < before]
        for tick in ticks:
            del self.fired[tick]
        for name in names:
            del self.rows[name]
        return len(ticks) + len(names)
