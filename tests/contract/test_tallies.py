"""In: what ended in workers. Out: its sums by minute and queue, by the store's clock."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from litestar_queues.backends.base import QueueBackend
from litestar_queues.fleet import Tally
from tests.builders import NOON, FakeClock, make_report, make_tally


async def report(backend: QueueBackend, *tallies: Tally, worker_id: str = "worker:1") -> None:
    await backend.report_worker(make_report(worker_id), lease=60, tallies=tallies)


async def test_a_store_in_which_nothing_ended_has_none(backend: QueueBackend) -> None:
    await report(backend)
    assert list(await backend.list_tallies(seconds=3600)) == []


async def test_a_tally_is_stored_whole_for_the_minute_in_which_it_arrives(
    backend: QueueBackend, clock: FakeClock
) -> None:
    clock.advance(119)
    one = make_tally("mails", completed=5, failed=4, retried=3, cancelled=2, wait=2, duration=12)
    await report(backend, one)
    assert list(await backend.list_tallies(seconds=3600)) == [one._replace(minute=NOON + timedelta(minutes=1))]


async def test_what_several_workers_tell_within_a_minute_is_added_up(backend: QueueBackend, clock: FakeClock) -> None:
    await report(backend, make_tally(completed=1, wait=0, duration=1), make_tally("other", failed=1))
    clock.advance(59)
    await report(backend, make_tally(completed=2, wait=1, duration=1), worker_id="b:1")
    await report(backend, make_tally(cancelled=3, wait=1, duration=0))
    mine, other = await backend.list_tallies(seconds=3600)
    assert (mine.completed, mine.failed, mine.retried, mine.cancelled) == (3, 0, 0, 3)
    assert (mine.waits[:3], mine.durations[:3]) == ((1, 5, 0), (3, 3, 0))
    assert (other.queue, other.failed) == ("other", 1)


async def test_two_tallies_of_one_queue_in_one_report_are_added_up(backend: QueueBackend) -> None:
    await report(backend, make_tally(completed=1), make_tally("other", failed=1), make_tally(completed=2))
    assert [(one.queue, one.completed, one.failed) for one in await backend.list_tallies(seconds=60)] == [
        ("default", 3, 0),
        ("other", 0, 1),
    ]


async def test_a_release_with_more_bounds_loses_nothing(backend: QueueBackend) -> None:
    await report(backend, make_tally(completed=1)._replace(waits=(1,), durations=(0, 1)))
    await report(backend, make_tally(completed=1)._replace(waits=(0, 1), durations=(1,)))
    (one,) = await backend.list_tallies(seconds=60)
    assert (one.completed, one.waits, one.durations) == (2, (1, 1), (1, 1))


async def test_they_come_oldest_first_and_by_queue_for_the_time_that_is_asked_for(
    backend: QueueBackend, clock: FakeClock
) -> None:
    for _ in range(3):
        await report(backend, make_tally("b", completed=1), make_tally("a", completed=1))
        clock.advance(60)
    rows = await backend.list_tallies(seconds=3600)
    assert [(one.minute, one.queue) for one in rows] == [
        (NOON + timedelta(minutes=minute), queue) for minute in range(3) for queue in ("a", "b")
    ]
    assert [one.minute for one in await backend.list_tallies(seconds=60)] == [NOON + timedelta(minutes=2)] * 2
    assert list(await backend.list_tallies(seconds=0)) == []


@pytest.mark.parametrize("workers", [8])
async def test_reports_at_the_same_time_lose_nothing(backend: QueueBackend, workers: int) -> None:
    async def tell(n: int) -> None:
        for _ in range(5):
            queues = ("a", "b") if n % 2 else ("b", "a")
            await report(backend, *(make_tally(queue, completed=1) for queue in queues), worker_id=f"w:{n}")

    await asyncio.gather(*map(tell, range(workers)))
    assert [one.completed for one in await backend.list_tallies(seconds=60)] == [workers * 5] * 2
    assert len(await backend.list_workers()) == workers


async def test_old_ones_are_pruned_in_batches(backend: QueueBackend, clock: FakeClock) -> None:
    for _ in range(4):
        await report(backend, make_tally("a", completed=1), make_tally("b", completed=1))
        clock.advance(60)
    assert await backend.prune_tallies(older_than=90, limit=4) == 4
    assert await backend.prune_tallies(older_than=90, limit=4) == 2
    assert await backend.prune_tallies(older_than=90, limit=4) == 0
    assert {one.minute for one in await backend.list_tallies(seconds=3600)} == {NOON + timedelta(minutes=3)}
