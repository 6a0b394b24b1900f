"""In: a worker's state and what ends in it. Out: both in the store, where operators and other processes see them."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from litestar_queues.errors import BackendError
from litestar_queues.events import EngineEvent, EventBus, RecordsFinished, RecordsRescued, Run
from litestar_queues.fleet import Tally, WorkerReport, by_queue
from litestar_queues.outcomes import Cancelled, Completed, Failed, Outcome, Retried
from litestar_queues.rooms import Room, StoreHealth
from litestar_queues.status import TaskStatus
from litestar_queues.tallies import DURATION_BOUNDS, MOST_QUEUES, WAIT_BOUNDS, Names

if TYPE_CHECKING:
    from litestar_queues.backends.base import QueueBackend

__all__ = ("EndedRuns", "Presence")

_BY_STATUS: dict[TaskStatus, type[Outcome]] = {TaskStatus.FAILED: Failed, TaskStatus.CANCELLED: Cancelled}


class _Counts:
    """What ended in one queue."""

    __slots__ = ("durations", "outcomes", "waits")

    def __init__(self) -> None:
        self.outcomes: dict[type[Outcome], int] = dict.fromkeys((Completed, Failed, Retried, Cancelled), 0)
        self.durations = [0] * (len(DURATION_BOUNDS) + 1)
        self.waits = [0] * (len(WAIT_BOUNDS) + 1)


class EndedRuns:
    """Counts what ends in a worker, as a subscriber of its bus; runs that are given back have not ended."""

    def __init__(self) -> None:
        self._names = Names(MOST_QUEUES)
        self._counts: dict[str, _Counts] = {}

    def __call__(self, event: EngineEvent) -> None:
        """Count an event."""
        if isinstance(event, RecordsFinished):
            self._count(event.runs)
        elif isinstance(event, RecordsRescued):
            for one in event.records:  # no run of them was seen to its end
                if one.status in _BY_STATUS:
                    self._of(one.queue).outcomes[_BY_STATUS[one.status]] += 1

    def take(self) -> list[Tally]:
        """What was counted since the last time."""
        counts, self._counts = self._counts, {}
        minute = datetime.now(UTC).replace(second=0, microsecond=0)
        return [
            Tally._make((minute, queue, *one.outcomes.values(), tuple(one.waits), tuple(one.durations)))
            for queue, one in counts.items()
        ]

    def _count(self, runs: Sequence[Run]) -> None:
        """Count a batch, at a third of a microsecond a record: hence no calls and look-ups that can be spared."""
        queue = None
        for claim, outcome, duration in runs:
            if claim.queue != queue:
                queue = claim.queue
                one = self._of(queue)
                outcomes, durations, waits = one.outcomes, one.durations, one.waits
            kind = type(outcome)
            if kind in outcomes:
                outcomes[kind] += 1
                durations[bisect_left(DURATION_BOUNDS, duration)] += 1
                waits[bisect_left(WAIT_BOUNDS, claim.waited)] += 1

    def _of(self, queue: str) -> _Counts:
        name = self._names.fold(queue)
        one = self._counts.get(name)
        if one is None:
            one = self._counts[name] = _Counts()
        return one


class Presence(Room):
    """Tells the store that this worker is there and what ended in it; takes the worker away when it leaves.

    Args:
        backend: Where it is told.
        describe: Gives the worker as it is now.
        draining: Set when the worker stops claiming, which is told at once.
        interval: Seconds between two reports.
        lease: Seconds after which a worker that tells nothing is taken for lost.
    """

    name = "presence"

    def __init__(
        self,
        backend: QueueBackend,
        describe: Callable[[], WorkerReport],
        *,
        draining: asyncio.Event,
        interval: float,
        lease: float,
        health: StoreHealth,
        bus: EventBus,
    ) -> None:
        super().__init__(health, bus)
        self.interval = interval
        self._backend = backend
        self._describe = describe
        self._draining = draining
        self._lease = lease
        self._ended = EndedRuns()
        self._untold: list[Tally] = []

    async def run_once(self) -> None:
        """Tell; what could not be told is told the next time, twice where only the answer was lost."""
        self._untold = by_queue([*self._untold, *self._ended.take()])
        await self._backend.report_worker(self._describe(), lease=self._lease, tallies=self._untold)
        self._untold = []

    async def run(self, stop: asyncio.Event) -> None:
        """Tell at once, now and then, at once when the drain begins, and for the last time at its end."""
        unsubscribe = self.bus.subscribe(self._ended)
        try:
            await super().run(self._draining)
            await super().run(stop)
            with suppress(BackendError):  # then its lease runs out
                await self.run_once()
                await self._backend.forget_worker(self._describe().worker_id)
        finally:
            unsubscribe()
