"""In: records with keys. Out: at most one live record per key, and none within another's window."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from litestar_queues.backends.base import QueueBackend
from litestar_queues.outcomes import Cancelled, Completed, Failed, Outcome, Released, Retried, Snoozed
from litestar_queues.records import Enqueued
from litestar_queues.status import TaskStatus
from tests.builders import FakeClock, make_error, make_record
from tests.contract.laws import claim, claim_one, enqueue, finish, get, run_one, status_of

ENDS = [Completed(None), Failed(make_error()), Cancelled("stopped")]


async def is_free(backend: QueueBackend, key: str = "k", **options: object) -> bool:
    (answer,) = await backend.enqueue_many([make_record(key=key, **options)])
    return answer.created


async def reach(backend: QueueBackend, status: TaskStatus) -> UUID:
    record_id = await enqueue(backend, key="k", delay=60 if status is TaskStatus.SCHEDULED else 0)
    if status is TaskStatus.RUNNING:
        await claim_one(backend)
    return record_id


@pytest.mark.parametrize("status", [TaskStatus.PENDING, TaskStatus.SCHEDULED, TaskStatus.RUNNING])
async def test_a_live_record_holds_its_key_and_the_answer_names_it(backend: QueueBackend, status: TaskStatus) -> None:
    holder = await reach(backend, status)
    assert await status_of(backend, holder) is status
    refused = make_record(key="k")
    assert await backend.enqueue_many([refused]) == [Enqueued(holder, created=False)]
    assert await backend.get_many([refused.id]) == {}
    assert (await backend.ledger())["enqueued"] == 1


@pytest.mark.parametrize("outcome", [Retried(make_error(), 60), Snoozed("unknown", 60), Released()])
async def test_a_record_that_will_run_again_keeps_its_key(backend: QueueBackend, outcome: Outcome) -> None:
    holder = await run_one(backend, outcome, key="k")
    assert await enqueue(backend, key="k") == holder


@pytest.mark.parametrize("outcome", ENDS)
async def test_the_end_of_a_record_frees_its_key(backend: QueueBackend, outcome: Outcome) -> None:
    await run_one(backend, outcome, key="k")
    assert await is_free(backend)


async def test_a_cancelled_waiting_record_frees_its_key(backend: QueueBackend) -> None:
    await backend.cancel_many([await enqueue(backend, key="k")])
    assert await is_free(backend)


async def test_an_expired_record_frees_its_key_when_a_claim_finds_it(backend: QueueBackend, clock: FakeClock) -> None:
    await enqueue(backend, key="k", expires_in=10)
    clock.advance(10)
    assert not await is_free(backend)
    assert await claim(backend) == []
    assert await is_free(backend)


async def test_a_record_that_lost_too_many_leases_frees_its_key(backend: QueueBackend, clock: FakeClock) -> None:
    await enqueue(backend, key="k")
    await claim_one(backend, lease=1)
    clock.advance(1)
    await backend.rescue_many(limit=9, max_lost_leases=1)
    assert await is_free(backend)


async def test_a_rescued_record_keeps_its_key(backend: QueueBackend, clock: FakeClock) -> None:
    await enqueue(backend, key="k")
    await claim_one(backend, lease=1)
    clock.advance(1)
    await backend.rescue_many(limit=9, max_lost_leases=2)
    assert not await is_free(backend)


async def test_keys_are_told_apart(backend: QueueBackend) -> None:
    assert await is_free(backend, "k")
    assert await is_free(backend, "K")
    assert await is_free(backend, "k", queue="other") is False


async def test_records_without_a_key_hold_none(backend: QueueBackend) -> None:
    answers = await backend.enqueue_many([make_record(unique_for=60), make_record(unique_for=60)])
    assert [answer.created for answer in answers] == [True, True]


async def test_within_one_batch_the_first_record_takes_the_key(backend: QueueBackend) -> None:
    first, second, third = make_record(key="k"), make_record(key="k"), make_record(key="other")
    assert await backend.enqueue_many([first, second, third]) == [
        Enqueued(first.id, created=True),
        Enqueued(first.id, created=False),
        Enqueued(third.id, created=True),
    ]
    assert len(await claim(backend)) == 2


async def test_of_producers_at_once_one_gets_the_key(backend: QueueBackend) -> None:
    answers = await asyncio.gather(*(backend.enqueue_many([make_record(key="k")]) for _ in range(20)))
    created = [answer for (answer,) in answers if answer.created]
    assert len(created) == 1
    assert {answer.id for (answer,) in answers} == {created[0].id}


@pytest.mark.parametrize("outcome", ENDS)
async def test_the_window_holds_the_key_after_the_record_ended(
    backend: QueueBackend, clock: FakeClock, outcome: Outcome
) -> None:
    holder = await run_one(backend, outcome, key="k", unique_for=60)
    clock.advance(59.999999)
    assert await enqueue(backend, key="k") == holder
    clock.advance(0.000001)
    assert await is_free(backend)


async def test_a_window_counts_from_the_enqueue(backend: QueueBackend, clock: FakeClock) -> None:
    await enqueue(backend, key="k", unique_for=60)
    clock.advance(59)
    assert await finish(backend, await claim_one(backend), Completed(None))
    assert not await is_free(backend)
    clock.advance(1)
    assert await is_free(backend)


async def test_a_live_record_holds_its_key_beyond_its_window(backend: QueueBackend, clock: FakeClock) -> None:
    holder = await enqueue(backend, key="k", unique_for=60)
    clock.advance(3600)
    assert await enqueue(backend, key="k") == holder


async def test_the_next_window_follows_the_first(backend: QueueBackend, clock: FakeClock) -> None:
    await run_one(backend, key="k", unique_for=60)
    clock.advance(60)
    second = await run_one(backend, key="k", unique_for=60)
    clock.advance(59)
    assert await enqueue(backend, key="k") == second
    clock.advance(1)
    assert await is_free(backend)


async def test_a_keyed_record_sent_again_within_its_window_is_the_same_record(backend: QueueBackend) -> None:
    record = make_record(key="k", unique_for=60)
    await backend.enqueue_many([record])
    assert await finish(backend, await claim_one(backend), Completed(None))
    assert await backend.enqueue_many([record]) == [Enqueued(record.id, created=True)]
    assert await status_of(backend, record.id) is TaskStatus.COMPLETED


async def test_retry_leaves_a_record_alone_whose_key_a_live_record_holds(backend: QueueBackend) -> None:
    failed = await run_one(backend, Failed(make_error()), key="k")
    await enqueue(backend, key="k")
    assert await backend.retry_many([failed]) == []
    assert await status_of(backend, failed) is TaskStatus.FAILED


async def test_of_two_ended_records_with_one_key_the_first_is_retried(backend: QueueBackend) -> None:
    first = await run_one(backend, Failed(make_error()), key="k")
    second = await run_one(backend, Failed(make_error()), key="k")
    assert await backend.retry_many([second, first]) == [second]
    assert await status_of(backend, first) is TaskStatus.FAILED


async def test_a_retried_record_holds_its_key_again(backend: QueueBackend) -> None:
    failed = await run_one(backend, Failed(make_error()), key="k")
    await backend.retry_many([failed])
    assert await enqueue(backend, key="k") == failed


async def test_a_record_within_its_own_window_can_be_retried(backend: QueueBackend, clock: FakeClock) -> None:
    failed = await run_one(backend, Failed(make_error()), key="k", unique_for=60)
    assert await backend.retry_many([failed]) == [failed]
    clock.advance(90)
    assert (await get(backend, failed)).key == "k"
    assert not await is_free(backend)


async def test_who_holds_a_key_goes_before_a_record_of_an_earlier_try_that_has_ended(backend: QueueBackend) -> None:
    first = make_record(key="k")
    await backend.enqueue_many([first])
    assert await backend.enqueue_many([first]) == [Enqueued(first.id, created=True)]  # the answer was lost
    await backend.cancel_many([first.id])
    assert await backend.enqueue_many([first]) == [Enqueued(first.id, created=True)]
    holder, third = make_record(key="k"), make_record(key="k")
    await backend.enqueue_many([holder])
    assert await backend.enqueue_many([first, third]) == [Enqueued(holder.id, created=False)] * 2
