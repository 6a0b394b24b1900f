"""In: schedules and time. Out: one record per tick, whoever looks, whatever was missed, whatever has changed."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from litestar_queues.errors import QueueConfigurationError
from litestar_queues.events import TicksFired
from litestar_queues.schedules import MissedPolicy
from litestar_queues.status import TaskStatus
from tests.builders import NOON, FakeClock
from tests.maintenance.office import Office

MINUTE, HOUR = 60.0, 3_600.0


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


async def test_a_due_tick_makes_a_record_that_is_told_and_wakes_the_canarys_lane(clock: FakeClock) -> None:
    office = await Office(clock).open(cron="0 * * * *")
    assert await office.count() == 0
    await office.pass_time(HOUR)
    (record,) = await office.records()
    assert (record.task_name, record.schedule, record.status) == ("report", "report", TaskStatus.PENDING)
    assert (record.args, record.kwargs, record.created_at) == ((), {}, NOON + hours(1))
    assert office.told.events == [TicksFired("report", 1)]
    assert office.woken == 1


async def test_it_rests_until_the_next_tick_but_looks_twice_a_minute_at_least(clock: FakeClock) -> None:
    office = await Office(clock).open(cron="0 * * * *")
    assert await office.round() == 30.0
    clock.advance(HOUR - 10)
    assert await office.round() == pytest.approx(10.0)


async def test_an_interval_starts_at_once_or_after_its_initial_delay(clock: FakeClock) -> None:
    office = await Office(clock).open(interval=MINUTE)
    assert await office.count() == 1
    later = await Office(clock).open(interval=MINUTE, initial_delay=20)
    assert await later.count() == 0
    await later.pass_time(20)
    assert await later.count() == 1


@pytest.mark.parametrize(("missed", "made"), [("one", 1), ("all", 5), ("skip", 0)])
async def test_ticks_missed_in_an_outage_are_made_up_for_as_the_policy_says(
    clock: FakeClock, missed: MissedPolicy, made: int
) -> None:
    office = await Office(clock).open(cron="0 * * * *", missed=missed, overlap=True)
    await office.pass_time(5 * HOUR + 2 * MINUTE)
    assert await office.count() == made
    await office.pass_time(HOUR - 2 * MINUTE)  # the next one fires as ever
    assert await office.count() == made + 1


async def test_after_a_very_long_outage_every_tick_is_made_in_bounded_batches(clock: FakeClock) -> None:
    office = await Office(clock).open(cron="* * * * *", missed="all", overlap=True)
    await office.pass_time(2_500 * MINUTE)
    assert [event.records for event in office.told.all(TicksFired)] == [1_000, 1_000, 500]
    assert len({record.id for record in await office.records()}) == 2_500


async def test_a_tick_makes_no_record_while_the_last_one_is_not_done(clock: FakeClock) -> None:
    office = await Office(clock).open(interval=MINUTE)
    await office.pass_time(MINUTE)
    assert await office.count() == 1
    await office.work()
    await office.pass_time(MINUTE)
    assert await office.count() == 2


async def test_with_overlap_it_does(clock: FakeClock) -> None:
    office = await Office(clock).open(interval=MINUTE, overlap=True)
    await office.pass_time(MINUTE)
    assert await office.count() == 2


async def test_jitter_delays_the_record_and_not_the_tick(clock: FakeClock) -> None:
    office = await Office(clock).open(cron="0 * * * *", jitter=600, overlap=True)
    for _ in range(20):
        await office.pass_time(HOUR)
    delays = [(record.scheduled_at - record.created_at).total_seconds() for record in await office.records()]
    assert all(0 <= delay <= 600 for delay in delays)
    assert len(set(delays)) > 10
    (row,) = await office.backend.list_schedules()
    assert row.next_at == NOON + hours(21)


# changes


async def test_a_restart_does_not_shift_the_next_tick_however_often(clock: FakeClock) -> None:
    office = await Office(clock).open(interval=HOUR)
    await office.work()
    for _ in range(59):
        clock.advance(MINUTE)
        office.restart()
        await office.round()
    assert await office.count() == 1
    clock.advance(MINUTE)
    office.restart()
    await office.round()
    assert await office.count() == 2


async def test_a_changed_definition_counts_from_the_change(clock: FakeClock) -> None:
    old = await Office(clock).open(cron="0 0 * * SUN")
    new = await Office(clock, old.backend).open(cron="30 * * * *")
    await new.pass_time(HOUR / 2)
    assert await new.count() == 1
    (row,) = await new.backend.list_schedules()
    assert row.next_at == NOON + hours(1.5)


async def test_during_a_rolling_update_only_the_release_whose_definition_is_stored_fires(clock: FakeClock) -> None:
    old = await Office(clock).open(cron="0 * * * *")
    new = await Office(clock, old.backend).open(cron="30 * * * *")
    clock.advance(HOUR / 2)
    await old.round()
    assert await new.count() == 0
    await new.round()
    assert await new.count() == 1


async def test_a_definition_that_a_dead_release_left_behind_does_not_stop_the_schedule(clock: FakeClock) -> None:
    new = await Office(clock).open(interval=MINUTE)
    await Office(clock, new.backend).open(cron="* * * * *")  # a pod of the old release, restarted and gone
    await new.work()
    await new.pass_time(2 * MINUTE)
    assert await new.count() == 1
    await new.pass_time(MINUTE)
    assert await new.count() == 1
    await new.pass_time(1)
    assert await new.count() == 2
    (row,) = await new.backend.list_schedules()
    assert row.definition == "interval 60.0"


async def test_a_schedule_that_no_code_defines_any_more_is_not_fired(clock: FakeClock) -> None:
    old = await Office(clock).open(cron="0 * * * *")
    new = Office(clock, old.backend)
    new.shop.task(lambda: None, name="report")
    new.restart()
    assert new.scheduler.is_idle
    await old.backend.prune_ticks(older_than=0, limit=10)
    assert [row.name for row in await new.backend.list_schedules()] == ["report"]
    clock.advance(31 * 24 * HOUR)
    await old.backend.prune_ticks(older_than=30 * 24 * HOUR, limit=10)
    assert await new.backend.list_schedules() == []


async def test_what_still_exists_is_vouched_for_now_and_then(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    office = await Office(clock).open(cron="@yearly")
    await office.pass_time(HOUR)
    assert office.backend.calls.count("sync_schedules") == 1
    monkeypatch.setattr("litestar_queues.maintenance.scheduler._VOUCH_INTERVAL", 0.0)
    await office.round()
    (row,) = await office.backend.list_schedules()
    assert row.seen_at == NOON + hours(1)


@pytest.mark.parametrize("injected", [True, False])
async def test_a_recurring_task_that_needs_an_argument_is_refused_at_the_start(
    clock: FakeClock, *, injected: bool
) -> None:
    office = Office(clock)
    if injected:
        office.shop.service.dependencies.bind({"session": lambda: 1}, {})
        await office.open(lambda session: session, interval=MINUTE)
        assert await office.count() == 1
        return
    message = "task 'report' cannot run by its schedule, which gives it no arguments: .*'session'"
    with pytest.raises(QueueConfigurationError, match=message):
        await office.open(lambda session: session, interval=MINUTE)
    assert await office.backend.list_schedules() == []


async def test_a_paused_schedule_rests_and_goes_on_when_it_is_resumed(clock: FakeClock) -> None:
    office = await Office(clock).open(cron="0 * * * *")
    async with office.shop:
        assert await office.shop.service.pause_schedule("report")
        await office.pass_time(3 * HOUR)
        assert await office.count() == 0
        assert await office.shop.service.resume_schedule("report")
        await office.round()
        assert await office.count() == 1
        assert not await office.shop.service.pause_schedule("another")


# many at once, and what may befall a recurring task


async def test_of_several_schedulers_one_fires_each_tick(clock: FakeClock) -> None:
    first = await Office(clock).open(cron="0 * * * *", overlap=True)
    others = [await Office(clock, first.backend).open(cron="0 * * * *", overlap=True) for _ in range(4)]
    for _ in range(10):
        clock.advance(HOUR)
        await asyncio.gather(*(office.round() for office in (first, *others)))
    assert await first.count() == 10


async def test_two_that_read_the_same_due_time_write_it_once(clock: FakeClock) -> None:
    first = await Office(clock).open(cron="0 * * * *", overlap=True)
    second = await Office(clock, first.backend).open(cron="0 * * * *", overlap=True)
    clock.advance(HOUR)
    hang = second.backend.hang("fire_ticks")
    slow = asyncio.create_task(second.round())
    await hang.entered.wait()
    await first.round()
    hang.release()
    await slow
    assert await first.count() == 1
    assert (len(first.told.all(TicksFired)), second.told.all(TicksFired)) == (1, [])
