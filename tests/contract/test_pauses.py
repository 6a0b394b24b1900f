"""In: pauses of queues. Out: claims that pass those queues over, and everything else going on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from litestar_queues.backends.base import QueueBackend
from litestar_queues.errors import InvalidArgumentError
from litestar_queues.fleet import QueuePause
from litestar_queues.outcomes import Completed, Completion, Failed, Retried
from litestar_queues.records import CANARY_QUEUE
from litestar_queues.status import TaskStatus
from litestar_queues.ticks import TickBatch
from tests.builders import NOON, FakeClock, make_error, make_record, make_schedule, make_tick
from tests.contract.laws import (
    WORKER,
    assert_balanced,
    claim,
    claim_one,
    enqueue,
    finish,
    held,
    ids_of,
    run_one,
    status_of,
)

DAY = timedelta(days=1)


async def paused(backend: QueueBackend) -> list[str]:
    return [one.queue for one in await backend.paused_queues()]


async def next_due_in(backend: QueueBackend, *queues: str) -> float | None:
    batch = await backend.claim_many(worker_id=WORKER, queues=queues, limit=100, lease=60)
    return batch.next_due_in


# what a pause holds back


@pytest.mark.parametrize("named", [(), ("a", "b")])
async def test_claims_pass_a_paused_queue_over(backend: QueueBackend, named: tuple[str, ...]) -> None:
    a, b = await enqueue(backend, queue="a", priority=9), await enqueue(backend, queue="b")
    await backend.pause_queue("a")
    assert ids_of(await claim(backend, *named)) == [b]
    assert await claim(backend, "a") == []
    assert await status_of(backend, a) is TaskStatus.PENDING
    assert await backend.resume_queue("a")
    assert ids_of(await claim(backend, *named)) == [a]


async def test_what_is_enqueued_into_a_paused_queue_waits(backend: QueueBackend) -> None:
    await backend.pause_queue("a")
    a = await enqueue(backend, queue="a")
    assert await claim(backend) == []
    await backend.resume_queue("a")
    assert ids_of(await claim(backend)) == [a]


@pytest.mark.parametrize("named", [(), ("a", "b")])
async def test_delayed_records_of_a_paused_queue_wait_beyond_their_time(
    backend: QueueBackend, clock: FakeClock, named: tuple[str, ...]
) -> None:
    a, b = await enqueue(backend, queue="a", delay=1), await enqueue(backend, queue="b", delay=2)
    await backend.pause_queue("a")
    assert await next_due_in(backend, *named) == 2  # nobody comes for the other one
    clock.advance(1)
    assert await next_due_in(backend, *named) == 1  # nor again and again once it is due
    clock.advance(1)
    assert ids_of(await claim(backend, *named)) == [b]
    assert await next_due_in(backend, *named) is None
    await backend.resume_queue("a")
    assert ids_of(await claim(backend, *named)) == [a]


async def test_claims_of_other_queues_are_full_however_many_wait_in_a_paused_one(backend: QueueBackend) -> None:
    await backend.enqueue_many([make_record(queue="a", priority=9) for _ in range(250)])
    wanted = [await enqueue(backend, queue="b") for _ in range(10)]
    await backend.pause_queue("a")
    assert ids_of(await claim(backend, limit=10)) == wanted


async def test_a_finish_that_claims_again_passes_it_over_too(backend: QueueBackend) -> None:
    await backend.enqueue_many([make_record(queue="a") for _ in range(3)])
    (first,) = await claim(backend, limit=1)
    await backend.pause_queue("a")
    assert await finish(backend, first, Completed(None))
    assert await claim(backend) == []


async def test_ticks_make_records_that_wait(backend: QueueBackend) -> None:
    await backend.pause_queue("a")
    await backend.sync_schedules([make_schedule()])
    tick = make_tick(queue="a")
    assert await backend.fire_ticks(TickBatch("report", NOON, [tick], NOON + DAY, overlap=True)) == 1
    assert await claim(backend) == []
    await backend.resume_queue("a")
    assert ids_of(await claim(backend)) == [tick.record.id]


# what goes on


async def test_what_runs_goes_on_to_its_end(backend: QueueBackend, clock: FakeClock) -> None:
    ids = [await enqueue(backend, queue="a") for _ in range(4)]
    one, two, three, four = await claim(backend)
    await backend.pause_queue("a")
    clock.advance(30)
    assert list((await backend.renew_many([held(one)], lease=60)).lost) == []
    assert await finish(backend, one, Completed(None))
    assert await finish(backend, two, Failed(make_error()))
    assert await finish(backend, three, Retried(make_error(), delay=0))
    assert await backend.cancel_many([four.id], include_running=True) == {four.id: TaskStatus.RUNNING}
    assert [await status_of(backend, record_id) for record_id in ids] == [
        TaskStatus.COMPLETED,
        TaskStatus.FAILED,
        TaskStatus.PENDING,
        TaskStatus.RUNNING,
    ]
    assert list(await backend.retry_many([two.id])) == [two.id]
    assert await claim(backend) == []
    await assert_balanced(backend)


async def test_lost_records_of_a_paused_queue_are_rescued_and_wait(backend: QueueBackend, clock: FakeClock) -> None:
    record_id = await enqueue(backend, queue="a")
    await claim_one(backend, lease=10)
    await backend.pause_queue("a")
    clock.advance(10)
    (rescued,) = await backend.rescue_many(limit=9, max_lost_leases=9)
    assert (rescued.id, rescued.status) == (record_id, TaskStatus.PENDING)
    assert await claim(backend) == []


async def test_waiting_records_of_a_paused_queue_are_counted_and_can_be_cancelled(backend: QueueBackend) -> None:
    await backend.pause_queue("a")
    record_id = await enqueue(backend, queue="a")
    (depth,) = await backend.queue_depths()
    assert (depth.queue, depth.pending) == ("a", 1)
    assert await backend.cancel_many([record_id]) == {record_id: TaskStatus.CANCELLED}


# how it begins and ends


async def test_a_pause_ends_by_itself(backend: QueueBackend, clock: FakeClock) -> None:
    a = await enqueue(backend, queue="a")
    await backend.pause_queue("a", seconds=30)
    assert list(await backend.paused_queues()) == [QueuePause("a", NOON, NOON + timedelta(seconds=30))]
    clock.advance(29.5)
    assert await claim(backend) == []
    clock.advance(0.5)
    assert await paused(backend) == []
    assert ids_of(await claim(backend)) == [a]
    assert await backend.resume_queue("a") is False


@pytest.mark.parametrize("named", [(), ("a", "b")])
@pytest.mark.parametrize("delay", [0, 20])
async def test_a_claim_tells_when_a_pause_ends_behind_which_records_wait(
    backend: QueueBackend, clock: FakeClock, delay: float, named: tuple[str, ...]
) -> None:
    await enqueue(backend, queue="a", delay=delay)
    await backend.pause_queue("a", seconds=30)
    await backend.pause_queue("b", seconds=10)  # nothing waits there
    await backend.pause_queue("c")
    assert await next_due_in(backend, *named) == 30
    clock.advance(25)
    assert await next_due_in(backend, *named) == 5
    assert await next_due_in(backend, "b") is None
    await enqueue(backend, queue="d", delay=2)
    assert await next_due_in(backend) == 2


async def test_pausing_again_moves_the_end_alone(backend: QueueBackend, clock: FakeClock) -> None:
    await backend.pause_queue("a", seconds=30)
    clock.advance(10)
    await backend.pause_queue("a", seconds=5)
    assert list(await backend.paused_queues()) == [QueuePause("a", NOON, NOON + timedelta(seconds=15))]
    await backend.pause_queue("a")
    assert list(await backend.paused_queues()) == [QueuePause("a", NOON, None)]
    await backend.pause_queue("a", seconds=5)
    clock.advance(5)
    await backend.pause_queue("a")  # the one before is over
    assert list(await backend.paused_queues()) == [QueuePause("a", NOON + timedelta(seconds=15), None)]


async def test_pauses_come_by_queue_and_end_one_by_one(backend: QueueBackend) -> None:
    for queue in ("b", "a", "c"):
        await backend.pause_queue(queue)
    assert await paused(backend) == ["a", "b", "c"]
    assert await backend.resume_queue("b") is True
    assert await backend.resume_queue("b") is False
    assert await backend.resume_queue("never") is False
    assert await paused(backend) == ["a", "c"]


async def test_the_canary_is_not_paused_by_anybody(backend: QueueBackend) -> None:
    with pytest.raises(InvalidArgumentError, match=r"'litestar-queues\.canary' cannot be paused"):
        await backend.pause_queue(CANARY_QUEUE)
    assert await paused(backend) == []
    await run_one(backend, queue=CANARY_QUEUE)


async def test_a_pause_of_other_queues_leaves_the_canary_to_its_own_claims(backend: QueueBackend) -> None:
    canary = await enqueue(backend, queue=CANARY_QUEUE)
    await enqueue(backend, queue=CANARY_QUEUE, delay=60)
    await backend.pause_queue("a")
    batch = await backend.claim_many(worker_id=WORKER, queues=(), limit=9, lease=60)
    assert (list(batch.claims), batch.next_due_in) == ([], None)
    assert ids_of(await claim(backend, CANARY_QUEUE)) == [canary]
    assert await next_due_in(backend, CANARY_QUEUE) == 60


@pytest.mark.parametrize("queue", ["", "a\nb", "x" * 256])
async def test_what_names_no_queue_is_refused(backend: QueueBackend, queue: str) -> None:
    with pytest.raises(InvalidArgumentError, match="queue="):
        await backend.pause_queue(queue)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
async def test_a_pause_of_no_length_is_refused(backend: QueueBackend, seconds: float) -> None:
    with pytest.raises(InvalidArgumentError, match="seconds="):
        await backend.pause_queue("a", seconds=seconds)
    assert await paused(backend) == []


async def test_a_pause_holds_in_every_process_from_the_next_claim_on(make_backend: Callable[[], QueueBackend]) -> None:
    one, other = make_backend(), make_backend()
    if not one.capabilities.shared:
        assert one.describe() == "memory of this process"
        return
    await one.open()
    await other.open()
    try:
        await one.enqueue_many([make_record(queue="a") for _ in range(9)])
        (first,) = await claim(other, limit=1)
        await one.pause_queue("a")
        await other.finish_many([Completion(first.id, first.token, Completed(None))])
        assert await claim(other) == []
        await one.resume_queue("a")
        assert len(await claim(other)) == 8
    finally:
        await one.close()
        await other.close()
