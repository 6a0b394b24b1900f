"""In: the canary's completions in the store. Out: their age, which no jump of a clock makes wrong."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.events import EventBus
from litestar_queues.outcomes import Completed, Completion
from litestar_queues.records import CANARY_QUEUE
from litestar_queues.rooms import StoreHealth
from litestar_queues.worker import canary
from litestar_queues.worker.canary import CanaryWatch
from tests.builders import FakeClock, make_record


class Perch:
    """The watch, the store's clock and this host's."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.host = FakeClock(clock.now())
        self.backend = MemoryBackend(clock=clock)
        bus = EventBus()
        self.watch = CanaryWatch(self.backend, clock=self.host, interval=15, health=StoreHealth(bus), bus=bus)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.host.advance(seconds)

    async def sing(self) -> None:
        """Complete the canary."""
        await self.backend.open()
        await self.backend.enqueue_many([make_record(queue=CANARY_QUEUE)])
        batch = await self.backend.claim_many(worker_id="w:1", queues=(CANARY_QUEUE,), limit=1, lease=60)
        await self.backend.finish_many([Completion(one.id, one.token, Completed(None)) for one in batch.claims])


@pytest.fixture
def perch(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Perch:
    made = Perch(clock)
    monkeypatch.setattr(canary, "time", SimpleNamespace(monotonic=made.host.monotonic))
    return made


async def test_before_any_completion_it_has_no_age(perch: Perch) -> None:
    await perch.backend.open()
    await perch.watch.run_once()
    assert (perch.watch.age, perch.watch.completed_at) == (None, None)


async def test_the_age_at_the_first_look_is_told_by_the_clock_and_grows(perch: Perch) -> None:
    await perch.sing()
    sung_at = perch.clock.now()
    perch.advance(100)
    await perch.watch.run_once()
    assert (perch.watch.age, perch.watch.completed_at) == (100, sung_at)
    perch.advance(5)
    assert perch.watch.age == 105


async def test_looking_again_at_the_same_completion_does_not_make_it_younger(perch: Perch) -> None:
    await perch.sing()
    await perch.watch.run_once()
    perch.advance(15)
    await perch.watch.run_once()
    assert perch.watch.age == 15


async def test_a_jump_of_the_host_clock_changes_nothing(perch: Perch) -> None:
    await perch.sing()
    await perch.watch.run_once()
    perch.host.jump(7_200)
    assert perch.watch.age == 0
    await perch.sing()
    perch.advance(10)
    await perch.sing()
    await perch.watch.run_once()
    assert perch.watch.age == 10  # not two hours: at the last look it was not there


async def test_a_host_clock_behind_the_store_gives_no_negative_age(perch: Perch) -> None:
    await perch.sing()
    perch.host.jump(-100)
    await perch.watch.run_once()
    assert perch.watch.age == 0
