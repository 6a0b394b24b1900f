"""In: records whose holder vanished. Out: pending again, or ended where that is enough."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from litestar_queues.backends.base import QueueBackend
from litestar_queues.outcomes import Cancelled, Completed, Failed, Outcome, Released
from litestar_queues.records import Rescued
from litestar_queues.status import TaskStatus
from tests.builders import NOON, FakeClock, make_error, make_record
from tests.contract.laws import (
    WORKER,
    assert_balanced,
    claim,
    claim_one,
    enqueue,
    finish,
    get,
    ids_of,
    status_of,
)


async def rescue(backend: QueueBackend, *, limit: int = 100, most: int = 3) -> list[Rescued]:
    return list(await backend.rescue_many(limit=limit, max_lost_leases=most))


async def rescue_predecessor(backend: QueueBackend, worker_id: str, *, most: int = 3) -> Sequence[Rescued]:
    return list(await backend.rescue_predecessor(worker_id, max_lost_leases=most))


async def lose(backend: QueueBackend, clock: FakeClock, *, most: int) -> Sequence[Rescued]:
    await claim_one(backend, lease=1)
    clock.advance(1)
    return await rescue(backend, most=most)


async def test_a_record_is_rescued_once_its_lease_ran_out_and_not_before(
    backend: QueueBackend, clock: FakeClock
) -> None:
    record_id = await enqueue(backend, task="resize", queue="images")
    await claim_one(backend, lease=10)
    clock.advance(9.999999)
    assert await rescue(backend) == []
    clock.advance(0.000001)
    assert await rescue(backend) == [Rescued(record_id, "resize", "images", WORKER, TaskStatus.PENDING)]
    assert await rescue(backend) == []


async def test_who_still_has_its_lease_keeps_its_record_while_another_loses_one(
    backend: QueueBackend, clock: FakeClock
) -> None:
    lost, kept = await enqueue(backend, queue="a"), await enqueue(backend, queue="b")
    await claim_one(backend, "a", lease=1)
    holder = await claim_one(backend, "b", lease=60)
    clock.advance(1)
    assert [one.id for one in await rescue(backend)] == [lost]
    assert await status_of(backend, kept) is TaskStatus.RUNNING
    assert await finish(backend, holder, Completed(None))


async def test_a_rescued_record_spends_no_attempt(backend: QueueBackend, clock: FakeClock) -> None:
    record_id = await enqueue(backend)
    await lose(backend, clock, most=3)
    record = await get(backend, record_id)
    assert (record.status, record.attempt, record.lost_leases) == (TaskStatus.PENDING, 0, 1)
    assert (record.lease_until, record.scheduled_at, record.worker_id) == (None, NOON, WORKER)
    assert (await claim_one(backend)).attempt == 1


async def test_a_record_fails_once_it_lost_too_many_leases(backend: QueueBackend, clock: FakeClock) -> None:
    record_id = await enqueue(backend, max_attempts=9)
    for _ in range(2):
        assert [one.status for one in await lose(backend, clock, most=3)] == [TaskStatus.PENDING]
    assert [one.status for one in await lose(backend, clock, most=3)] == [TaskStatus.FAILED]
    record = await get(backend, record_id)
    assert (record.status, record.lost_leases, record.lease_until) == (TaskStatus.FAILED, 3, None)
    assert record.error == "LeaseLost: 3 workers in a row vanished while they ran this record"
    assert record.completed_at == NOON + timedelta(seconds=3)
    await assert_balanced(backend)


async def test_a_record_that_runs_at_most_once_fails_with_its_first_holder(
    backend: QueueBackend, clock: FakeClock
) -> None:
    once, ordinary = await enqueue(backend, at_most_once=True), await enqueue(backend)
    assert [one.at_most_once for one in await claim(backend, lease=1)] == [True, False]
    clock.advance(1)
    fates = {one.id: one.status for one in await rescue(backend, most=9)}
    assert fates == {once: TaskStatus.FAILED, ordinary: TaskStatus.PENDING}
    record = await get(backend, once)
    assert (record.status, record.attempt, record.lost_leases) == (TaskStatus.FAILED, 1, 1)
    assert record.error == "LeaseLost: the worker vanished while it ran this record, which runs at most once"
    await assert_balanced(backend)


async def test_a_successor_fails_what_runs_at_most_once(backend: QueueBackend) -> None:
    record_id = await enqueue(backend, at_most_once=True)
    await claim_one(backend, worker_id="pod-1:a")
    assert [one.status for one in await rescue_predecessor(backend, "pod-1:b")] == [TaskStatus.FAILED]
    assert await status_of(backend, record_id) is TaskStatus.FAILED


@pytest.mark.parametrize("outcome", [Failed(make_error()), Cancelled("stopped"), Completed(b"1")])
async def test_a_record_keeps_to_at_most_once_also_after_it_has_ended(backend: QueueBackend, outcome: Outcome) -> None:
    ids = [await enqueue(backend, at_most_once=True), await enqueue(backend)]
    for one in await claim(backend):
        await finish(backend, one, outcome)
    assert [(await get(backend, one)).at_most_once for one in ids] == [True, False]
    retried = await backend.retry_many(ids)
    assert [(await get(backend, one)).at_most_once for one in retried] == [True, False][: len(retried)]


async def test_a_record_that_runs_at_most_once_may_be_given_back_before_it_ran(backend: QueueBackend) -> None:
    record_id = await enqueue(backend, at_most_once=True)
    await finish(backend, await claim_one(backend), Released())
    assert await status_of(backend, record_id) is TaskStatus.PENDING


async def test_a_record_that_was_asked_to_stop_is_cancelled(backend: QueueBackend, clock: FakeClock) -> None:
    record_id = await enqueue(backend)
    await claim_one(backend, lease=1)
    await backend.cancel_many([record_id], include_running=True)
    clock.advance(1)
    assert [one.status for one in await rescue(backend, most=1)] == [TaskStatus.CANCELLED]
    record = await get(backend, record_id)
    assert (record.status, record.error) == (TaskStatus.CANCELLED, "cancelled on request")
    await assert_balanced(backend)


async def test_the_longest_lost_are_rescued_first(backend: QueueBackend, clock: FakeClock) -> None:
    order = []
    for lease in (30, 10, 20):
        await enqueue(backend)
        order.append((lease, (await claim_one(backend, lease=lease)).id))
    clock.advance(60)
    found = []
    while rescued := await rescue(backend, limit=1):
        found += [one.id for one in rescued]
    assert found == [record_id for _, record_id in sorted(order)]


async def test_only_records_that_run_are_rescued(backend: QueueBackend, clock: FakeClock) -> None:
    await enqueue(backend)
    await finish(backend, await claim_one(backend, lease=1), Failed(make_error()))
    await enqueue(backend, delay=60)
    clock.advance(30)
    assert await rescue(backend) == []


async def test_the_vanished_holder_changes_nothing_when_it_comes_back(backend: QueueBackend, clock: FakeClock) -> None:
    record_id = await enqueue(backend)
    late = await claim_one(backend, lease=1)
    clock.advance(1)
    await rescue(backend)
    assert not await finish(backend, late, Completed(b"1"))
    assert await status_of(backend, record_id) is TaskStatus.PENDING


async def test_a_retry_by_hand_counts_lost_leases_anew(backend: QueueBackend, clock: FakeClock) -> None:
    record_id = await enqueue(backend)
    await lose(backend, clock, most=1)
    await backend.retry_many([record_id])
    assert [one.status for one in await lose(backend, clock, most=2)] == [TaskStatus.PENDING]


async def test_a_rescued_record_that_expired_meanwhile_is_not_started(backend: QueueBackend, clock: FakeClock) -> None:
    record_id = await enqueue(backend, expires_in=5)
    await claim_one(backend, lease=10)
    clock.advance(10)
    await rescue(backend)
    assert await claim(backend) == []
    assert await status_of(backend, record_id) is TaskStatus.CANCELLED


# the predecessor


@pytest.mark.parametrize(
    ("holder", "worker_id", "is_former_self"),
    [
        ("pod-0:a1", "pod-0:b2", True),
        ("pod-0:a1", "pod-0:a1", False),
        ("pod-1:a1", "pod-0:b2", False),
        ("pod-0:a1", "pod-00:b2", False),
        ("pod:a1", "pod-0:b2", False),
        ("zone:pod:a1", "zone:pod:b2", True),
        ("zone:pod:a1", "zone:b2", False),
        ("pod-0", "pod-0", False),
        ("pod-0:a1", "pod-0", False),
        ("pod-0", "pod-0:b2", False),
        (":a1", ":b2", True),
        ("plain", ":b2", False),
    ],
)
async def test_a_worker_takes_back_what_its_former_self_held(
    backend: QueueBackend, holder: str, worker_id: str, is_former_self: bool
) -> None:
    record_id = await enqueue(backend)
    await claim_one(backend, worker_id=holder, lease=3600)
    expected = [Rescued(record_id, "greet", "default", holder, TaskStatus.PENDING)] if is_former_self else []
    assert await rescue_predecessor(backend, worker_id) == expected
    assert len(await claim(backend)) == is_former_self


async def test_the_same_laws_hold_for_what_a_predecessor_held(backend: QueueBackend) -> None:
    lost_once, lost_twice, stopped = [make_record() for _ in range(3)]
    await backend.enqueue_many([lost_twice])
    await claim_one(backend, worker_id="pod:1")
    await rescue_predecessor(backend, "pod:2", most=2)
    await backend.enqueue_many([lost_once, stopped])
    await claim(backend, worker_id="pod:2")
    await backend.cancel_many([stopped.id], include_running=True)
    rescued = await rescue_predecessor(backend, "pod:3", most=2)
    assert {one.id: one.status for one in rescued} == {
        lost_once.id: TaskStatus.PENDING,
        lost_twice.id: TaskStatus.FAILED,
        stopped.id: TaskStatus.CANCELLED,
    }
    assert ids_of(await claim(backend)) == [lost_once.id]
    await assert_balanced(backend)
