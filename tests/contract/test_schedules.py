"""In: definitions and due ticks. Out: each tick's record, once, ever."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

import pytest

from litestar_queues.backends.base import QueueBackend
from litestar_queues.outcomes import Completed
from litestar_queues.status import TaskStatus
from litestar_queues.ticks import ScheduleRow, Tick, TickBatch
from tests.builders import NOON, FakeClock, make_record, make_schedule, make_tick
from tests.contract.laws import claim, claim_one, enqueue, finish, get

HOUR = timedelta(hours=1)


def batch_of(
    *ticks: Tick, expected_at: datetime = NOON, next_at: datetime = NOON + HOUR, overlap: bool = True
) -> TickBatch:
    return TickBatch("report", expected_at, ticks, next_at, overlap)


async def row_of(backend: QueueBackend, name: str = "report") -> ScheduleRow:
    return next(row for row in await backend.list_schedules() if row.name == name)


# definitions


async def test_a_new_schedule_is_first_due_when_its_definition_says(backend: QueueBackend) -> None:
    await backend.sync_schedules([make_schedule(first_at=NOON + HOUR)])
    assert list(await backend.list_schedules()) == [
        ScheduleRow(name="report", task="greet", definition="0 12 * * *", next_at=NOON + HOUR, seen_at=NOON)
    ]


async def test_an_unchanged_definition_keeps_its_next_due_time_and_is_vouched_for(
    backend: QueueBackend, clock: FakeClock
) -> None:
    await backend.sync_schedules([make_schedule()])
    clock.advance(60)
    await backend.sync_schedules([make_schedule(first_at=NOON + 9 * HOUR, task="renamed")])
    row = await row_of(backend)
    assert (row.next_at, row.seen_at, row.task) == (NOON, NOON + timedelta(seconds=60), "renamed")


async def test_a_changed_definition_gets_a_new_due_time_and_keeps_the_rest(backend: QueueBackend) -> None:
    await backend.sync_schedules([make_schedule()])
    await backend.fire_ticks(batch_of(make_tick()))
    await backend.pause_schedule("report", paused=True)
    before = await row_of(backend)
    await backend.sync_schedules([make_schedule(definition="0 21 * * *", first_at=NOON + 9 * HOUR)])
    row = await row_of(backend)
    assert (row.definition, row.next_at) == ("0 21 * * *", NOON + 9 * HOUR)
    assert (row.paused, row.last_at, row.last_record) == (True, NOON, before.last_record)


async def test_schedules_that_are_not_named_are_left_alone(backend: QueueBackend, clock: FakeClock) -> None:
    await backend.sync_schedules([make_schedule("b"), make_schedule("a")])
    clock.advance(60)
    await backend.sync_schedules([make_schedule("b")])
    await backend.sync_schedules([])
    assert [(row.name, row.seen_at) for row in await backend.list_schedules()] == [
        ("a", NOON),
        ("b", NOON + timedelta(seconds=60)),
    ]


async def test_times_of_other_zones_come_back_as_utc(backend: QueueBackend) -> None:
    there = timezone(timedelta(hours=5))
    await backend.sync_schedules([make_schedule(first_at=NOON.astimezone(there))])
    tick = make_tick(NOON.astimezone(there))
    next_at = (NOON + HOUR).astimezone(there)
    assert await backend.fire_ticks(batch_of(tick, expected_at=NOON.astimezone(there), next_at=next_at)) == 1
    row = await row_of(backend)
    assert (row.next_at, row.last_at) == (NOON + HOUR, NOON)
    assert {moment.utcoffset() for moment in (row.next_at, row.last_at, row.seen_at) if moment} == {timedelta(0)}


# what is due


async def test_due_schedules_come_the_longest_overdue_first_and_tell_when_the_next_is(
    backend: QueueBackend, clock: FakeClock
) -> None:
    first_at = {"a": NOON, "b": NOON - HOUR, "c": NOON + HOUR, "d": NOON + 2 * HOUR, "e": NOON - 3 * HOUR}
    await backend.sync_schedules([make_schedule(name, first_at=at) for name, at in first_at.items()])
    due = await backend.due_schedules(["a", "b", "c", "d", "unknown"])
    assert ([row.name for row in due.rows], due.now, due.next_in) == (["b", "a"], NOON, 3600.0)
    clock.advance(1800)
    due = await backend.due_schedules(["d", "a"])
    assert ([row.name for row in due.rows], due.now, due.next_in) == (["a"], NOON + HOUR / 2, 5400.0)


async def test_a_schedule_is_due_at_its_very_moment(backend: QueueBackend, clock: FakeClock) -> None:
    await backend.sync_schedules([make_schedule(first_at=NOON + timedelta(seconds=1))])
    clock.advance(0.999999)
    assert await backend.due_schedules(["report"]) == ([], clock.now(), 0.000001)
    clock.advance(0.000001)
    due = await backend.due_schedules(["report"])
    assert (len(due.rows), due.next_in) == (1, None)


async def test_nothing_named_is_nothing_due(backend: QueueBackend) -> None:
    await backend.sync_schedules([make_schedule()])
    due = await backend.due_schedules([])
    assert (list(due.rows), due.next_in) == ([], None)


async def test_a_paused_schedule_is_neither_due_nor_waited_for(backend: QueueBackend) -> None:
    await backend.sync_schedules([make_schedule(), make_schedule("later", first_at=NOON + HOUR)])
    assert await backend.pause_schedule("report", paused=True)
    assert await backend.pause_schedule("later", paused=True)
    assert (await row_of(backend)).paused
    due = await backend.due_schedules(["report", "later"])
    assert (list(due.rows), due.next_in) == ([], None)
    assert await backend.pause_schedule("report", paused=False)
    assert [row.name for row in (await backend.due_schedules(["report", "later"])).rows] == ["report"]


async def test_a_schedule_that_does_not_exist_cannot_be_paused(backend: QueueBackend) -> None:
    assert await backend.pause_schedule("report", paused=True) is False
    assert list(await backend.list_schedules()) == []


# ticks


async def test_a_tick_makes_its_record_and_moves_the_schedule_on(backend: QueueBackend) -> None:
    await backend.sync_schedules([make_schedule()])
    tick = make_tick()
    assert await backend.fire_ticks(batch_of(tick)) == 1
    record = await get(backend, tick.record.id)
    assert (record.status, record.schedule) == (TaskStatus.PENDING, "report")
    row = await row_of(backend)
    assert (row.next_at, row.last_at, row.last_record) == (NOON + HOUR, NOON, tick.record.id)
    assert (await claim_one(backend)).schedule == "report"


async def test_of_workers_that_fire_at_once_one_is_first(backend: QueueBackend) -> None:
    await backend.sync_schedules([make_schedule()])
    made = await asyncio.gather(*(backend.fire_ticks(batch_of(make_tick())) for _ in range(5)))
    assert sorted(made) == [0, 0, 0, 0, 1]
    assert len(await claim(backend)) == 1


async def test_where_another_worker_moved_the_schedule_on_nothing_is_written(backend: QueueBackend) -> None:
    await backend.sync_schedules([make_schedule()])
    await backend.fire_ticks(batch_of(make_tick()))
    before = await row_of(backend)
    late = batch_of(make_tick(), make_tick(NOON + HOUR / 2), next_at=NOON + 5 * HOUR)
    assert await backend.fire_ticks(late) == 0
    assert await row_of(backend) == before
    assert (await backend.ledger())["enqueued"] == 1


async def test_a_tick_is_fired_once_ever_even_when_the_schedule_was_moved_back(backend: QueueBackend) -> None:
    await backend.sync_schedules([make_schedule()])
    await backend.fire_ticks(batch_of(make_tick()))
    await backend.sync_schedules([make_schedule(definition="changed", first_at=NOON)])
    fresh = make_tick(NOON + HOUR / 4)
    assert await backend.fire_ticks(batch_of(make_tick(), fresh)) == 1
    row = await row_of(backend)
    assert (row.next_at, row.last_record) == (NOON + HOUR, fresh.record.id)
    assert (await backend.ledger())["enqueued"] == 2


async def test_a_batch_of_ticks_that_were_all_fired_still_moves_on(backend: QueueBackend) -> None:
    await backend.sync_schedules([make_schedule()])
    await backend.fire_ticks(batch_of(make_tick()))
    before = await row_of(backend)
    await backend.sync_schedules([make_schedule(definition="changed", first_at=NOON)])
    assert await backend.fire_ticks(batch_of(make_tick())) == 0
    row = await row_of(backend)
    assert (row.next_at, row.last_at, row.last_record) == (NOON + HOUR, NOON, before.last_record)


async def test_missed_ticks_are_fired_together(backend: QueueBackend) -> None:
    await backend.sync_schedules([make_schedule()])
    ticks = [make_tick(NOON + n * HOUR) for n in range(3)]
    assert await backend.fire_ticks(batch_of(*ticks, next_at=NOON + 3 * HOUR)) == 3
    row = await row_of(backend)
    assert (row.last_at, row.last_record) == (NOON + 2 * HOUR, ticks[2].record.id)


async def test_no_tick_moves_the_schedule_on(backend: QueueBackend) -> None:
    await backend.sync_schedules([make_schedule()])
    assert await backend.fire_ticks(batch_of()) == 0
    row = await row_of(backend)
    assert (row.next_at, row.last_at, row.last_record) == (NOON + HOUR, None, None)


@pytest.mark.parametrize("state", ["pending", "scheduled", "running"])
async def test_without_overlap_a_live_record_swallows_the_tick(backend: QueueBackend, state: str) -> None:
    await backend.sync_schedules([make_schedule()])
    first = make_tick(delay=60 if state == "scheduled" else 0)
    await backend.fire_ticks(batch_of(first, overlap=False))
    if state == "running":
        await claim_one(backend)
    second = batch_of(make_tick(NOON + HOUR), expected_at=NOON + HOUR, next_at=NOON + 2 * HOUR, overlap=False)
    assert await backend.fire_ticks(second) == 0
    row = await row_of(backend)
    assert (row.next_at, row.last_at, row.last_record) == (NOON + 2 * HOUR, NOON + HOUR, first.record.id)


async def test_without_overlap_the_next_tick_runs_once_the_record_ended(backend: QueueBackend) -> None:
    await backend.sync_schedules([make_schedule()])
    await backend.fire_ticks(batch_of(make_tick(), overlap=False))
    await finish(backend, await claim_one(backend), Completed(None))
    second = batch_of(make_tick(NOON + HOUR), expected_at=NOON + HOUR, next_at=NOON + 2 * HOUR, overlap=False)
    assert await backend.fire_ticks(second) == 1


async def test_without_overlap_missed_ticks_make_one_record(backend: QueueBackend) -> None:
    await backend.sync_schedules([make_schedule()])
    ticks = [make_tick(NOON + n * HOUR) for n in range(3)]
    assert await backend.fire_ticks(batch_of(*ticks, next_at=NOON + 3 * HOUR, overlap=False)) == 1
    row = await row_of(backend)
    assert (row.last_at, row.last_record) == (NOON + 2 * HOUR, ticks[0].record.id)


async def test_a_record_of_another_schedule_does_not_swallow_a_tick(backend: QueueBackend) -> None:
    await backend.sync_schedules([make_schedule()])
    await enqueue(backend, schedule="other")
    assert await backend.fire_ticks(batch_of(make_tick(), overlap=False)) == 1


async def test_with_overlap_each_tick_runs(backend: QueueBackend) -> None:
    await backend.sync_schedules([make_schedule()])
    await backend.fire_ticks(batch_of(make_tick()))
    second = batch_of(make_tick(NOON + HOUR), expected_at=NOON + HOUR, next_at=NOON + 2 * HOUR)
    assert await backend.fire_ticks(second) == 1
    assert len(await claim(backend)) == 2


async def test_a_tick_whose_key_is_held_makes_no_record_and_is_not_fired_later(backend: QueueBackend) -> None:
    await backend.sync_schedules([make_schedule()])
    holder = await enqueue(backend, key="k")
    assert await backend.fire_ticks(batch_of(make_tick(key="k"))) == 0
    row = await row_of(backend)
    assert (row.next_at, row.last_at, row.last_record) == (NOON + HOUR, NOON, None)
    await backend.cancel_many([holder])
    await backend.sync_schedules([make_schedule(definition="changed", first_at=NOON)])
    assert await backend.fire_ticks(batch_of(make_tick(key="k"))) == 0


async def test_a_paused_schedule_does_not_fire(backend: QueueBackend) -> None:
    await backend.sync_schedules([make_schedule()])
    await backend.pause_schedule("report", paused=True)
    before = await row_of(backend)
    assert await backend.fire_ticks(batch_of(make_tick())) == 0
    assert await row_of(backend) == before
    await backend.pause_schedule("report", paused=False)
    assert await backend.fire_ticks(batch_of(make_tick())) == 1


async def test_a_schedule_that_does_not_exist_does_not_fire(backend: QueueBackend) -> None:
    assert await backend.fire_ticks(batch_of(make_tick())) == 0
    assert (await backend.ledger())["enqueued"] == 0


async def test_ticks_records_and_the_next_due_time_are_written_together_or_not_at_all(backend: QueueBackend) -> None:
    await backend.sync_schedules([make_schedule()])
    before = await row_of(backend)
    impossible = Tick(NOON + HOUR, make_record(scheduled_at=NOON.replace(tzinfo=None)))
    with pytest.raises(ValueError, match="time zone"):
        await backend.fire_ticks(batch_of(make_tick(), impossible))
    assert await row_of(backend) == before
    assert (await backend.ledger())["enqueued"] == 0
    assert await backend.fire_ticks(batch_of(make_tick())) == 1
