"""In: claims that a worker holds. Out: leases that go on, and a stop for the runs whose claim is lost or cancelled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.events import ClaimsLost, EventBus, LoopLagged
from litestar_queues.outcomes import Completed, Completion
from litestar_queues.records import Claim, ClaimBatch, Held
from litestar_queues.rooms import StoreHealth
from litestar_queues.worker.leases import CancelWatch, LagWatch, LeaseKeeper
from tests.builders import FakeClock, make_record
from tests.faults.faulty import FaultyBackend
from tests.worker.harness import Told, until, within

WORKER = "worker:1"


class Watch:
    """The two rooms over a store; it notes whom they stop, and why."""

    def __init__(self, clock: FakeClock) -> None:
        self.backend = FaultyBackend(MemoryBackend(clock=clock))
        self.bus = EventBus()
        self.told = Told(self.bus)
        self.held: list[Held] = []
        self.stopped: list[tuple[UUID, str]] = []
        self.running_count = 0
        executor: Any = self
        health = StoreHealth(self.bus)
        self.leases = LeaseKeeper(
            self.backend, executor, lambda: list(self.held), interval=15, lease=60, health=health, bus=self.bus
        )
        self.cancels = CancelWatch(self.backend, executor, WORKER, health=health, bus=self.bus)

    def cancel(self, ids: Sequence[UUID], reason: str) -> list[UUID]:
        held = {one.id for one in self.held}
        asked = [one for one in ids if one in held]
        self.stopped.extend((one, reason) for one in asked)
        return asked

    async def claims(self, count: int) -> Sequence[Claim]:
        await self.backend.open()
        await self.backend.enqueue_many([make_record() for _ in range(count)])
        batch: ClaimBatch = await self.backend.claim_many(worker_id=WORKER, queues=(), limit=count, lease=60)
        self.held = [Held(claim.id, claim.token) for claim in batch.claims]
        self.running_count = len(self.held)
        return batch.claims

    async def finish(self, claim: Claim) -> None:
        assert not await self.backend.finish_many([Completion(claim.id, claim.token, Completed(None))])


async def test_every_held_claim_is_renewed_in_one_call(clock: FakeClock) -> None:
    watch = Watch(clock)
    await watch.claims(2)
    clock.advance(59)
    await watch.leases.run_once()
    clock.advance(59)
    assert not await watch.backend.rescue_many(limit=10, max_lost_leases=3)
    assert watch.backend.calls.count("renew_many") == 1
    assert (watch.stopped, watch.told.events) == ([], [])


async def test_runs_whose_claim_is_lost_are_stopped_and_told(clock: FakeClock) -> None:
    watch = Watch(clock)
    lost, kept = await watch.claims(2)
    watch.held = [Held(lost.id, lost.token + 1), Held(kept.id, kept.token)]
    await watch.leases.run_once()
    assert watch.stopped == [(lost.id, "lost")]
    assert watch.told.events == [ClaimsLost([lost.id])]


async def test_an_outcome_stored_while_the_renewal_was_under_way_is_no_loss(clock: FakeClock) -> None:
    watch = Watch(clock)
    (claim,) = await watch.claims(1)
    hang = watch.backend.hang("renew_many")
    renewing = asyncio.create_task(watch.leases.run_once())
    await hang.entered.wait()
    await watch.finish(claim)
    watch.held = []
    hang.release()
    await renewing
    assert (watch.stopped, watch.told.events) == ([], [])


async def test_a_newer_claim_of_the_record_is_not_stopped_for_the_older_one(clock: FakeClock) -> None:
    watch = Watch(clock)
    (old,) = await watch.claims(1)
    hang = watch.backend.hang("renew_many")
    renewing = asyncio.create_task(watch.leases.run_once())
    await hang.entered.wait()
    await watch.finish(old)
    watch.held = [Held(old.id, old.token + 1)]
    hang.release()
    await renewing
    assert (watch.stopped, watch.told.events) == ([], [])


async def test_the_renewal_also_brings_requests_to_cancel(clock: FakeClock) -> None:
    watch = Watch(clock)
    asked, _ = await watch.claims(2)
    await watch.backend.cancel_many([asked.id], include_running=True)
    await watch.leases.run_once()
    assert watch.stopped == [(asked.id, "requested")]


async def test_the_cancel_watch_stops_what_somebody_asked_to_stop(clock: FakeClock) -> None:
    watch = Watch(clock)
    asked, _ = await watch.claims(2)
    await watch.cancels.run_once()
    assert watch.stopped == []
    await watch.backend.cancel_many([asked.id], include_running=True)
    await watch.cancels.run_once()
    assert watch.stopped == [(asked.id, "requested")]


async def test_while_nothing_runs_neither_room_asks_the_store_or_vouches_for_it(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(clock)
    watch.leases.health.down("claimer", ConnectionError())
    stop = asyncio.Event()
    for room in (watch.leases, watch.cancels):
        monkeypatch.setattr(room, "interval", 0.001)
    looks: list[LeaseKeeper] = []

    def is_idle(room: LeaseKeeper) -> bool:
        looks.append(room)
        return True

    monkeypatch.setattr(LeaseKeeper, "is_idle", property(is_idle))
    running = [asyncio.create_task(room.run(stop)) for room in (watch.leases, watch.cancels)]
    await until(lambda: len(looks) > 5)
    stop.set()
    async with within():
        await asyncio.gather(*running)
    assert watch.backend.calls == []
    assert not watch.leases.health.ok


@pytest.mark.parametrize(("blocked", "told"), [(0.15, True), (0.0, False)])
async def test_a_blocked_loop_is_noticed(monkeypatch: pytest.MonkeyPatch, *, blocked: float, told: bool) -> None:
    monkeypatch.setattr(LagWatch, "_INTERVAL", 0.01)
    bus = EventBus()
    seen = Told(bus)
    stop = asyncio.Event()
    watching = asyncio.create_task(LagWatch(bus, warn_after=0.1 if told else 10).run(stop))
    await asyncio.sleep(0)  # it is in its short sleep now
    time.sleep(blocked)  # noqa: ASYNC251 - the fault itself
    if told:
        assert (await seen.nth(LoopLagged)).seconds > 0.1
    stop.set()
    await watching
    assert bool(seen.events) is told
