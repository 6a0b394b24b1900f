"""In: every door to the store, and every way a line can break. Out: books that balance, and one outcome per record."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from litestar_queues import rooms
from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.errors import BackendUnavailableError
from litestar_queues.events import BackendDown, BackendUp, CompletionsRefused, RoomFailed
from litestar_queues.execution.context import TaskExecutionContext
from litestar_queues.maintenance.rescuer import Rescuer
from litestar_queues.records import QueuedTaskRecord
from litestar_queues.results import TaskResult
from litestar_queues.status import TaskStatus
from litestar_queues.worker.leases import LeaseKeeper
from tests.builders import FakeClock, make_record
from tests.faults.faulty import FaultyBackend
from tests.worker.harness import PATIENCE, Shift, Shop, until, until_found

LEASE = 60.0
DOORS = {
    "enqueue": "enqueue_many",
    "claim": "claim_many",
    "finish": "finish_many",
    "renew": "renew_many",
    "fire_ticks": "fire_ticks",
    "rescue": "rescue_many",
    "progress": "save_progress",
}


class Day:
    """A day at work that goes through every door: three letters, a recurring task, a record of a dead worker."""

    def __init__(self) -> None:
        self.clock = FakeClock(datetime.now(UTC))  # a worker's own clock is real, and dates first ticks
        self.backend = FaultyBackend(MemoryBackend(clock=self.clock))
        self.shop = Shop(
            backend=self.backend,
            clock=self.clock,
            worker_heartbeat_interval=0.01,
            worker_stale_after=LEASE,
            worker_poll_interval=0.01,
        )
        self.runs: Counter[UUID] = Counter()
        self.shop.task(self._letter, name="letter")
        self.shop.task(lambda: None, name="tick", schedule={"interval": 3_600})
        self.handles: list[TaskResult] = []

    async def _letter(self, number: int, context: TaskExecutionContext) -> int:
        self.runs[context.task_id] += 1
        renewed = self.backend.calls.count("renew_many")
        calls, left = self.backend.calls, self.backend.faults_left
        await until(lambda: calls.count("renew_many") > renewed and not left("renew_many"))
        context.progress(number)
        return number

    async def leave_a_dead_workers_record(self) -> None:
        (made,) = await self.backend.inner.enqueue_many([make_record(task="letter", payload=b"[[0],{}]")])
        await self.backend.inner.claim_many(worker_id="dead:1", queues=(), limit=1, lease=LEASE)
        self.clock.advance(LEASE + 1)
        self.handles.append(TaskResult(self.shop.service, made.id, "letter"))

    async def post_letters(self) -> None:
        """Enqueue as a careful client does: under a key, again and again until the answer comes."""
        for number in (1, 2, 3):
            while True:
                try:
                    handle = await self.shop.service.enqueue("letter", number, key=f"letter {number}")
                except BackendUnavailableError:
                    continue
                break
            self.handles.append(handle)

    async def records(self) -> list[QueuedTaskRecord]:
        return [record for record in await self.shop.service.list_tasks() if record.task_name == "letter"]

    async def tick(self) -> QueuedTaskRecord | None:
        return next(iter(await self.shop.service.list_tasks(task="tick")), None)

    async def is_over(self) -> bool:
        tick = await self.tick()
        return tick is not None and tick.is_terminal and all(record.is_terminal for record in await self.records())

    async def work_until_over(self) -> None:
        """Let the worker's day pass; what lost its lease while the line was broken is taken back an hour later."""
        self.clock.advance(1)  # the first tick is due
        for patience in (0.5, PATIENCE):
            try:
                async with asyncio.timeout(patience):
                    await until_found(self.is_over)
                    return
            except TimeoutError:
                self.clock.advance(LEASE + 1)
        raise AssertionError("the day does not end: " + repr(await self.records()))


@pytest.fixture
async def day(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Day]:
    monkeypatch.setattr(rooms, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(rooms, "_LONGEST_PAUSE", 0.01)
    day = Day()
    async with day.shop:
        yield day


async def assert_sound(day: Day) -> None:
    ledger = await day.backend.inner.ledger()
    assert ledger["enqueued"] == ledger["live"] + ledger["terminal"] + ledger["pruned"]
    assert (ledger["enqueued"], ledger["live"]) == (5, 0)  # the dead worker's, three letters and one tick
    records = await day.records()
    assert [record.status for record in records] == [TaskStatus.COMPLETED] * 4
    assert sorted(record.result for record in records) == [0, 1, 2, 3]
    assert set(day.backend.outcomes.values()) == {1}
    assert {record.id for record in records} == {handle.id for handle in day.handles}
    downs, ups = day.shop.told.all(BackendDown), day.shop.told.all(BackendUp)
    assert len(downs) == len(ups)
    assert day.shop.told.all(RoomFailed) == []


async def fails(day: Day, method: str) -> Callable[[], Awaitable[Any]]:
    day.backend.fail(method, 1 if method == "save_progress" else 3)  # what fails there is dropped, not tried again
    return lambda: until(lambda: not day.backend.faults_left(method))


async def loses_its_reply(day: Day, method: str) -> Callable[[], Awaitable[Any]]:
    day.backend.drop_reply(method)
    return lambda: until(lambda: not day.backend.faults_left(method))


async def hangs(day: Day, method: str) -> Callable[[], Awaitable[Any]]:
    hang = day.backend.hang(method)

    async def let_go() -> None:
        await hang.entered.wait()
        hang.release()

    return let_go


@pytest.mark.parametrize("fault", [fails, hangs, loses_its_reply])
@pytest.mark.parametrize("door", DOORS)
async def test_whatever_breaks_at_a_door_the_books_balance(
    day: Day, door: str, fault: Callable[[Day, str], Awaitable[Callable[[], Awaitable[Any]]]]
) -> None:
    async with Shift(day.shop) as shift:
        gone = await fault(day, DOORS[door])
        await day.leave_a_dead_workers_record()
        async with asyncio.TaskGroup() as group:
            group.create_task(day.post_letters())
            group.create_task(day.work_until_over())
            group.create_task(_in_time(gone()))
        await until(lambda: shift.worker.health.ok)
    assert not any(day.backend.faults_left(method) for method in DOORS.values())
    await assert_sound(day)
    if fault is not loses_its_reply or door != "claim":
        assert set(day.runs.values()) == {1}


async def _in_time(wait: Awaitable[Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        await wait


async def test_an_outage_of_the_whole_store_is_told_once_and_loses_nothing(day: Day) -> None:
    async with Shift(day.shop) as shift:
        await day.leave_a_dead_workers_record()
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
