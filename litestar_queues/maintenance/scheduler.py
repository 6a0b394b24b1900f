"""In: the schedules of this worker's tasks, and the store's clock. Out: the record of each tick, made once."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from litestar_queues.errors import InvalidArgumentError, QueueConfigurationError
from litestar_queues.events import TicksFired
from litestar_queues.rooms import Room
from litestar_queues.ticks import DueSchedules, ScheduleRow, ScheduleSync, Tick, TickBatch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litestar_queues.backends.base import QueueBackend
    from litestar_queues.clock import Clock
    from litestar_queues.events import EventBus
    from litestar_queues.records import NewRecord
    from litestar_queues.registry import TaskRegistry
    from litestar_queues.rooms import StoreHealth
    from litestar_queues.schedules import ScheduleConfig

__all__ = ("Scheduler",)

_LONGEST_REST = 30.0
"""Seconds after which it looks again, since another process may have resumed or changed a schedule."""
_VOUCH_INTERVAL = 6 * 3600.0
"""Seconds between two assurances that the schedules still exist in code; others are pruned after a month."""
_ORPHANED_AFTER = 60.0
"""Seconds by which a tick of another release's definition may be late before this release's takes its place."""


class Scheduler(Room):
    """Fires due schedules. Any number of workers may do so at once: a tick's unique row decides whose record it is.

    Args:
        backend: Where schedules and ticks are.
        registry: The tasks; those with a schedule are fired.
        mint: Makes the record of one tick of a task: ``mint(task, schedule=, delay=)``.
        fire: Writes ticks and their records, and gives how many records were made.
        clock: For the first due time of a schedule that is new or changed.
        wake: Called after a tick made a record.
    """

    name = "scheduler"
    interval = _LONGEST_REST

    def __init__(
        self,
        backend: QueueBackend,
        registry: TaskRegistry,
        mint: Callable[..., NewRecord],
        fire: Callable[[TickBatch], Awaitable[int]],
        *,
        clock: Clock,
        wake: Callable[[], None],
        health: StoreHealth,
        bus: EventBus,
    ) -> None:
        super().__init__(health, bus)
        self._backend = backend
        self._registry = registry
        self._mint = mint
        self._write = fire
        self._clock = clock
        self._wake = wake
        self._schedules: Mapping[str, ScheduleConfig] = registry.scheduled()
        self._vouched_at: float | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no task has a schedule."""
        return not self._schedules

    async def run_once(self) -> float | None:
        """Fire what is due; the pause ends when the next tick is."""
        if self._vouched_at is None or time.monotonic() - self._vouched_at > _VOUCH_INTERVAL:
            await self._vouch()
        due = await self._backend.due_schedules(self._schedules)
        fired = 0
        for row in due.rows:
            fired += await self._fire(row, due)
        if fired:
            return 0.0  # look at once for what has become due meanwhile
        return None if due.next_in is None else min(due.next_in, _LONGEST_REST)

    async def _vouch(self) -> None:
        """Store definitions that are new or changed, and assure that the others still exist."""
        now = self._clock.now()
        for name in self._schedules:
            self._record_of(name)
        await self._backend.sync_schedules(
            [
                ScheduleSync(name, name, schedule.definition, schedule.first_at(now))
                for name, schedule in self._schedules.items()
            ]
        )
        self._vouched_at = time.monotonic()

    async def _fire(self, row: ScheduleRow, due: DueSchedules) -> bool:
        """Write the ticks of one schedule; whether it moved on."""
        schedule = self._schedules[row.name]
        if row.definition != schedule.definition:
            # during a rolling update the other release, whose definition is stored, fires it, unless none of it is left
            if (due.now - row.next_at).total_seconds() > _ORPHANED_AFTER:
                self._vouched_at = None
            return False
        moments, next_at = schedule.due(row.next_at, due.now)
        ticks = [Tick(moment, self._record_of(row.name)) for moment in moments]
        made = await self._write(TickBatch(row.name, row.next_at, ticks, next_at, schedule.overlap))
        if made:
            self.bus.emit(TicksFired(row.name, made))
            self._wake()
        return next_at > row.next_at

    def _record_of(self, name: str) -> NewRecord:
        schedule = self._schedules[name]
        delay = random.uniform(0, schedule.jitter) if schedule.jitter else 0.0
        try:
            return self._mint(self._registry.require(name), schedule=name, delay=delay)
        except InvalidArgumentError as error:
            msg = f"task {name!r} cannot run by its schedule, which gives it no arguments: {error}"
            raise QueueConfigurationError(msg) from error
