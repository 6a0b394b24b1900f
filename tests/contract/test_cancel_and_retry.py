"""In: the wishes of users. Out: waiting records cancelled, holders asked to stop, ended records run again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from litestar_queues.backends.base import QueueBackend
from litestar_queues.ids import new_id
from litestar_queues.outcomes import Cancelled, Completed, Failed, Outcome, Retried
from litestar_queues.status import TaskStatus
from tests.builders import NOON, FakeClock, make_error
from tests.contract.laws import assert_balanced, claim, claim_one, enqueue, finish, get, run_one, status_of


@pytest.mark.parametrize("delay", [0, 60])
async def test_a_waiting_record_is_cancelled_at_once(backend: QueueBackend, clock: FakeClock, delay: float) -> None:
    record_id = await enqueue(backend, delay=delay)
    clock.advance(5)
    assert await backend.cancel_many([record_id]) == {record_id: TaskStatus.CANCELLED}
    record = await get(backend, record_id)
    assert (record.status, record.error) == (TaskStatus.CANCELLED, "cancelled on request")
    assert record.completed_at == NOON + timedelta(seconds=5)
    clock.advance(60)
    assert await claim(backend) == []
    await assert_balanced(backend)


async def test_a_running_record_is_left_alone_unless_asked_for(backend: QueueBackend) -> None:
    record_id = await enqueue(backend)
    await claim_one(backend)
    assert await backend.cancel_many([record_id]) == {}
    assert not (await get(backend, record_id)).cancel_requested


async def test_the_holder_of_a_running_record_is_asked_to_stop(backend: QueueBackend) -> None:
    record_id = await enqueue(backend)
    one = await claim_one(backend)
    for _ in range(2):
        answer = await backend.cancel_many([record_id], include_running=True)
        assert answer == {record_id: TaskStatus.RUNNING}
    record = await get(backend, record_id)
    assert (record.status, record.cancel_requested, record.completed_at) == (TaskStatus.RUNNING, True, None)
    assert await finish(backend, one, Cancelled("stopped"))


@pytest.mark.parametrize("outcome", [Completed(None), Failed(make_error()), Cancelled("stopped")])
async def test_an_ended_record_stays_as_it_ended(backend: QueueBackend, outcome: Outcome) -> None:
    record_id = await run_one(backend, outcome)
    before = await get(backend, record_id)
    assert await backend.cancel_many([record_id], include_running=True) == {}
    assert await get(backend, record_id) == before


async def test_the_answer_names_only_what_was_cancelled_or_asked(backend: QueueBackend) -> None:
    waiting, delayed = await enqueue(backend, queue="a"), await enqueue(backend, delay=60)
    ended = await run_one(backend)
    running = await enqueue(backend, queue="b")
    await claim_one(backend, "b")
    ids = [waiting, waiting, new_id(), ended, running, delayed]
    assert await backend.cancel_many(ids, include_running=True) == {
        waiting: TaskStatus.CANCELLED,
        running: TaskStatus.RUNNING,
        delayed: TaskStatus.CANCELLED,
    }
    assert await backend.cancel_many([]) == {}
    await assert_balanced(backend)


@pytest.mark.parametrize("outcome", [Failed(make_error()), Cancelled("stopped")])
async def test_a_retried_record_is_pending_with_a_fresh_set_of_attempts(
    backend: QueueBackend, clock: FakeClock, outcome: Outcome
) -> None:
    record_id = await run_one(backend, Retried(make_error("first"), 0), max_attempts=2, expires_in=60)
    one = await claim_one(backend)
    await backend.cancel_many([record_id], include_running=True)
    assert await finish(backend, one, outcome)
    before = await get(backend, record_id)
    clock.advance(600)
    assert list(await backend.retry_many([record_id])) == [record_id]
    record = await get(backend, record_id)
    assert (record.status, record.attempt, record.lost_leases) == (TaskStatus.PENDING, 0, 0)
    assert record.scheduled_at == NOON + timedelta(seconds=600)
    assert (record.started_at, record.completed_at, record.expires_at) == (None, None, None)
    assert not record.cancel_requested
    assert (record.error, list(record.errors)) == (before.error, list(before.errors))
    again = await claim_one(backend)
    assert (again.id, again.attempt, again.max_attempts) == (record_id, 1, 2)
    assert not await finish(backend, one, Completed(None))
    assert await finish(backend, again, Completed(None))
    await assert_balanced(backend)


async def test_a_record_cancelled_before_it_ran_can_be_retried(backend: QueueBackend) -> None:
    record_id = await enqueue(backend, delay=60)
    await backend.cancel_many([record_id])
    assert list(await backend.retry_many([record_id])) == [record_id]
    assert (await claim_one(backend)).id == record_id


async def test_an_expired_record_can_be_retried_and_does_not_expire_again(
    backend: QueueBackend, clock: FakeClock
) -> None:
    record_id = await enqueue(backend, expires_in=1)
    clock.advance(1)
    assert await claim(backend) == []
    await backend.retry_many([record_id])
    clock.advance(3600)
    assert (await claim_one(backend)).id == record_id


async def test_only_failed_and_cancelled_records_are_retried(backend: QueueBackend) -> None:
    completed = await run_one(backend)
    failed = await run_one(backend, Failed(make_error()))
    waiting, delayed = await enqueue(backend, queue="a"), await enqueue(backend, delay=60)
    running = await enqueue(backend, queue="b")
    await claim_one(backend, "b")
    ids = [completed, waiting, delayed, running, new_id(), failed, failed]
    assert list(await backend.retry_many(ids)) == [failed]
    assert list(await backend.retry_many(ids)) == []
    assert await status_of(backend, completed) is TaskStatus.COMPLETED
    assert list(await backend.retry_many([])) == []
