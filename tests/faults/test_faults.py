"""In: each door of a worker to the store, each way a line can break. Out: books that balance, one outcome for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from litestar_queues import rooms
from litestar_queues.errors import BackendUnavailableError
from litestar_queues.events import BackendDown, BackendUp, CompletionsRefused
from litestar_queues.execution.context import TaskExecutionContext
from litestar_queues.maintenance.rescuer import Rescuer
from litestar_queues.worker.leases import CancelWatch, LeaseKeeper
from tests.contract.conftest import STORES
from tests.faults.day import LEASE, Day, assert_sound
from tests.faults.doors import HOT, WORKER_DOORS
from tests.worker.harness import PATIENCE, Shift, until

Gone = Callable[[], Awaitable[Any]]
"""Returns once the fault is over."""


@pytest.fixture
async def day(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Day]:
    """A day in memory, or in the store that the test names."""
    monkeypatch.setattr(rooms, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(rooms, "_LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(rooms, "_QUIET", 0.2)
    monkeypatch.setattr(CancelWatch, "interval", 0.01)
    clock = Day.clock_ahead()
    day = Day(STORES[getattr(request, "param", "memory")](request, clock)(), clock)
    async with day.shop:
        yield day


async def fails(day: Day, method: str) -> Gone:
    day.backend.fail(method, 1 if method == "save_progress" else 3)  # what fails there is dropped, not tried again
    return lambda: until(lambda: not day.backend.faults_left(method))


async def loses_its_reply(day: Day, method: str) -> Gone:
    day.backend.drop_reply(method)
    return lambda: until(lambda: not day.backend.faults_left(method))


async def hangs(day: Day, method: str) -> Gone:
    hang = day.backend.hang(method)

    async def let_go() -> None:
        await hang.entered.wait()
        hang.release()

    return let_go


@pytest.mark.parametrize("fault", [fails, hangs, loses_its_reply])
@pytest.mark.parametrize(
    ("day", "door"),
    [(store, door) for store in ("memory", "sqlite") for door in WORKER_DOORS] + [("asyncpg", door) for door in HOT],
    indirect=["day"],
)
async def test_whatever_breaks_at_a_door_of_a_worker_the_books_balance(
    day: Day, door: str, fault: Callable[[Day, str], Awaitable[Gone]]
) -> None:
    await day.leave_a_dead_workers_record("clerk:dead" if door == "rescue_predecessor" else "dead:1")
    claim_is_lost = door == "claim_many" and fault is loses_its_reply
    gone = None if door == "claim_many" and fault is hangs else await fault(day, door)  # it would not begin
    if door == "claim_many":
        await day.post_letters()
    async with Shift(day.shop) as shift:
        gone = gone or await fault(day, door)
        async with asyncio.TaskGroup() as group:
            if door != "claim_many":
                group.create_task(day.post_letters())
            group.create_task(day.work_until_over(leases_run_out=claim_is_lost))
            group.create_task(_in_time(gone()))
        await until(lambda: shift.worker.health.ok)
    assert not day.backend.faults_left(door)
    await assert_sound(day)
    if not claim_is_lost:
        assert set(day.runs.values()) == {1}


async def _in_time(wait: Awaitable[Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        await wait


@pytest.mark.parametrize("fault", [fails, hangs, loses_its_reply])
@pytest.mark.parametrize("day", ["memory", "sqlite"], indirect=True)
async def test_a_worker_leaves_in_time_whatever_becomes_of_its_last_words(
    day: Day, fault: Callable[[Day, str], Awaitable[Gone]]
) -> None:
    async with Shift(day.shop) as shift:
        await fault(day, "forget_worker")
        async with asyncio.timeout(PATIENCE / 2):
            report = await shift.drain()
    assert (report.cancelled, report.abandoned, report.unsaved) == (0, 0, 0)
    assert day.backend.calls.count("forget_worker") == 1
    rows = {row.worker_id for row in await day.backend.inner.list_workers()}  # its lease runs out, then it is "lost"
    assert rows == (set() if fault is loses_its_reply else {shift.worker.worker_id})


async def test_a_store_that_stays_away_is_asked_ever_less_often(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the pauses are those of users
    async with Shift(day.shop):
        day.backend.is_down = True
        await day.shop.told.nth(BackendDown)
        before = len(day.backend.calls)
        await asyncio.sleep(1.2)
        asked = day.backend.calls[before:]
        # pauses of 0.1, 0.2, 0.4 and 0.8 s, less a quarter; two lanes claim
        assert {method: asked.count(method) for method in asked if asked.count(method) > 10} == {}
        assert len(day.shop.told.all(BackendDown)) == 1
        day.backend.is_down = False


async def test_an_outage_of_the_whole_store_is_told_once_and_loses_nothing(day: Day) -> None:
    await day.leave_a_dead_workers_record()
    async with Shift(day.shop) as shift:
        await day.post_letters()
        day.backend.is_down = True
        await day.shop.told.nth(BackendDown)
        seen = len(day.backend.calls)
        await until(lambda: len(day.backend.calls) > seen + 50)
        assert not shift.worker.health.ok
        day.backend.is_down = False
        await day.work_until_over()
        assert [len(day.shop.told.all(kind)) for kind in (BackendDown, BackendUp)] == [1, 1]
    await assert_sound(day)


async def test_a_worker_whose_renewals_come_too_late_changes_nothing_any_more(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(room: rooms.Room, stop: asyncio.Event) -> None:
        await stop.wait()

    for room in (LeaseKeeper, Rescuer):
        monkeypatch.setattr(room, "run", never)
    curtain, first = asyncio.Event(), Shift(day.shop, max_concurrency=1)

    async def slow(context: TaskExecutionContext) -> str:
        if context.worker_id == first.worker.worker_id:
            await curtain.wait()
        return context.worker_id

    handle = await day.shop.service.enqueue(day.shop.task(slow))
    async with first:
        await until(lambda: first.worker.running == 1)
        day.clock.advance(LEASE + 1)
        await day.backend.rescue_many(limit=10, max_lost_leases=3)
        async with Shift(day.shop) as second:
            assert (await handle.wait(PATIENCE)).result == second.worker.worker_id
        curtain.set()
        assert (await day.shop.told.nth(CompletionsRefused)).ids == [handle.id]
    assert (await handle.refresh()).result == second.worker.worker_id
    assert day.backend.outcomes[handle.id] == 1


@pytest.mark.parametrize("by", [3600.0, -3600.0], ids=["ahead", "back"])
@pytest.mark.parametrize("day", ["memory", "sqlite"], indirect=True)
async def test_a_jump_of_the_stores_own_clock_loses_nothing_and_doubles_no_outcome(day: Day, by: float) -> None:
    curtain = asyncio.Event()

    async def slow() -> int:
        await curtain.wait()
        return 1

    task = day.shop.task(slow)
    running, delayed = await day.shop.service.enqueue(task), await day.shop.service.enqueue(task, run_after=60)
    async with Shift(day.shop) as shift:
        await until(lambda: shift.worker.running == 1)
        day.clock.jump(by)  # ahead: every lease has run out; back: each lasts an hour longer, and delays as well
        renewed = day.backend.calls.count("renew_many")
        await until(lambda: day.backend.calls.count("renew_many") > renewed + 2)
        curtain.set()
        assert (await running.wait(PATIENCE)).result == 1
        day.clock.advance(max(60.0, 60.0 - by))
        assert (await delayed.wait(PATIENCE)).result == 1
    assert [day.backend.outcomes[one.id] for one in (running, delayed)] == [1, 1]


async def test_a_caller_whose_reply_was_lost_finds_its_record_by_the_key(day: Day) -> None:
    day.backend.drop_reply("enqueue_many")
    with pytest.raises(BackendUnavailableError):
        await day.shop.service.enqueue("letter", 1, key="letter 1")
    again = await day.shop.service.enqueue("letter", 1, key="letter 1")
    assert not again.created
    assert (await day.backend.inner.ledger())["enqueued"] == 1


async def test_a_caller_whose_line_was_cut_has_stored_nothing(day: Day) -> None:
    day.backend.fail("enqueue_many")
    with pytest.raises(BackendUnavailableError):
        await day.shop.service.enqueue("letter", 1)
    assert (await day.backend.inner.ledger())["enqueued"] == 0
