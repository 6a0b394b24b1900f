"""In: records. Out: what one worker makes of them while it works."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from litestar_queues import rooms
from litestar_queues.errors import NonRetryableError
from litestar_queues.events import (
    ClaimsLost,
    CompletionsRefused,
    RecordsFinished,
    RecordsRescued,
    WorkerStarted,
)
from litestar_queues.execution.context import TaskExecutionContext, snooze
from litestar_queues.maintenance.rescuer import Rescuer
from litestar_queues.records import CANARY_QUEUE
from litestar_queues.status import TaskStatus
from litestar_queues.worker import Worker
from litestar_queues.worker.leases import CancelWatch, LeaseKeeper
from tests.builders import make_record
from tests.worker.harness import PATIENCE, Shift, Shop, until, until_found, within


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(CancelWatch, "interval", 0.01)


async def test_a_worker_runs_what_is_there_and_what_comes() -> None:
    async with Shop() as shop:
        double = shop.task(lambda x: 2 * x, name="double")
        before = await shop.service.enqueue(double, 1)
        async with Shift(shop):
            after = await shop.service.enqueue(double, 2)
            assert [(await one.wait(PATIENCE)).result for one in (before, after)] == [2, 4]


async def test_it_is_ready_from_its_first_claim_until_it_drains() -> None:
    async with Shop() as shop:
        worker = Worker(shop.service, queues=["mail"], max_concurrency=7)
        assert (worker.is_ready, worker.running, worker.idle_for, worker.canary) == (False, 0, 0.0, None)
        ended = asyncio.create_task(worker.start())
        async with within():
            await worker.wait_started()
        assert worker.is_ready
        assert worker.canary is not None
        assert worker.up_for > 0
        assert shop.told.events == [WorkerStarted(worker.worker_id, ("mail",), 7, "memory of this process")]
        worker.stop()
        assert (worker.is_ready, worker.is_draining, worker.idle_for) == (False, True, 0.0)
        assert await ended == worker.report


async def test_what_is_not_given_comes_from_the_config() -> None:
    shop = Shop(
        worker_queues=("mail",), worker_max_concurrency=3, worker_graceful_shutdown_timeout=9, worker_name="w-0"
    )
    worker = Worker(shop.service)
    assert (worker.queues, worker.max_concurrency, worker.drain_timeout) == (("mail",), 3, 9)
    assert worker.worker_id.startswith("w-0:")
    assert Worker(shop.service, queues=(), drain_timeout=0).queues == ()


async def test_it_never_runs_more_at_a_time_than_it_may() -> None:
    async with Shop() as shop:
        running: list[int] = []
        peak: list[int] = []

        async def work() -> None:
            running.append(1)
            peak.append(len(running))
            await asyncio.sleep(0)
            running.pop()

        shop.task(work)
        handles = [await shop.service.enqueue("work") for _ in range(20)]
        async with Shift(shop, max_concurrency=3):
            for handle in handles:
                await handle.wait(PATIENCE)
        assert max(peak) == 3


async def test_the_canary_passes_full_slots_and_queue_filters() -> None:
    async with Shop() as shop:
        release = asyncio.Event()
        shop.task(release.wait, name="block", queue="mail")
        beat = shop.task(lambda: "tweet", name="scheduler.heartbeat")
        blocked = await shop.service.enqueue("block")
        async with Shift(shop, queues=["mail"], max_concurrency=1) as shift:
            await until(lambda: shift.worker.running == 1)
            await shop.backend.enqueue_many([make_record(queue="other", task="block")])
            canary = await shop.service.enqueue(beat)
            assert shift.worker._parts is not None
            shift.worker._parts.claimers[-1].wake()  # as the scheduler does; else it polls
            assert (await canary.wait(PATIENCE)).result == "tweet"
            assert canary.record is not None
            assert canary.record.queue == CANARY_QUEUE
            assert (await blocked.refresh()).status is TaskStatus.RUNNING
            assert (await shop.service.get_statistics("other")).pending == 1
            release.set()


async def test_a_task_that_this_worker_does_not_know_is_given_back_with_a_delay() -> None:
    async with Shop(worker_unknown_task_delay=500) as shop:
        (enqueued,) = await shop.backend.enqueue_many([make_record(task="of.another.release")])
        async with Shift(shop) as shift:
            (run,) = (await shop.told.nth(RecordsFinished)).runs
        record = await shop.get(enqueued.id)
        assert (record.status, record.attempt) == (TaskStatus.SCHEDULED, 0)
        assert record.error == f"no task 'of.another.release' is registered in worker {shift.worker.worker_id}"
        assert 499 < (record.scheduled_at - record.created_at).total_seconds() < 520
        assert run.claim.id == record.id


async def test_a_task_is_tried_again_until_no_attempt_is_left() -> None:
    async with Shop() as shop:
        attempts: list[int] = []

        def fail(context: TaskExecutionContext) -> None:
            attempts.append(context.attempt)
            raise ValueError(f"no luck {context.attempt}")

        shop.task(fail, retries=2, retry_backoff=0)
        async with Shift(shop):
            handle = await (await shop.service.enqueue("fail")).wait(PATIENCE)
        assert handle.record is not None
        assert (handle.status, handle.error, attempts) == (TaskStatus.FAILED, "ValueError: no luck 3", [1, 2, 3])
        assert [(one.attempt, one.error.message) for one in handle.record.errors] == [
            (1, "no luck 1"), (2, "no luck 2"), (3, "no luck 3"),
        ]  # fmt: skip


async def test_some_failures_are_final_whatever_is_left() -> None:
    async with Shop() as shop:

        def fail() -> None:
            raise NonRetryableError("the account is gone")

        shop.task(fail, retries=5)
        async with Shift(shop):
            handle = await (await shop.service.enqueue("fail")).wait(PATIENCE)
        assert handle.error == "NonRetryableError: the account is gone"
        assert handle.record is not None
        assert handle.record.attempt == 1


async def test_a_task_may_put_itself_off_as_often_as_it_likes_and_spends_no_attempt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Shop() as shop:
        runs: list[int] = []

        def send() -> int:
            runs.append(len(runs))
            if len(runs) < 4:
                snooze(0.01, "the bank sleeps")
            return len(runs)

        shop.task(send)
        with caplog.at_level(logging.INFO, "litestar_queues"):
            async with Shift(shop):
                handle = await (await shop.service.enqueue("send")).wait(PATIENCE)
        assert handle.record is not None
        assert (handle.status, handle.result, handle.record.attempt) == (TaskStatus.COMPLETED, 4, 1)
        assert handle.record.errors == ()
    put_off = [record for record in caplog.records if "the bank sleeps" in record.getMessage()]
    assert [record.levelname for record in put_off] == ["INFO"] * 3


async def test_a_task_that_passes_its_timeout_fails_and_says_so() -> None:
    async with Shop() as shop:
        shop.task(asyncio.Event().wait, name="hang", timeout=0.01)
        async with Shift(shop):
            handle = await (await shop.service.enqueue("hang")).wait(PATIENCE)
        assert handle.error == "TaskTimeoutError: task 'hang' ran longer than its timeout of 0.01 s"


async def test_a_running_task_is_cancelled_on_request() -> None:
    async with Shop() as shop:
        shop.task(asyncio.Event().wait, name="hang")
        handle = await shop.service.enqueue("hang")
        async with Shift(shop) as shift:
            await until(lambda: shift.worker.running == 1)
            assert await shop.service.cancel_task(handle.id, include_running=True)
            await handle.wait(PATIENCE)
        assert (handle.status, handle.error) == (TaskStatus.CANCELLED, "cancelled on request while it ran")


async def test_a_plain_function_in_its_thread_is_told_of_the_cancellation() -> None:
    async with Shop(worker_final_cancel_timeout=PATIENCE) as shop:

        def work(context: TaskExecutionContext) -> None:
            assert threading.current_thread() is not threading.main_thread()
            while True:
                context.raise_if_cancelled()

        shop.task(work)
        handle = await shop.service.enqueue("work")
        async with Shift(shop) as shift:
            await until(lambda: shift.worker.running == 1)
            assert await shop.service.cancel_task(handle.id, include_running=True)
            assert (await handle.wait(PATIENCE)).status is TaskStatus.CANCELLED


async def test_the_last_progress_is_stored_with_the_outcome() -> None:
    async with Shop() as shop:

        async def work(context: TaskExecutionContext) -> None:
            for step in (1, 2, 3):
                context.progress(step, 3, "copied")

        shop.task(work)
        async with Shift(shop):
            handle = await (await shop.service.enqueue("work")).wait(PATIENCE)
        assert handle.record is not None
        assert handle.record.progress == {"current": 3, "total": 3, "message": "copied"}


async def test_progress_of_a_running_task_can_be_read_meanwhile() -> None:
    async with Shop() as shop:

        async def work(context: TaskExecutionContext) -> None:
            context.progress(1)
            await context.wait_cancelled()

        shop.task(work)
        handle = await shop.service.enqueue("work")

        async def progress() -> Any:
            return (await shop.get(handle.id)).progress

        async with Shift(shop):
            assert await until_found(progress) == {"current": 1, "total": None, "message": None}


async def test_a_run_whose_claim_is_lost_is_stopped_and_its_outcome_is_not_stored(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LeaseKeeper, "run", _once_a_while)
    monkeypatch.setattr(Rescuer, "run", _once_a_while)
    async with Shop(clock=clock) as shop:
        stopped: list[str | None] = []

        async def work(context: TaskExecutionContext) -> str:
            try:
                await asyncio.Event().wait()
            finally:
                stopped.append(context.stop_reason)
            return "late"

        shop.task(work)
        handle = await shop.service.enqueue("work")
        async with Shift(shop, max_concurrency=1) as shift:
            await until(lambda: shift.worker.running == 1)
            clock.advance(61)
            assert len(await shop.backend.rescue_many(limit=10, max_lost_leases=1)) == 1  # another worker's look
            assert (await shop.told.nth(ClaimsLost)).ids == [handle.id]
            await until(lambda: stopped == ["lost"])
        record = await shop.get(handle.id)
        assert (record.status, record.lost_leases) == (TaskStatus.FAILED, 1)
        assert not shop.told.all(RecordsFinished)
        assert not shop.told.all(CompletionsRefused)


async def _once_a_while(room: Any, stop: asyncio.Event) -> None:
    while not stop.is_set():
        if isinstance(room, LeaseKeeper):
            await room.run_once()
        await rooms.sleep_until_set(stop, 0.01)


async def test_a_worker_takes_back_what_its_predecessor_of_the_same_name_held() -> None:
    async with Shop(worker_name="queue-0") as shop:
        shop.task(lambda: "done", name="work")
        handle = await shop.service.enqueue("work")
        await shop.backend.claim_many(worker_id="queue-0:dead", queues=(), limit=1, lease=3600)
        async with Shift(shop):
            assert (await handle.wait(PATIENCE)).result == "done"
        assert [one.worker_id for one in shop.told.all(RecordsRescued)[0].records] == ["queue-0:dead"]
