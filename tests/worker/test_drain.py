"""In: a worker that is told to stop, at the worst moments. Out: it leaves in time, and nothing is lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from litestar_queues import rooms
from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.events import WorkerDraining, WorkerStarted, WorkerStopped
from litestar_queues.execution.context import TaskExecutionContext
from litestar_queues.status import TaskStatus
from litestar_queues.worker import Worker, worker
from litestar_queues.worker.worker import DrainReport
from tests.faults.faulty import FaultyBackend
from tests.worker.harness import PATIENCE, Shift, Shop, until, within

CLEAN = DrainReport(cancelled=0, abandoned=0, unsaved=0)


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Set at the end, so that no thread outlives its test."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "_FIRST_PAUSE", 0.001)


async def swallow_cancellations(curtain: asyncio.Event) -> None:
    while not curtain.is_set():
        try:
            await curtain.wait()
        except asyncio.CancelledError:
            continue


async def assert_given_back(shop: Shop) -> None:
    (record,) = await shop.service.list_tasks()
    assert (record.status, record.attempt, record.lost_leases) == (TaskStatus.PENDING, 0, 0)


async def test_an_idle_worker_leaves_at_once() -> None:
    async with Shop() as shop, Shift(shop, drain_timeout=1_000) as shift:
        assert await shift.drain() == CLEAN
        name = shift.worker.worker_id
        draining, stopped = shop.told.events[-2:]
        assert draining == WorkerDraining(name, 0, 1_000)
        assert isinstance(stopped, WorkerStopped)
        assert (stopped.worker_id, stopped.cancelled) == (name, 0)


async def test_told_to_stop_before_it_starts_it_claims_nothing() -> None:
    async with Shop() as shop:
        shop.task(lambda: None, name="work")
        await shop.service.enqueue("work")
        early = Worker(shop.service)
        early.stop()
        async with within():
            assert await early.start() == CLEAN
        await assert_given_back(shop)
        assert shop.told.all(WorkerStarted) == []


async def test_running_tasks_end_in_peace_and_new_ones_wait() -> None:
    async with Shop() as shop:
        curtain = asyncio.Event()
        shop.task(curtain.wait, name="work")
        first = await shop.service.enqueue("work")
        async with Shift(shop, max_concurrency=2) as shift:
            await until(lambda: shift.worker.running == 1)
            shift.worker.stop()
            await shop.told.nth(WorkerDraining)
            second = await shop.service.enqueue("work")
            curtain.set()
            assert await shift.report() == CLEAN
        assert (await first.refresh()).status is TaskStatus.COMPLETED
        assert (await second.refresh()).status is TaskStatus.PENDING


async def test_past_the_timeout_tasks_are_cancelled_and_given_back_without_spending_an_attempt() -> None:
    async with Shop() as shop:
        left: list[str | None] = []

        async def work(context: TaskExecutionContext) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                left.append(context.stop_reason)

        shop.task(work)
        await shop.service.enqueue("work")
        async with Shift(shop, drain_timeout=0.01) as shift:
            await until(lambda: shift.worker.running == 1)
            assert await shift.drain() == DrainReport(cancelled=1, abandoned=0, unsaved=0)
        assert left == ["drain"]
        await assert_given_back(shop)


@pytest.mark.parametrize("at_once", [True, False])
async def test_force_cancels_at_once_whatever_the_timeout(*, at_once: bool) -> None:
    async with Shop() as shop:
        shop.task(asyncio.Event().wait, name="work")
        await shop.service.enqueue("work")
        async with Shift(shop, drain_timeout=1_000) as shift:
            await until(lambda: shift.worker.running == 1)
            if not at_once:
                shift.worker.stop()
                await shop.told.nth(WorkerDraining)
            assert await shift.drain(force=True) == DrainReport(cancelled=1, abandoned=0, unsaved=0)
        await assert_given_back(shop)


async def test_a_task_that_ends_well_although_it_is_cancelled_has_completed() -> None:
    async with Shop(worker_final_cancel_timeout=PATIENCE) as shop:

        async def work() -> str:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return "saved in time"
            raise AssertionError

        shop.task(work)
        handle = await shop.service.enqueue("work")
        async with Shift(shop, drain_timeout=0) as shift:
            await until(lambda: shift.worker.running == 1)
            assert await shift.drain() == DrainReport(cancelled=1, abandoned=0, unsaved=0)
        assert (await handle.refresh()).result == "saved in time"


async def test_a_task_that_swallows_its_cancellation_is_left_behind_and_given_back() -> None:
    async with Shop(worker_final_cancel_timeout=0.05) as shop:
        curtain = asyncio.Event()

        async def work() -> None:
            await swallow_cancellations(curtain)

        shop.task(work)
        await shop.service.enqueue("work")
        async with Shift(shop, drain_timeout=0) as shift:
            await until(lambda: shift.worker.running == 1)
            assert await shift.drain() == DrainReport(cancelled=1, abandoned=1, unsaved=0)
        await assert_given_back(shop)
        curtain.set()


@pytest.mark.parametrize("deaf", [False, True])
async def test_what_runs_at_most_once_is_not_given_back_by_a_drain(*, deaf: bool) -> None:
    async with Shop(worker_final_cancel_timeout=0.05) as shop:
        curtain = asyncio.Event()

        async def work() -> None:
            await (swallow_cancellations(curtain) if deaf else curtain.wait())

        shop.task(work, at_most_once=True)
        handle = await shop.service.enqueue("work")
        async with Shift(shop, drain_timeout=0) as shift:
            await until(lambda: shift.worker.running == 1)
            assert await shift.drain() == DrainReport(cancelled=1, abandoned=int(deaf), unsaved=0)
        await handle.refresh()
        assert handle.status is TaskStatus.FAILED
        assert handle.error == "RunCutOff: the run was cut off, and its record runs at most once"
        curtain.set()


async def test_a_plain_function_that_blocks_its_thread_is_left_behind_and_given_back(
    released: threading.Event,
) -> None:
    async with Shop(worker_final_cancel_timeout=0.05) as shop:
        entered = threading.Event()

        def work() -> None:
            entered.set()
            released.wait()

        shop.task(work)
        await shop.service.enqueue("work")
        async with Shift(shop, drain_timeout=0) as shift:
            await asyncio.to_thread(entered.wait)
            assert await shift.drain() == DrainReport(cancelled=1, abandoned=1, unsaved=0)
        await assert_given_back(shop)
        released.set()


async def test_a_plain_function_may_end_in_its_grace(released: threading.Event) -> None:
    async with Shop(worker_final_cancel_timeout=PATIENCE) as shop:
        entered = threading.Event()

        def work(context: TaskExecutionContext) -> str:
            entered.set()
            while not context.is_cancelled:
                released.wait(0.001)
            return "ended by itself"

        shop.task(work)
        handle = await shop.service.enqueue("work")
        async with Shift(shop, drain_timeout=0) as shift:
            await asyncio.to_thread(entered.wait)
            assert await shift.drain() == DrainReport(cancelled=1, abandoned=0, unsaved=0)
        assert (await handle.refresh()).result == "ended by itself"


async def test_a_claim_that_arrives_while_it_drains_is_given_back() -> None:
    backend = FaultyBackend(MemoryBackend())
    async with Shop(backend=backend) as shop:
        shop.task(lambda: None, name="work")
        async with Shift(shop) as shift:
            hang = backend.hang("claim_many")
            await shop.service.enqueue("work")
            await hang.entered.wait()
            shift.worker.stop()
            await shop.told.nth(WorkerDraining)
            hang.release()
            assert await shift.report() == CLEAN
        await assert_given_back(shop)


@pytest.mark.parametrize("how", ["fails", "hangs"])
async def test_outcomes_that_the_store_does_not_take_in_time_are_reported(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(worker, "_FLUSH_PATIENCE", 0.05)
    monkeypatch.setattr(worker, "_LEAVE_PATIENCE", 0.05)
    backend = FaultyBackend(MemoryBackend())
    async with Shop(backend=backend) as shop:
        curtain = asyncio.Event()
        shop.task(curtain.wait, name="work")
        handle = await shop.service.enqueue("work")
        async with Shift(shop) as shift:
            await until(lambda: shift.worker.running == 1)
            if how == "fails":
                backend.is_down = True
            else:
                backend.hang("finish_many")
            curtain.set()
            assert await shift.drain() == DrainReport(cancelled=0, abandoned=0, unsaved=1)
        backend.is_down = False
        assert (await handle.refresh()).status is TaskStatus.RUNNING  # until its lease runs out


async def test_outcomes_are_stored_by_a_store_that_comes_back_during_the_drain() -> None:
    backend = FaultyBackend(MemoryBackend())
    async with Shop(backend=backend) as shop:
        curtain = asyncio.Event()
        shop.task(curtain.wait, name="work")
        handle = await shop.service.enqueue("work")
        async with Shift(shop) as shift:
            await until(lambda: shift.worker.running == 1)
            backend.fail("finish_many", 3)
            curtain.set()
            assert await shift.drain() == CLEAN
        assert (await handle.refresh()).status is TaskStatus.COMPLETED


@pytest.mark.parametrize("method", ["claim_many", "rescue_many", "renew_many"])
async def test_a_room_that_hangs_in_the_store_does_not_hold_the_worker_up(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(worker, "_LEAVE_PATIENCE", 0.05)
    backend = FaultyBackend(MemoryBackend())
    async with Shop(backend=backend, worker_heartbeat_interval=0.01, worker_poll_interval=0.01) as shop:
        curtain = asyncio.Event()
        shop.task(curtain.wait, name="work")
        await shop.service.enqueue("work")
        async with Shift(shop) as shift:
            await until(lambda: shift.worker.running == 1)
            await backend.hang(method).entered.wait()
            curtain.set()
            assert await shift.drain() == CLEAN
