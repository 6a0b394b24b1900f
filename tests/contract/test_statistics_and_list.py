"""In: records in every state. Out: them, found again, and exact counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from litestar_queues.backends.base import QueueBackend
from litestar_queues.ids import first_id_at, new_id
from litestar_queues.outcomes import Cancelled, Completed, Completion, Failed
from litestar_queues.records import CANARY_QUEUE, QueueStatistics, RecordFilter
from litestar_queues.status import TaskStatus
from tests.builders import NOON, FakeClock, make_error, make_record
from tests.contract.laws import assert_balanced, claim, claim_one, enqueue, run_one

WAITING = {TaskStatus.PENDING, TaskStatus.SCHEDULED}


async def one_in_each_state(backend: QueueBackend, queue: str, **options: Any) -> dict[TaskStatus, UUID]:
    options = {"queue": queue, **options}
    ended = {
        TaskStatus.COMPLETED: await run_one(backend, Completed(None), **options),
        TaskStatus.FAILED: await run_one(backend, Failed(make_error()), **options),
        TaskStatus.CANCELLED: await run_one(backend, Cancelled("stopped"), **options),
    }
    running = await enqueue(backend, **options)
    await claim_one(backend, queue)
    scheduled, pending = await enqueue(backend, **options, delay=60), await enqueue(backend, **options)
    live = {TaskStatus.RUNNING: running, TaskStatus.SCHEDULED: scheduled, TaskStatus.PENDING: pending}
    return {**ended, **live}


def minted_at(moment: datetime) -> UUID:
    """An id as it could be minted then."""
    return UUID(int=first_id_at(moment).int + 7)


async def listed(backend: QueueBackend, **which: Any) -> list[UUID]:
    return [record.id for record in await backend.list_records(RecordFilter(**which))]


# counts


async def test_an_empty_store_counts_nothing(backend: QueueBackend) -> None:
    assert await backend.statistics() == QueueStatistics()
    assert await backend.statistics("anything") == QueueStatistics()


async def test_every_state_is_counted_by_queue_and_together(backend: QueueBackend) -> None:
    await one_in_each_state(backend, "a")
    await one_in_each_state(backend, "b")
    await backend.enqueue_many([make_record(queue="b"), make_record(queue="b")])
    one = QueueStatistics(pending=1, scheduled=1, running=1, completed=1, failed=1, cancelled=1)
    assert await backend.statistics("a") == one
    assert await backend.statistics("b") == replace(one, pending=3)
    assert (await backend.statistics()).as_dict() == {
        "pending": 4,
        "scheduled": 2,
        "running": 2,
        "completed": 2,
        "failed": 2,
        "cancelled": 2,
        "total": 14,
    }
    await assert_balanced(backend)


async def test_counts_follow_each_move_of_a_record(backend: QueueBackend, clock: FakeClock) -> None:
    record_id = await enqueue(backend, delay=1, queue="a")
    assert await backend.statistics("a") == QueueStatistics(scheduled=1)
    clock.advance(1)
    await claim_one(backend, lease=1)
    assert await backend.statistics("a") == QueueStatistics(running=1)
    clock.advance(1)
    await backend.rescue_many(limit=1, max_lost_leases=9)
    assert await backend.statistics("a") == QueueStatistics(pending=1)
    await backend.cancel_many([record_id])
    assert await backend.statistics("a") == QueueStatistics(cancelled=1)
    await backend.retry_many([record_id])
    assert await backend.statistics("a") == QueueStatistics(pending=1)
    await run_one(backend, queue="b")
    await backend.prune_many(TaskStatus.COMPLETED, older_than=-1, limit=9)
    assert await backend.statistics() == QueueStatistics(pending=1)


# the canary


async def test_a_canary_that_never_completed_has_no_time(backend: QueueBackend) -> None:
    assert await backend.canary_completed_at() is None


async def test_only_a_completed_canary_counts(backend: QueueBackend) -> None:
    await run_one(backend, Failed(make_error()), queue=CANARY_QUEUE)
    await run_one(backend, Cancelled("stopped"), queue=CANARY_QUEUE)
    await run_one(backend, Completed(None), queue="other")
    await enqueue(backend, queue=CANARY_QUEUE)
    assert await backend.canary_completed_at() is None


async def test_the_latest_completion_of_the_canary_is_told(backend: QueueBackend, clock: FakeClock) -> None:
    for seconds in (10, 20):
        clock.advance(10)
        await run_one(backend, queue=CANARY_QUEUE)
        assert await backend.canary_completed_at() == NOON + timedelta(seconds=seconds)
    clock.advance(10)
    await run_one(backend, Failed(make_error()), queue=CANARY_QUEUE)
    assert await backend.canary_completed_at() == NOON + timedelta(seconds=20)


async def test_the_completion_of_the_canary_is_known_after_its_record_was_pruned(
    backend: QueueBackend, clock: FakeClock
) -> None:
    for seconds in (10, 20):
        clock.advance(9)
        await run_one(backend, queue=CANARY_QUEUE)
        await run_one(backend, queue="other")
        clock.advance(1)
        assert await backend.prune_many(TaskStatus.COMPLETED, older_than=0, limit=9) == 2
        assert await backend.canary_completed_at() == NOON + timedelta(seconds=seconds - 1)
    await assert_balanced(backend)
    clock.advance(1)
    await run_one(backend, queue=CANARY_QUEUE)
    assert await backend.canary_completed_at() == NOON + timedelta(seconds=21)


# records


async def test_only_records_that_exist_are_given(backend: QueueBackend) -> None:
    first, second = await enqueue(backend), await enqueue(backend)
    found = await backend.get_many([second, new_id(), first, second])
    assert {record_id: record.id for record_id, record in found.items()} == {first: first, second: second}
    assert await backend.get_many([]) == {}


async def test_records_are_listed_newest_first(backend: QueueBackend) -> None:
    ids = [await enqueue(backend, priority=n, queue=f"q{n % 2}") for n in range(5)]
    assert await listed(backend) == ids[::-1]
    assert await listed(backend, limit=2) == ids[:2:-1]


@pytest.mark.parametrize("status", [None, *TaskStatus])
async def test_pages_follow_each_other_without_gap_or_overlap(backend: QueueBackend, status: TaskStatus | None) -> None:
    for _ in range(3):
        await one_in_each_state(backend, "a")
        await backend.cancel_many(await listed(backend, status=TaskStatus.PENDING, limit=1))
        await enqueue(backend)
    whole = await listed(backend, status=status)
    assert len(whole) >= 3
    pages = [await listed(backend, status=status, limit=2)]
    while pages[-1]:
        pages.append(await listed(backend, status=status, limit=2, before=pages[-1][-1]))
    assert [record_id for page in pages for record_id in page] == whole


@pytest.mark.parametrize("status", [None, *TaskStatus])
async def test_pages_from_the_oldest_on_follow_each_other_too(backend: QueueBackend, status: TaskStatus | None) -> None:
    for _ in range(3):
        await one_in_each_state(backend, "a")
        await backend.cancel_many(await listed(backend, status=TaskStatus.PENDING, limit=1))
        await enqueue(backend)
    whole = await listed(backend, status=status, oldest_first=True)
    assert whole == (await listed(backend, status=status))[::-1]
    pages = [await listed(backend, status=status, oldest_first=True, limit=2)]
    while pages[-1]:
        pages.append(await listed(backend, status=status, oldest_first=True, limit=2, after=pages[-1][-1]))
    assert [record_id for page in pages for record_id in page] == whole


@pytest.mark.parametrize("status", [None, *TaskStatus])
async def test_records_are_found_by_the_worker_that_has_or_had_them(
    backend: QueueBackend, status: TaskStatus | None
) -> None:
    wanted = await one_in_each_state(backend, "a")
    await enqueue(backend, queue="b")
    await claim_one(backend, "b", worker_id="other:1")
    touched = {status: record_id for status, record_id in wanted.items() if status not in WAITING}
    expected = (
        sorted(touched.values(), reverse=True) if status is None else [touched[status]] if status in touched else []
    )
    assert await listed(backend, status=status, worker_id="worker:1") == expected
    assert await listed(backend, status=status, worker_id="nobody:1") == []


@pytest.mark.parametrize("status", [None, TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.COMPLETED])
@pytest.mark.parametrize("oldest_first", [False, True])
async def test_records_are_found_by_the_time_at_which_they_were_minted(
    backend: QueueBackend, status: TaskStatus | None, *, oldest_first: bool
) -> None:
    ids = [minted_at(NOON + timedelta(microseconds=n)) for n in range(5)]
    for record_id in ids:
        await enqueue(backend, id=record_id)
    if status in {TaskStatus.RUNNING, TaskStatus.COMPLETED}:
        claims = await claim(backend)
        if status is TaskStatus.COMPLETED:
            await backend.finish_many([Completion(one.id, one.token, Completed(None)) for one in claims])
    find = partial(listed, backend, status=status, oldest_first=oldest_first)
    in_order = ids if oldest_first else ids[::-1]
    second, fourth = NOON + timedelta(microseconds=1), NOON + timedelta(microseconds=3)
    assert await find(created_after=second) == [one for one in in_order if one in ids[1:]]
    assert await find(created_before=fourth) == [one for one in in_order if one in ids[:3]]
    assert await find(created_after=second, created_before=fourth) == [one for one in in_order if one in ids[1:3]]
    assert await find(created_after=second, created_before=fourth, after=ids[1], before=ids[4]) == [ids[2]]
    assert await find(created_after=fourth, created_before=second) == []


async def test_a_time_without_a_zone_is_refused(backend: QueueBackend) -> None:
    with pytest.raises(ValueError, match="time zone"):
        await listed(backend, created_after=NOON.replace(tzinfo=None))


async def test_a_state_lists_its_records_alone(backend: QueueBackend) -> None:
    for status, record_id in (await one_in_each_state(backend, "a")).items():
        assert await listed(backend, status=status) == [record_id]


@pytest.mark.parametrize("status", [None, *TaskStatus])
@pytest.mark.parametrize(
    "options", [{"queue": "images"}, {"task": "resize"}, {"schedule": "nightly"}, {"queue": "images", "task": "resize"}]
)
async def test_each_filter_lets_through_what_fits(
    backend: QueueBackend, status: TaskStatus | None, options: dict[str, str]
) -> None:
    wanted = await one_in_each_state(backend, **{"queue": "mine", **options})
    await one_in_each_state(backend, "other", task="send")
    expected = sorted(wanted.values(), reverse=True) if status is None else [wanted[status]]
    assert await listed(backend, status=status, **options) == expected
    assert await listed(backend, status=status, **{**options, "task": "nothing"}) == []


@pytest.mark.parametrize("status", [None, TaskStatus.PENDING])
async def test_records_are_found_by_their_key(backend: QueueBackend, status: TaskStatus | None) -> None:
    await enqueue(backend)
    record_id = await enqueue(backend, key="k")
    await enqueue(backend, key="other")
    assert await listed(backend, status=status, key="k") == [record_id]
    assert await listed(backend, status=status, key="K") == []


async def test_a_due_record_reads_scheduled_until_a_claim_looks(backend: QueueBackend, clock: FakeClock) -> None:
    record_id = await enqueue(backend, delay=1)
    clock.advance(1)
    assert await listed(backend, status=TaskStatus.SCHEDULED) == [record_id]
    await claim(backend)
    assert await listed(backend, status=TaskStatus.RUNNING) == [record_id]
