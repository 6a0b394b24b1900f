"""In: a service. Out: what the fleet looks like at one moment, as one value that all watchers share."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from litestar_queues.fleet import QueuePause, Tally, WorkerRow
from litestar_queues.records import CANARY_QUEUE, QueueDepth, QueuedTaskRecord, QueueStatistics
from litestar_queues.status import TaskStatus
from litestar_queues.ticks import ScheduleRow

if TYPE_CHECKING:
    from litestar_queues.service import QueueService

__all__ = ("Eyes", "Snapshot")

_FAILURES = 5
_TALLIES_KEPT = 10.0
"""Seconds for which the tallies of an hour are kept; those of a day, which move less, for longer."""
_TALLIES_KEPT_LONGEST = 60.0
_HOUR = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The fleet at one moment; two are equal where a watcher would see no difference."""

    taken_at: datetime = field(compare=False)
    depths: Sequence[QueueDepth]
    """Of every known queue but the canary's, also where nothing is in it."""
    statistics: QueueStatistics
    pauses: Sequence[QueuePause]
    workers: Sequence[WorkerRow]
    schedules: Sequence[ScheduleRow]
    outcomes: Sequence[TaskStatus | None]
    """State of the latest record of each schedule; ``None`` where it made none or it was pruned."""
    canary_at: datetime | None
    failures: Sequence[QueuedTaskRecord]
    """The newest failed records."""


class Eyes:
    """Looks at the store for everybody.

    Args:
        service: Whose store.
    """

    def __init__(self, service: QueueService) -> None:
        self._service = service
        self._queues: set[str] = set()
        self._tallies: dict[float, tuple[float, Sequence[Tally]]] = {}

    async def look(self) -> Snapshot:
        """Ask the store for everything but history, whose cost would grow with it.

        Raises:
            BackendUnavailableError: The store cannot be reached.
        """
        service = self._service
        schedules = await service.list_schedules()
        latest = await service.backend.get_many([one.last_record for one in schedules if one.last_record])
        found = [latest.get(one.last_record) if one.last_record else None for one in schedules]
        pauses = await service.paused_queues()
        return Snapshot(
            taken_at=datetime.now(UTC),
            depths=self._all_queues(await service.queue_depths(), pauses),
            statistics=await service.get_statistics(),
            pauses=pauses,
            workers=await service.list_workers(),
            schedules=schedules,
            outcomes=[None if one is None else one.status for one in found],
            canary_at=await service.canary_health(),
            failures=await service.list_tasks(status=TaskStatus.FAILED, limit=_FAILURES),
        )

    async def tallies(self, hours: float) -> Sequence[Tally]:
        """What ended in the last hours, the canary's runs left out; kept for a moment, since it moves by the minute."""
        now = time.monotonic()
        kept_until, tallies = self._tallies.get(hours, (now, ()))
        if kept_until <= now:
            asked = await self._service.list_tallies(hours * _HOUR)
            tallies = [one for one in asked if one.queue != CANARY_QUEUE]
            self._tallies[hours] = (now + min(hours * _TALLIES_KEPT, _TALLIES_KEPT_LONGEST), tallies)
        return tallies

    def _all_queues(self, depths: Sequence[QueueDepth], pauses: Sequence[QueuePause]) -> Sequence[QueueDepth]:
        found = {one.queue: one for one in depths}
        self._queues.update(self._service.known_queues(), found, (one.queue for one in pauses))
        names = sorted(self._queues - {CANARY_QUEUE})
        return [found.get(name) or QueueDepth(name, 0, 0, 0, None) for name in names]
