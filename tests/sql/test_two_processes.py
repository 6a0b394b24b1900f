"""In: two backends on one file, as two processes have them, and a lock held from outside. Out: one truth."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from litestar_queues.backends.sqlite import SQLiteBackend
from litestar_queues.outcomes import Completed, Completion
from litestar_queues.records import Enqueued, RecordFilter
from litestar_queues.status import TaskStatus
from tests.builders import NOON, FakeClock, make_record, make_schedule, make_tick
from tests.contract.laws import assert_balanced, claim, claim_one, enqueue, finish, get, held, ids_of, status_of
from tests.contract.test_schedules import batch_of

A_MOMENT = 0.05
PATIENCE = 5.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


@pytest.fixture
async def here(path: Path, clock: FakeClock) -> AsyncIterator[SQLiteBackend]:
    backend = SQLiteBackend(path, synchronous="NORMAL", clock=clock)
    await backend.open()
    yield backend
    await backend.close()


@pytest.fixture
async def there(here: SQLiteBackend, path: Path, clock: FakeClock) -> AsyncIterator[SQLiteBackend]:
    backend = SQLiteBackend(path, synchronous="NORMAL", clock=clock)
    await backend.open()
    yield backend
    await backend.close()


@contextmanager
def write_lock(path: Path) -> Iterator[sqlite3.Connection]:
    """Another program's transaction: whoever writes waits for its end."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("begin immediate")
    try:
        yield connection
    finally:
        if connection.in_transaction:
            connection.rollback()
        connection.close()


async def assert_waits(task: asyncio.Future[Any]) -> None:
    done, _ = await asyncio.wait([task], timeout=A_MOMENT)
    assert not done


async def test_what_one_process_enqueues_another_claims(here: SQLiteBackend, there: SQLiteBackend) -> None:
    record_id = await enqueue(here)
    one = await claim_one(there)
    assert one.id == record_id
    assert await finish(there, one, Completed(b"1"))
    assert (await get(here, record_id)).result == 1
    await assert_balanced(here)


async def test_two_processes_that_claim_at_once_share_the_records_out(
    here: SQLiteBackend, there: SQLiteBackend
) -> None:
    records = [make_record() for _ in range(400)]
    await here.enqueue_many(records)

    async def take_all(backend: SQLiteBackend, worker_id: str) -> list[object]:
        mine: list[object] = []
        while claims := await claim(backend, limit=7, worker_id=worker_id):
            mine += ids_of(claims)
            assert await backend.finish_many([Completion(one.id, one.token, Completed(None)) for one in claims]) == []
        return mine

    first, second = await asyncio.gather(take_all(here, "w:1"), take_all(there, "w:2"))
    assert len(first) + len(second) == 400
    assert set(first) | set(second) == {record.id for record in records}
    await assert_balanced(there)


async def test_of_two_processes_that_enqueue_one_key_one_writes(here: SQLiteBackend, there: SQLiteBackend) -> None:
    for n in range(20):
        mine, theirs = make_record(key=f"k{n}"), make_record(key=f"k{n}")
        (first,), (second,) = await asyncio.gather(here.enqueue_many([mine]), there.enqueue_many([theirs]))
        assert first.created != second.created
        assert first.id == second.id


async def test_of_two_processes_that_fire_a_tick_one_is_first(here: SQLiteBackend, there: SQLiteBackend) -> None:
    await here.sync_schedules([make_schedule()])
    made = await asyncio.gather(here.fire_ticks(batch_of(make_tick())), there.fire_ticks(batch_of(make_tick())))
    assert sorted(made) == [0, 1]
    assert len(await claim(here)) == 1


async def test_a_cancellation_asked_in_one_process_reaches_the_holder_in_another(
    here: SQLiteBackend, there: SQLiteBackend
) -> None:
    record_id = await enqueue(here)
    one = await claim_one(there)
    await here.cancel_many([record_id], include_running=True)
    assert list(await there.cancel_requests("worker:1")) == [record_id]
    assert list((await there.renew_many([held(one)], lease=60)).cancelled) == [record_id]


async def test_a_change_in_one_process_wakes_another(here: SQLiteBackend, there: SQLiteBackend) -> None:
    woken = asyncio.Event()
    here.subscribe(woken.set)
    await asyncio.sleep(A_MOMENT)
    woken.clear()
    await enqueue(there)
    async with asyncio.timeout(PATIENCE):
        await woken.wait()


# orderings, forced by a lock


async def test_a_claim_waits_for_a_writer_and_then_sees_what_it_wrote(here: SQLiteBackend, path: Path) -> None:
    record_id = await enqueue(here)
    with write_lock(path) as other:
        claiming = asyncio.ensure_future(claim(here))
        await assert_waits(claiming)
        other.execute("update lq_record set priority = 5 where id = ?", (record_id.bytes,))
        other.commit()
    assert ids_of(await claiming) == [record_id]
    assert (await get(here, record_id)).priority == 5


async def test_a_claim_that_waited_finds_what_another_has_taken_gone(here: SQLiteBackend, path: Path) -> None:
    await enqueue(here)
    with write_lock(path) as other:
        claiming = asyncio.ensure_future(claim(here))
        await assert_waits(claiming)
        other.execute("update lq_record set status = 'running', token = 7, lease_until = 9e15, worker_id = 'other:1'")
        other.commit()
    assert await claiming == []


async def test_a_finish_that_waited_is_judged_by_the_token_it_then_finds(here: SQLiteBackend, path: Path) -> None:
    record_id = await enqueue(here)
    one = await claim_one(here)
    with write_lock(path) as other:
        finishing = asyncio.ensure_future(finish(here, one, Completed(b"1")))
        await assert_waits(finishing)
        other.execute("update lq_record set token = token + 1, worker_id = 'other:1'")  # rescued and claimed anew
        other.commit()
    assert not await finishing
    record = await get(here, record_id)
    assert (record.status, record.worker_id, record.result) == (TaskStatus.RUNNING, "other:1", None)


async def test_a_finish_that_waited_is_accepted_where_the_record_is_still_held(here: SQLiteBackend, path: Path) -> None:
    record_id = await enqueue(here)
    one = await claim_one(here)
    with write_lock(path):
        finishing = asyncio.ensure_future(finish(here, one, Completed(b"1")))
        await assert_waits(finishing)
    assert await finishing
    assert await status_of(here, record_id) is TaskStatus.COMPLETED


async def test_the_late_finish_of_a_rescued_record_is_refused_in_every_process(
    here: SQLiteBackend, there: SQLiteBackend, clock: FakeClock
) -> None:
    record_id = await enqueue(here)
    late = await claim_one(here, worker_id="w:1", lease=1)
    clock.advance(1)
    assert [one.id for one in await there.rescue_many(limit=9, max_lost_leases=3)] == [record_id]
    assert not await finish(here, late, Completed(b"1"))
    current = await claim_one(there, worker_id="w:2")
    assert list((await here.renew_many([held(late)], lease=60)).lost) == [record_id]
    assert await finish(there, current, Completed(b"2"))
    assert (await get(here, record_id)).result == 2
    await assert_balanced(here)


async def test_a_finish_in_time_leaves_nothing_to_rescue(
    here: SQLiteBackend, there: SQLiteBackend, clock: FakeClock
) -> None:
    await enqueue(here)
    one = await claim_one(here, lease=1)
    clock.advance(1)
    assert await finish(here, one, Completed(None))
    assert await there.rescue_many(limit=9, max_lost_leases=3) == []


async def test_a_worker_that_came_back_takes_over_from_its_former_process(
    here: SQLiteBackend, there: SQLiteBackend
) -> None:
    record_id = await enqueue(here)
    former = await claim_one(here, worker_id="pod-0:aa", lease=3600)
    assert [one.id for one in await there.rescue_predecessor("pod-0:bb", max_lost_leases=3)] == [record_id]
    assert not await finish(here, former, Completed(None))


async def test_reading_does_not_wait_for_a_writer(here: SQLiteBackend, path: Path) -> None:
    record_id = await enqueue(here)
    with write_lock(path) as other:
        other.execute("delete from lq_record")
        async with asyncio.timeout(PATIENCE):
            assert (await here.statistics()).pending == 1
            assert [one.id for one in await here.list_records(RecordFilter())] == [record_id]


async def test_looking_for_work_where_there_is_none_does_not_wait_for_a_writer(here: SQLiteBackend, path: Path) -> None:
    await enqueue(here, delay=10)
    with write_lock(path):
        async with asyncio.timeout(PATIENCE):
            batch = await here.claim_many(worker_id="w:1", queues=(), limit=9, lease=60)
            assert (list(batch.claims), batch.next_due_in) == ([], 10.0)
            assert list(await here.rescue_many(limit=9, max_lost_leases=3)) == []
            assert await here.prune_many(TaskStatus.COMPLETED, older_than=0, limit=9) == 0


async def test_a_cancelled_claim_gives_back_what_it_got(here: SQLiteBackend, path: Path) -> None:
    record_id = await enqueue(here)
    changed = asyncio.Event()
    here.subscribe(changed.set)
    with write_lock(path):
        claiming = asyncio.ensure_future(claim(here))
        await assert_waits(claiming)
        changed.clear()
        claiming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await claiming
    async with asyncio.timeout(PATIENCE):
        # claimed and given back: pending again, with the name of who had it
        while (record := await get(here, record_id)).status is not TaskStatus.PENDING or not record.worker_id:
            await changed.wait()
            changed.clear()
    assert record.attempt == 0


async def test_an_enqueue_whose_caller_gave_up_is_written_all_the_same(here: SQLiteBackend, path: Path) -> None:
    record = make_record()
    with write_lock(path):
        enqueueing = asyncio.ensure_future(here.enqueue_many([record]))
        await assert_waits(enqueueing)
        enqueueing.cancel()
    assert await here.enqueue_many([record]) == [Enqueued(record.id, created=True)]
    assert (await here.ledger())["enqueued"] == 1
    assert (await get(here, record.id)).created_at == NOON
