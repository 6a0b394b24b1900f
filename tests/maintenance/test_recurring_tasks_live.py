"""In: all that can befall a recurring task. Out: its next record, nevertheless."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from litestar_queues.errors import BackendError
from litestar_queues.outcomes import Cancelled, Failed
from litestar_queues.status import TaskStatus
from tests.builders import FakeClock, make_error
from tests.maintenance.office import LEASE, Office

HOUR = 3_600.0


async def fails(office: Office) -> None:
    await office.work(Failed(make_error()))


async def is_cancelled_while_it_runs(office: Office) -> None:
    await office.work(Cancelled("enough"))


async def is_cancelled_while_it_waits(office: Office) -> None:
    await office.backend.cancel_many([record.id for record in await office.records()])


async def loses_its_worker_for_good(office: Office) -> None:
    await office.claim()
    office.clock.advance(LEASE + 1)
    await office.backend.rescue_many(limit=10, max_lost_leases=1)
    assert (await office.records())[-1].status is TaskStatus.FAILED


async def loses_its_worker_once(office: Office) -> None:
    await office.claim()
    office.clock.advance(LEASE + 1)
    await office.backend.rescue_many(limit=10, max_lost_leases=3)
    await office.work()


async def is_pruned(office: Office) -> None:
    await office.work()
    office.clock.advance(1)
    assert await office.backend.prune_many(TaskStatus.COMPLETED, older_than=0, limit=10) == 1


@pytest.mark.parametrize(
    "befall",
    [
        fails,
        is_cancelled_while_it_runs,
        is_cancelled_while_it_waits,
        loses_its_worker_for_good,
        loses_its_worker_once,
        is_pruned,
    ],
)
async def test_whatever_befalls_a_record_the_next_tick_makes_another(
    clock: FakeClock, befall: Callable[[Office], Awaitable[None]]
) -> None:
    office = await Office(clock).open(cron="0 * * * *")
    for number in range(1, 4):
        await office.pass_time(HOUR)
        ledger = await office.backend.ledger()
        assert (ledger["enqueued"], ledger["live"]) == (number, 1)
        await befall(office)


@pytest.mark.parametrize(
    ("method", "restarts"),
    [
        ("due_schedules", False),
        ("due_schedules", True),
        ("fire_ticks", False),
        ("fire_ticks", True),
        ("sync_schedules", True),
    ],
)
@pytest.mark.parametrize("fault", ["fail", "drop_reply"])
async def test_a_crash_between_two_steps_neither_loses_nor_doubles_a_tick(
    clock: FakeClock, method: str, fault: str, *, restarts: bool
) -> None:
    office = await Office(clock).open(cron="0 * * * *")
    for number in range(1, 4):
        clock.advance(HOUR)
        getattr(office.backend, fault)(method)
        if restarts:
            office.restart()
        await office.stormy_round()
        assert (await office.backend.ledger())["enqueued"] == number
        assert office.backend.faults_left(method) == 0
        await office.work()


async def test_a_weekly_task_survives_daily_deploys(clock: FakeClock) -> None:
    office = await Office(clock).open(interval=7 * 24 * HOUR, initial_delay=7 * 24 * HOUR)
    for _ in range(8):
        await office.pass_time(24 * HOUR)
        office.restart()
        await office.round()
    assert await office.count() == 1


async def test_one_schedule_that_cannot_fire_leaves_no_half_of_a_tick(clock: FakeClock) -> None:
    office = await Office(clock).open(cron="0 * * * *")
    clock.advance(HOUR)
    office.backend.fail("fire_ticks", error=BackendError("disk full"))
    with pytest.raises(BackendError):
        await office.round()
    assert await office.count() == 0
    (row,) = await office.backend.list_schedules()
    assert row.last_at is None
    await office.round()
    assert await office.count() == 1
