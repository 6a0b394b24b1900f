"""In: retention times. Out: old records deleted, bit by bit, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.events import EventBus, Pruned
from litestar_queues.maintenance import pruner
from litestar_queues.maintenance.pruner import Pruner
from litestar_queues.outcomes import Cancelled, Completed, Completion, Failed, Outcome
from litestar_queues.rooms import StoreHealth
from litestar_queues.ticks import TickBatch
from tests.builders import NOON, FakeClock, make_error, make_record, make_report, make_schedule, make_tally, make_tick
from tests.faults.faulty import FaultyBackend
from tests.worker.harness import Told

DAY = 86_400.0
RETENTION = {"completed": 7 * DAY, "failed": 30 * DAY, "cancelled": None}


class Attic:
    def __init__(self, clock: FakeClock, retention: Mapping[str, float | None] = RETENTION) -> None:
        self.clock = clock
        self.backend = FaultyBackend(MemoryBackend(clock=clock))
        self.bus = EventBus()
        self.told = Told(self.bus)
        self.pruner = Pruner(self.backend, retention, health=StoreHealth(self.bus), bus=self.bus)

    async def fill(self, outcome: Outcome, count: int = 1) -> None:
        await self.backend.open()
        await self.backend.enqueue_many([make_record() for _ in range(count)])
        batch = await self.backend.claim_many(worker_id="w:1", queues=(), limit=count, lease=60)
        await self.backend.finish_many([Completion(one.id, one.token, outcome) for one in batch.claims])

    async def left(self) -> dict[str, int]:
        stats = (await self.backend.statistics()).as_dict()
        return {name: stats[name] for name in RETENTION if stats[name]}


async def test_each_kind_goes_after_its_own_time_and_is_told(clock: FakeClock) -> None:
    attic = Attic(clock)
    for outcome in (Completed(None), Failed(make_error()), Cancelled("enough")):
        await attic.fill(outcome)
    for days, left in ((6, {"completed", "failed", "cancelled"}), (2, {"failed", "cancelled"}), (23, {"cancelled"})):
        clock.advance(days * DAY)
        assert await attic.pruner.run_once() is None
        assert set(await attic.left()) == left
    assert attic.told.events == [Pruned("completed", 1), Pruned("failed", 1)]
    ledger = await attic.backend.ledger()
    assert (ledger["pruned"], ledger["enqueued"]) == (2, 3)


async def test_where_nothing_is_kept_it_goes_at_the_next_round(clock: FakeClock) -> None:
    attic = Attic(clock, {"completed": 0.0})
    await attic.fill(Completed(None))
    clock.advance(1)
    await attic.pruner.run_once()
    assert await attic.left() == {}


async def test_live_records_stay_however_old(clock: FakeClock) -> None:
    attic = Attic(clock)
    await attic.fill(Completed(None), 0)
    await attic.backend.enqueue_many([make_record()])
    clock.advance(1_000 * DAY)
    await attic.pruner.run_once()
    assert (await attic.backend.ledger())["live"] == 1


async def test_a_full_batch_is_followed_soon_by_the_next(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruner, "_BATCH", 5)
    attic = Attic(clock)
    await attic.fill(Completed(None), 7)
    clock.advance(8 * DAY)
    assert [await attic.pruner.run_once() is None for _ in range(2)] == [False, True]
    assert attic.told.events == [Pruned("completed", 5), Pruned("completed", 2)]


async def test_it_rests_longer_than_a_batch_took(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruner, "_BATCH", 5)
    attic = Attic(clock)
    await attic.fill(Completed(None), 5)
    clock.advance(8 * DAY)
    prune_many = attic.backend.prune_many

    async def prune_slowly(*args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0.05)
        return await prune_many(*args, **kwargs)

    monkeypatch.setattr(attic.backend, "prune_many", prune_slowly)
    rest = await attic.pruner.run_once()
    assert rest is not None
    assert rest > 0.05


async def test_ticks_go_after_a_month(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruner, "_BATCH", 1)
    attic = Attic(clock)
    await attic.backend.open()
    await attic.backend.sync_schedules([make_schedule()])
    await attic.backend.fire_ticks(TickBatch("report", NOON, [make_tick()], NOON + timedelta(days=1), overlap=True))
    clock.advance(31 * DAY)
    assert await attic.pruner.run_once() is not None  # the tick; the schedule that nobody vouches for is next
    assert await attic.backend.list_schedules() == []


async def test_lost_workers_and_tallies_go_after_a_day(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruner, "_BATCH", 2)
    attic = Attic(clock)
    await attic.backend.open()
    for n in range(3):
        tallies = [make_tally(f"queue {n}", completed=1)]
        await attic.backend.report_worker(make_report(f"w:{n}"), lease=60, tallies=tallies)
    clock.advance(DAY - 60)
    assert await attic.pruner.run_once() is None
    assert len(await attic.backend.list_workers()) == len(await attic.backend.list_tallies(seconds=DAY)) == 3
    clock.advance(61)
    assert [await attic.pruner.run_once() is None for _ in range(2)] == [False, True]
    assert [*await attic.backend.list_workers(), *await attic.backend.list_tallies(seconds=2 * DAY)] == []
