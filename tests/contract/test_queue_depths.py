"""In: live records in several queues. Out: how many of each wait, and how long the longest has, by queue."""

from __future__ import annotations

from litestar_queues.backends.base import QueueBackend
from litestar_queues.outcomes import Completed, Failed, Retried
from litestar_queues.records import CANARY_QUEUE, QueueDepth
from litestar_queues.status import TaskStatus
from tests.builders import FakeClock, make_error, make_record
from tests.contract.laws import claim, claim_one, enqueue, finish, run_one


async def test_an_empty_store_has_no_queues(backend: QueueBackend) -> None:
    assert list(await backend.queue_depths()) == []


async def test_each_queue_is_told_with_its_live_records_by_name(backend: QueueBackend) -> None:
    await backend.enqueue_many([make_record(queue="b") for _ in range(3)])
    await enqueue(backend, queue="b", delay=60)
    await claim(backend, "b", limit=2)
    await enqueue(backend, queue="a", delay=60)
    await enqueue(backend, queue=CANARY_QUEUE)
    assert list(await backend.queue_depths()) == [
        QueueDepth("a", 0, 1, 0, None),
        QueueDepth("b", 1, 1, 2, 0.0),
        QueueDepth(CANARY_QUEUE, 1, 0, 0, 0.0),
    ]


async def test_ended_records_are_no_depth(backend: QueueBackend) -> None:
    await run_one(backend, Completed(None))
    await run_one(backend, Failed(make_error()))
    await backend.cancel_many([await enqueue(backend, queue="c")])
    assert list(await backend.queue_depths()) == []


async def test_the_age_is_that_of_the_record_that_has_been_due_longest(backend: QueueBackend, clock: FakeClock) -> None:
    await enqueue(backend, priority=-1)
    clock.advance(10)
    await enqueue(backend, priority=9)
    clock.advance(2.5)
    assert list(await backend.queue_depths()) == [QueueDepth("default", 2, 0, 0, 12.5)]
    assert (await claim(backend, limit=1))[0] is not None
    assert list(await backend.queue_depths()) == [QueueDepth("default", 1, 0, 1, 12.5)]
    await claim(backend, limit=1)
    assert list(await backend.queue_depths()) == [QueueDepth("default", 0, 0, 2, None)]


async def test_a_delayed_record_that_is_due_is_pending_although_no_claim_has_looked(
    backend: QueueBackend, clock: FakeClock
) -> None:
    record_id = await enqueue(backend, delay=60)
    await enqueue(backend, delay=120)
    clock.advance(60)
    assert list(await backend.queue_depths()) == [QueueDepth("default", 1, 1, 0, 0.0)]
    clock.advance(5)
    assert list(await backend.queue_depths()) == [QueueDepth("default", 1, 1, 0, 5.0)]
    assert (await backend.get_many([record_id]))[record_id].status is TaskStatus.SCHEDULED  # a look changes nothing


async def test_a_record_that_waits_for_its_next_attempt_is_scheduled(backend: QueueBackend, clock: FakeClock) -> None:
    await enqueue(backend, max_attempts=3)
    assert await finish(backend, await claim_one(backend), Retried(make_error(), 30))
    assert list(await backend.queue_depths()) == [QueueDepth("default", 0, 1, 0, None)]


async def test_a_clock_that_was_set_back_makes_no_negative_age(backend: QueueBackend, clock: FakeClock) -> None:
    await enqueue(backend)
    clock.jump(-3600)
    (depth,) = await backend.queue_depths()
    assert depth.oldest_due_age in {None, 0.0}
    assert depth.pending + depth.scheduled == 1
