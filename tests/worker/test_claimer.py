"""In: free slots and wake-ups. Out: exactly as many claims as can be run, whenever there is something to claim."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from litestar_queues import rooms
from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.errors import BackendError, BackendUnavailableError, SchemaVersionError
from litestar_queues.events import BackendDown, BackendUp, EventBus
from litestar_queues.records import Claim
from litestar_queues.rooms import StoreHealth
from litestar_queues.worker.claimer import Claimer, ClaimerOptions
from litestar_queues.worker.slots import Slots
from tests.builders import make_record
from tests.faults.faulty import FaultyBackend
from tests.worker.harness import Told, until, within

HOURS = 10_000.0


class Desk:
    """Stands in for executor and completer: takes claims and never ends them by itself."""

    def __init__(self) -> None:
        self.started: list[Claim] = []
        self.given_back: list[Claim] = []
        self.is_full = False
        self.on_relief: list[Callable[[], None]] = []

    def start(self, claim: Claim, slots: Slots) -> None:
        slots.take()
        self.started.append(claim)

    def give_back(self, claim: Claim) -> None:
        self.given_back.append(claim)


class Lane:
    """A claimer on a store, which notes how much it asks for."""

    def __init__(self, *, slots: int = 10, **options: Any) -> None:
        self.backend = FaultyBackend(MemoryBackend())
        self.demands: list[int] = []
        self.desk = Desk()
        desk: Any = self.desk
        self.slots = Slots(slots)
        self.stop = asyncio.Event()
        self.bus = EventBus()
        self.told = Told(self.bus)
        plain: dict[str, Any] = {"worker_id": "worker:1", "queues": (), "lease": 60, "poll_interval": HOURS}
        self.claimer = Claimer(
            ClaimerOptions(**plain | options),
            backend=self.backend,
            slots=self.slots,
            executor=desk,
            completer=desk,
            health=StoreHealth(self.bus),
        )
        note, claim_many = self.demands.append, self.backend.claim_many

        async def noting(**asked: Any) -> Any:
            note(asked["limit"])
            return await claim_many(**asked)

        self.backend.claim_many = noting

    async def enqueue(self, count: int = 1, **options: Any) -> None:
        await self.backend.enqueue_many([make_record(**options) for _ in range(count)])

    async def is_resting(self) -> None:
        """Wait until the loop has nothing to do."""
        await until(lambda: self.claimer.ready.is_set() and self.claimer._ticked_at is not None)

    async def has_started(self, count: int) -> None:
        await until(lambda: len(self.desk.started) >= count)
        assert len(self.desk.started) == count


@asynccontextmanager
async def open_lane(count: int = 0, **options: Any) -> AsyncIterator[Lane]:
    lane = Lane(**options)
    await lane.backend.open()
    await lane.enqueue(count)
    running = asyncio.create_task(lane.claimer.run(lane.stop))
    try:
        yield lane
    finally:
        lane.stop.set()
        lane.claimer.interrupt()
        async with within():
            await asyncio.wait({running})
        assert not running.exception()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "_FIRST_PAUSE", 0.0)


async def test_it_claims_as_many_as_slots_are_free_and_more_once_one_is_freed() -> None:
    async with open_lane(3, slots=2) as lane:
        await lane.has_started(2)
        lane.slots.release()
        await lane.has_started(3)
        assert lane.demands == [2, 1]


async def test_with_all_slots_taken_a_wake_up_asks_the_store_for_nothing() -> None:
    async with open_lane(1, slots=1) as lane:
        await lane.has_started(1)
        await lane.enqueue()
        await lane.is_resting()
        assert lane.demands == [1]


async def test_an_idle_claimer_sleeps_until_the_store_wakes_it() -> None:
    async with open_lane() as lane:
        await lane.is_resting()
        assert lane.demands == [10]
        await lane.enqueue()
        await lane.has_started(1)


async def test_a_slot_freed_while_nothing_waits_asks_the_store_for_nothing() -> None:
    async with open_lane(1) as lane:
        await lane.has_started(1)
        await lane.is_resting()
        before = list(lane.demands)
        lane.slots.release()
        await lane.is_resting()
        assert lane.demands == before


async def test_a_wake_up_during_a_claim_is_not_lost() -> None:
    lane = Lane()
    hang = lane.backend.hang("claim_many")
    await lane.backend.open()
    running = asyncio.create_task(lane.claimer.run(lane.stop))
    await hang.entered.wait()
    lane.claimer.wake()
    hang.release()
    await until(lambda: len(lane.demands) == 2)
    lane.stop.set()
    lane.claimer.interrupt()
    await running


async def test_where_wake_ups_do_not_reach_it_the_interval_does() -> None:
    async with open_lane(poll_interval=0.01, follows_wakeups=False) as lane:
        await lane.is_resting()
        await lane.enqueue()
        await lane.has_started(1)


async def test_it_sleeps_only_until_the_next_delayed_record_is_due() -> None:
    async with open_lane() as lane:
        await lane.enqueue(delay=0.05)
        await lane.has_started(1)


async def test_it_claims_from_its_queues_only() -> None:
    async with open_lane(queues=("mail",)) as lane:
        await lane.enqueue(queue="other")
        await lane.enqueue(queue="mail")
        await lane.has_started(1)
        assert lane.desk.started[0].queue == "mail"


async def test_it_pauses_while_outcomes_pile_up_and_goes_on_when_relieved() -> None:
    async with open_lane() as lane:
        await lane.is_resting()
        lane.desk.is_full = True
        await lane.enqueue()
        await lane.is_resting()
        assert lane.desk.started == []
        lane.desk.is_full = False
        for relieve in lane.desk.on_relief:
            relieve()
        await lane.has_started(1)


@pytest.mark.parametrize("error", [BackendUnavailableError(), BackendError("locked")])
async def test_an_outage_is_told_once_and_outlived(error: BackendError) -> None:
    lane = Lane()
    lane.backend.fail("claim_many", 3, error)
    await lane.backend.open()
    await lane.enqueue()
    running = asyncio.create_task(lane.claimer.run(lane.stop))
    await lane.has_started(1)
    assert [(event.room, event.error) for event in lane.told.all(BackendDown)] == [("claimer", error)]
    assert [event.room for event in lane.told.all(BackendUp)] == ["claimer"]
    lane.stop.set()
    lane.claimer.interrupt()
    await running


async def test_it_is_ready_only_once_a_first_claim_got_through() -> None:
    lane = Lane()
    await lane.backend.open()
    lane.backend.is_down = True
    running = asyncio.create_task(lane.claimer.run(lane.stop))
    await until(lambda: len(lane.demands) >= 2)
    assert not lane.claimer.ready.is_set()
    lane.backend.is_down = False
    async with within():
        await lane.claimer.ready.wait()
    lane.stop.set()
    lane.claimer.interrupt()
    await running


async def test_a_wrong_configuration_ends_it() -> None:
    lane = Lane()
    lane.backend.fail("claim_many", error=SchemaVersionError())
    await lane.backend.open()
    with pytest.raises(SchemaVersionError):
        await lane.claimer.run(lane.stop)


async def test_what_it_still_got_after_the_stop_is_given_back_and_not_run() -> None:
    lane = Lane()
    hang = lane.backend.hang("claim_many")
    await lane.backend.open()
    await lane.enqueue(2)
    running = asyncio.create_task(lane.claimer.run(lane.stop))
    await hang.entered.wait()
    lane.stop.set()
    lane.claimer.interrupt()
    hang.release()
    await running
    assert len(lane.desk.given_back) == 2
    assert lane.desk.started == []


async def test_the_silence_of_the_store_is_no_idleness_of_the_loop() -> None:
    lane = Lane()
    await lane.backend.open()
    hang = lane.backend.hang("claim_many")
    running = asyncio.create_task(lane.claimer.run(lane.stop))
    await hang.entered.wait()
    assert lane.claimer.idle_for == 0.0
    hang.release()
    await lane.is_resting()
    await until(lambda: lane.claimer.idle_for > 0)
    lane.stop.set()
    lane.claimer.interrupt()
    await running
