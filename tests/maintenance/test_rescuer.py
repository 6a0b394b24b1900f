"""In: leases that ran out. Out: their records, waiting again or ended, and told."""

from __future__ import annotations

from typing import Any

import pytest

from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.errors import BackendUnavailableError
from litestar_queues.events import EventBus, RecordsRescued
from litestar_queues.maintenance import rescuer
from litestar_queues.maintenance.rescuer import Rescuer
from litestar_queues.records import Rescued
from litestar_queues.rooms import StoreHealth
from litestar_queues.status import TaskStatus
from tests.builders import FakeClock, make_record
from tests.faults.faulty import FaultyBackend
from tests.worker.harness import Told


class Station:
    def __init__(self, clock: FakeClock, *, succeeds: bool = False) -> None:
        self.clock = clock
        self.backend = FaultyBackend(MemoryBackend(clock=clock))
        self.bus = EventBus()
        self.told = Told(self.bus)
        self.health = StoreHealth(self.bus)
        self.rescuer = Rescuer(
            self.backend,
            worker_id="queue-0:new",
            succeeds=succeeds,
            max_lost_leases=3,
            interval=15,
            health=self.health,
            bus=self.bus,
        )

    async def lose(self, count: int = 1, *, worker_id: str = "gone:1", lease: float = 60) -> None:
        """Let a worker claim records and vanish."""
        await self.backend.open()
        await self.backend.enqueue_many([make_record() for _ in range(count)])
        await self.vanish(worker_id=worker_id, lease=lease)

    async def vanish(self, *, worker_id: str = "gone:1", lease: float = 60) -> None:
        assert (await self.backend.claim_many(worker_id=worker_id, queues=(), limit=10_000, lease=lease)).claims

    async def counts(self) -> dict[str, int]:
        stats: dict[str, Any] = (await self.backend.statistics()).as_dict()
        return {name: count for name, count in stats.items() if count and name != "total"}


async def test_a_lease_that_goes_on_is_left_alone(clock: FakeClock) -> None:
    station = Station(clock)
    await station.lose()
    clock.advance(59)
    assert await station.rescuer.run_once() is None
    assert await station.counts() == {"running": 1}
    assert station.told.events == []


async def test_a_record_whose_lease_ran_out_waits_again_and_is_told(clock: FakeClock) -> None:
    station = Station(clock)
    await station.lose()
    clock.advance(61)
    assert await station.rescuer.run_once() is None
    assert await station.counts() == {"pending": 1}
    ((one,),) = [event.records for event in station.told.all(RecordsRescued)]
    assert one == Rescued(one.id, "greet", "default", "gone:1", TaskStatus.PENDING)


async def test_the_third_lost_lease_ends_it(clock: FakeClock) -> None:
    station = Station(clock)
    await station.lose()
    for wanted in ({"pending": 1}, {"pending": 1}, {"failed": 1}):
        clock.advance(61)
        await station.rescuer.run_once()
        assert await station.counts() == wanted
        if "failed" not in wanted:
            await station.vanish()


async def test_where_more_may_be_lost_it_looks_again_at_once(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescuer, "_BATCH", 5)
    station = Station(clock)
    await station.lose(7)
    clock.advance(61)
    assert [await station.rescuer.run_once() for _ in range(2)] == [0.0, None]
    assert await station.counts() == {"pending": 7}


async def test_what_the_predecessor_held_is_taken_back_at_once_and_once(clock: FakeClock) -> None:
    station = Station(clock, succeeds=True)
    await station.lose(worker_id="queue-0:old", lease=3_600)
    await station.lose(worker_id="queue-1:old", lease=3_600)
    for _ in range(2):
        await station.rescuer.run_once()
    assert await station.counts() == {"pending": 1, "running": 1}
    assert station.backend.calls.count("rescue_predecessor") == 1


async def test_without_a_name_of_its_own_it_claims_no_predecessor(clock: FakeClock) -> None:
    station = Station(clock)
    await station.lose(worker_id="queue-0:old", lease=3_600)
    await station.rescuer.run_once()
    assert await station.counts() == {"running": 1}


async def test_after_an_outage_living_workers_renew_their_leases_before_any_is_taken(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000.0
    monkeypatch.setattr("litestar_queues.rooms.time.monotonic", lambda: now)
    station = Station(clock)
    idle = [station.rescuer.is_idle]
    station.health.down("claimer", BackendUnavailableError("gone"))
    idle.append(station.rescuer.is_idle)
    now += 120
    station.health.up("claimer")
    idle.append(station.rescuer.is_idle)
    now += 15
    idle.append(station.rescuer.is_idle)
    assert idle == [False, True, True, False]
