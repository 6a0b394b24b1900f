"""In: old records and ticks. Out: they go in bounded batches, and the books still balance."""

from __future__ import annotations

import pytest

from litestar_queues.backends.base import QueueBackend
from litestar_queues.outcomes import Cancelled, Completed, Failed, Outcome
from litestar_queues.records import QueueStatistics
from litestar_queues.status import LIVE, TERMINAL, TaskStatus
from litestar_queues.ticks import TickBatch
from tests.builders import NOON, FakeClock, make_error, make_record, make_schedule, make_tick
from tests.contract.laws import assert_balanced, claim_one, enqueue, finish, run_one
from tests.contract.test_schedules import HOUR, batch_of, row_of

ENDS: list[Outcome] = [Completed(None), Failed(make_error()), Cancelled("stopped")]


async def prune(backend: QueueBackend, status: TaskStatus, *, older_than: float, limit: int) -> int:
    """Delete as many as it was said before that there are, in so far as the limit lets them go."""
    old = await backend.count_old(status, older_than=older_than)
    pruned = await backend.prune_many(status, older_than=older_than, limit=limit)
    assert pruned == min(old, limit)
    return pruned


async def test_records_that_ended_long_ago_go(backend: QueueBackend, clock: FakeClock) -> None:
    old = await run_one(backend)
    clock.advance(30)
    young = await run_one(backend)
    clock.advance(30)
    assert await prune(backend, TaskStatus.COMPLETED, older_than=31, limit=9) == 1
    assert set(await backend.get_many([old, young])) == {young}
    assert await prune(backend, TaskStatus.COMPLETED, older_than=31, limit=9) == 0
    assert await backend.ledger() == {"enqueued": 2, "live": 0, "terminal": 1, "pruned": 1}
    await assert_balanced(backend)


async def test_a_record_goes_when_it_is_older_than_asked_and_not_before(
    backend: QueueBackend, clock: FakeClock
) -> None:
    await run_one(backend)
    clock.advance(60)
    assert await prune(backend, TaskStatus.COMPLETED, older_than=60, limit=9) == 0
    clock.advance(0.000001)
    assert await prune(backend, TaskStatus.COMPLETED, older_than=60, limit=9) == 1


async def test_the_age_counts_from_the_end_not_from_the_enqueue(backend: QueueBackend, clock: FakeClock) -> None:
    record_id = await enqueue(backend)
    clock.advance(100)
    await backend.cancel_many([record_id])
    clock.advance(10)
    assert await prune(backend, TaskStatus.CANCELLED, older_than=50, limit=9) == 0


async def test_a_batch_is_bounded_and_takes_the_oldest(backend: QueueBackend, clock: FakeClock) -> None:
    ids = []
    for _ in range(5):
        ids.append(await run_one(backend))
        clock.advance(1)
    assert await prune(backend, TaskStatus.COMPLETED, older_than=0, limit=2) == 2
    assert set(await backend.get_many(ids)) == set(ids[2:])
    assert await prune(backend, TaskStatus.COMPLETED, older_than=0, limit=9) == 3
    await assert_balanced(backend)


@pytest.mark.parametrize("status", TERMINAL)
async def test_only_the_named_state_is_pruned(backend: QueueBackend, clock: FakeClock, status: TaskStatus) -> None:
    for outcome in ENDS:
        await run_one(backend, outcome)
    clock.advance(1)
    assert await prune(backend, status, older_than=0, limit=9) == 1
    counts = {one.value: int(one is not status) for one in TERMINAL}
    assert await backend.statistics() == QueueStatistics(**counts)
    await assert_balanced(backend)


@pytest.mark.parametrize("status", LIVE)
async def test_live_records_are_never_pruned(backend: QueueBackend, clock: FakeClock, status: TaskStatus) -> None:
    record_id = await enqueue(backend, delay=3600 if status is TaskStatus.SCHEDULED else 0)
    if status is TaskStatus.RUNNING:
        await claim_one(backend)
    clock.advance(60)
    for terminal in TERMINAL:
        assert await prune(backend, terminal, older_than=0, limit=9) == 0
    assert await backend.get_many([record_id])


async def test_a_retried_record_is_not_pruned_for_its_former_end(backend: QueueBackend, clock: FakeClock) -> None:
    record_id = await run_one(backend, Failed(make_error()))
    clock.advance(60)
    await backend.retry_many([record_id])
    assert await prune(backend, TaskStatus.FAILED, older_than=1, limit=9) == 0
    assert await finish(backend, await claim_one(backend), Failed(make_error()))
    assert await prune(backend, TaskStatus.FAILED, older_than=1, limit=9) == 0
    clock.advance(2)
    assert await prune(backend, TaskStatus.FAILED, older_than=1, limit=9) == 1
    await assert_balanced(backend)


async def test_a_record_that_still_holds_its_key_stays(backend: QueueBackend, clock: FakeClock) -> None:
    kept = await run_one(backend, key="k", unique_for=100)
    gone = await run_one(backend, key="other")
    clock.advance(99)
    assert await prune(backend, TaskStatus.COMPLETED, older_than=1, limit=1) == 1
    assert set(await backend.get_many([kept, gone])) == {kept}
    assert await enqueue(backend, key="k") == kept
    clock.advance(1)
    assert await prune(backend, TaskStatus.COMPLETED, older_than=1, limit=1) == 1
    assert await enqueue(backend, key="k") != kept
    await assert_balanced(backend)


async def test_a_pruned_record_can_be_enqueued_as_if_it_were_new(backend: QueueBackend, clock: FakeClock) -> None:
    record = make_record(queue="run-one", key="k", unique_for=1)
    await run_one(backend, id=record.id, key="k", unique_for=1)
    clock.advance(2)
    assert await prune(backend, TaskStatus.COMPLETED, older_than=1, limit=9) == 1
    (answer,) = await backend.enqueue_many([record])
    assert answer == (record.id, True)
    assert await backend.ledger() == {"enqueued": 2, "live": 1, "terminal": 0, "pruned": 1}


async def test_nothing_to_prune_is_zero(backend: QueueBackend) -> None:
    for status in TERMINAL:
        assert await prune(backend, status, older_than=0, limit=9) == 0


# the ledger


async def test_the_ledger_of_an_empty_store_is_zero(backend: QueueBackend) -> None:
    assert await backend.ledger() == {"enqueued": 0, "live": 0, "terminal": 0, "pruned": 0}


async def test_what_was_not_written_is_not_in_the_ledger(backend: QueueBackend) -> None:
    record = make_record(key="k")
    await backend.enqueue_many([record, record, make_record(key="k")])
    assert await backend.ledger() == {"enqueued": 1, "live": 1, "terminal": 0, "pruned": 0}


async def test_the_books_balance_when_everything_is_pruned_and_begun_anew(
    backend: QueueBackend, clock: FakeClock
) -> None:
    for round_ in range(1, 4):
        for outcome in ENDS:
            await run_one(backend, outcome)
        clock.advance(1)
        for status in TERMINAL:
            assert await prune(backend, status, older_than=0, limit=9) == 1
        assert await backend.ledger() == {"enqueued": 3 * round_, "live": 0, "terminal": 0, "pruned": 3 * round_}


# ticks and schedules


async def test_old_ticks_and_schedules_that_nobody_vouches_for_go(backend: QueueBackend, clock: FakeClock) -> None:
    await backend.sync_schedules([make_schedule(), make_schedule("gone")])
    await backend.fire_ticks(batch_of(make_tick(), make_tick(NOON + HOUR / 2)))
    clock.advance(60)
    await backend.sync_schedules([make_schedule()])
    await backend.fire_ticks(batch_of(make_tick(NOON + HOUR), expected_at=NOON + HOUR, next_at=NOON + 2 * HOUR))
    clock.advance(30)
    assert await backend.prune_ticks(older_than=60, limit=9) == 3
    assert [row.name for row in await backend.list_schedules()] == ["report"]
    assert (await row_of(backend)).last_at == NOON + HOUR
    assert await backend.prune_ticks(older_than=60, limit=9) == 0


async def test_ticks_go_in_bounded_batches(backend: QueueBackend, clock: FakeClock) -> None:
    await backend.sync_schedules([make_schedule()])
    ticks = [make_tick(NOON + n * HOUR / 10) for n in range(5)]
    await backend.fire_ticks(batch_of(*ticks))
    clock.advance(1)
    await backend.sync_schedules([make_schedule()])
    assert [await backend.prune_ticks(older_than=0.5, limit=2) for _ in range(4)] == [2, 2, 1, 0]


async def test_a_tick_that_was_not_pruned_is_still_not_fired_again(backend: QueueBackend, clock: FakeClock) -> None:
    await backend.sync_schedules([make_schedule()])
    await backend.fire_ticks(batch_of(make_tick()))
    clock.advance(60)
    assert await backend.prune_ticks(older_than=60, limit=9) == 0
    await backend.sync_schedules([make_schedule(definition="changed", first_at=NOON)])
    assert await backend.fire_ticks(TickBatch("report", NOON, [make_tick()], NOON + HOUR, overlap=True)) == 0
