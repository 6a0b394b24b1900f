"""In: long lives of the memory backend. Out: what it keeps does not grow with what is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.outcomes import Completed, Failed, Released, Retried
from litestar_queues.status import TERMINAL, TaskStatus
from tests.builders import FakeClock, make_error, make_record
from tests.contract.laws import claim, claim_one, enqueue, finish, run_one

ROUNDS = 1000
FEW = 200


@pytest.fixture
async def backend(clock: FakeClock) -> AsyncIterator[MemoryBackend]:
    backend = MemoryBackend(clock=clock)
    await backend.open()
    yield backend
    await backend.close()


def entries(backend: MemoryBackend) -> int:
    """What lies in all heaps, be it of use or not."""
    rows = backend._stored
    waiting = sum(len(one.waiting.entries) + len(one.delayed.entries) for one in rows.queues.values())
    return waiting + sum(len(heap.entries) for heap in rows.ended.values())


async def prune_all(backend: MemoryBackend) -> None:
    for status in TERMINAL:
        await backend.prune_many(status, older_than=-1, limit=ROUNDS)


@pytest.mark.parametrize("delay", [0, 3600])
async def test_cancelled_records_leave_the_heaps(backend: MemoryBackend, delay: float) -> None:
    for _ in range(ROUNDS):
        await backend.cancel_many([await enqueue(backend, delay=delay)])
        await prune_all(backend)
    assert entries(backend) < FEW


async def test_records_that_wait_behind_cancelled_ones_stay_in_order(backend: MemoryBackend) -> None:
    records = [make_record() for _ in range(ROUNDS)]
    await backend.enqueue_many(records)
    kept = records[:: ROUNDS // 10]
    await backend.cancel_many([record.id for record in records if record not in kept])
    assert [one.id for one in await claim(backend)] == [record.id for record in kept]


async def test_a_record_that_runs_again_and_again_is_in_one_place(backend: MemoryBackend, clock: FakeClock) -> None:
    await enqueue(backend)
    for n in range(ROUNDS):
        await finish(backend, await claim_one(backend), Retried(make_error(), 1) if n % 2 else Released())
        clock.advance(1)
    assert entries(backend) == 1


async def test_records_that_are_retried_by_hand_leave_their_former_end(backend: MemoryBackend) -> None:
    record_id = await run_one(backend, Failed(make_error()))
    for _ in range(ROUNDS):
        await backend.retry_many([record_id])
        await finish(backend, await claim_one(backend), Failed(make_error()))
    assert entries(backend) < FEW


async def test_pruned_records_leave_nothing_behind(backend: MemoryBackend, clock: FakeClock) -> None:
    for n in range(ROUNDS):
        await run_one(backend, Completed(b"1"), key=f"k{n}", unique_for=1, schedule="report")
    clock.advance(2)
    await prune_all(backend)
    rows = backend._stored
    assert entries(backend) == 0
    for left in (rows.by_id, rows.running, rows._live_keys, rows._windows, rows._live_of_schedule):
        assert not left


async def test_a_producer_that_never_waits_lets_others_run(backend: MemoryBackend) -> None:
    others = asyncio.ensure_future(asyncio.sleep(0, "ran"))
    for _ in range(5):
        await backend.enqueue_many([make_record()])
    assert others.done()


async def test_wake_ups_that_would_pile_up_are_one(backend: MemoryBackend) -> None:
    woken: list[None] = []
    backend.subscribe(lambda: woken.append(None))
    await enqueue(backend)
    for _ in range(9):
        await backend.finish_many([])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(woken) == 1


async def test_a_subscriber_whose_loop_is_closed_is_passed_over(backend: MemoryBackend) -> None:
    async def subscribe() -> None:
        backend.subscribe(lambda: None)

    await asyncio.to_thread(asyncio.run, subscribe())
    await enqueue(backend)


async def test_statistics_do_not_look_at_records(backend: MemoryBackend) -> None:
    await backend.enqueue_many([make_record()])
    await run_one(backend)
    del backend._stored.by_id
    assert (await backend.statistics()).completed == 1
    assert (await backend.statistics()).as_dict()[TaskStatus.PENDING.value] == 1
    assert await backend.canary_completed_at() is None
