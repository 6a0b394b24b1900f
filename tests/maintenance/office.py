"""In: recurring tasks and a hand-moved clock. Out: a scheduler over a store, round by round, and what it made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from litestar_queues.backends.base import QueueBackend
from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.errors import BackendError
from litestar_queues.maintenance.scheduler import Scheduler
from litestar_queues.outcomes import Completed, Completion, Outcome
from litestar_queues.records import Claim, ClaimBatch, QueuedTaskRecord, RecordFilter
from litestar_queues.rooms import StoreHealth
from tests.builders import FakeClock
from tests.faults.faulty import FaultyBackend
from tests.worker.harness import Shop

__all__ = ("LEASE", "Office")

LEASE = 60.0


class Office:
    """One release of an app: its recurring tasks, and the scheduler of one of its workers."""

    def __init__(self, clock: FakeClock, backend: QueueBackend | None = None) -> None:
        self.clock = clock
        self.backend = FaultyBackend(backend or MemoryBackend(clock=clock))
        self.shop = Shop(backend=self.backend)
        self.told = self.shop.told
        self.woken = 0

    async def open(self, function: Callable[..., Any] = lambda: None, **schedule: Any) -> Office:
        """Define the task ``report`` and start the scheduler."""
        self.shop.task(function, name="report", schedule=schedule)
        await self.backend.open()
        self.restart()
        await self.round()
        return self

    def restart(self) -> None:
        """A worker of this release comes anew."""
        service = self.shop.service
        self.scheduler = Scheduler(
            self.backend,
            service.registry,
            service.mint_tick,
            service.fire_ticks,
            clock=self.clock,
            wake=self._wake,
            health=StoreHealth(service.bus),
            bus=service.bus,
        )

    def _wake(self) -> None:
        self.woken += 1

    async def round(self) -> float | None:
        """Let the scheduler go round until it rests; how long it would."""
        while (pause := await self.scheduler.run_once()) == 0.0:
            pass
        return pause

    async def stormy_round(self) -> None:
        """Go round as the room does: an error is met by another round."""
        try:
            await self.round()
        except BackendError:
            await self.round()

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.round()

    async def records(self) -> Sequence[QueuedTaskRecord]:
        """What was made, oldest first."""
        made: Sequence[QueuedTaskRecord] = await self.backend.list_records(RecordFilter(limit=5_000))
        return made[::-1]

    async def count(self) -> int:
        return len(await self.records())

    async def claim(self) -> Sequence[Claim]:
        batch: ClaimBatch = await self.backend.claim_many(worker_id="worker:1", queues=(), limit=100, lease=LEASE)
        return batch.claims

    async def work(self, outcome: Outcome | None = None) -> int:
        """Bring every due record to this end."""
        claims = await self.claim()
        await self.backend.finish_many([Completion(one.id, one.token, outcome or Completed(None)) for one in claims])
        return len(claims)
