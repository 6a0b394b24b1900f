"""In: a worker that comes, works, drains and leaves. Out: what the store knows of it, and what ended in it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any

from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.errors import BackendError
from litestar_queues.events import RecordsFinished, RecordsRescued, Run
from litestar_queues.fleet import Tally, WorkerRow
from litestar_queues.outcomes import Cancelled, Completed, Failed, Outcome, Released, Retried, Snoozed
from litestar_queues.records import CANARY_QUEUE, Rescued
from litestar_queues.release import release
from litestar_queues.status import TaskStatus
from litestar_queues.tallies import MOST_QUEUES, OTHER
from litestar_queues.worker.presence import EndedRuns
from tests.builders import make_error
from tests.faults.faulty import FaultyBackend
from tests.worker.harness import Shift, Shop, make_claim, until, until_found

FAST = {"worker_heartbeat_interval": 0.01}
RARE = {"worker_heartbeat_interval": 600.0, "worker_stale_after": 3600.0}


class House:
    """A shop whose store may fail, with a task that waits until it may go."""

    def __init__(self, **settings: Any) -> None:
        self.store = FaultyBackend(MemoryBackend())
        self.shop = Shop(backend=self.store, **settings)
        self.may_go = asyncio.Event()
        self.task = self.shop.task(self.may_go.wait, name="wait")

    async def told(self, **wanted: object) -> WorkerRow:
        """What is known of the one worker, once it is as wanted."""

        async def look() -> WorkerRow | None:
            rows = await self.store.inner.list_workers()
            fits = len(rows) == 1 and all(getattr(rows[0], name) == value for name, value in wanted.items())
            return rows[0] if fits else None

        return await until_found(look)

    async def tallies(self) -> Sequence[Tally]:
        return [one for one in await self.store.inner.list_tallies(seconds=3600) if one.queue != CANARY_QUEUE]


async def test_a_worker_tells_of_itself_at_once() -> None:
    house = House()
    async with house.shop, Shift(house.shop, queues=("a", "b"), max_concurrency=3) as shift:
        row = await house.told()
        assert row.worker_id == shift.worker.worker_id
        assert (row.pid, row.version, row.queues, row.max_concurrency) == (os.getpid(), release(), ("a", "b"), 3)
        assert (row.running, row.draining, row.alive) == (0, False, True)
        assert row.host
        assert row.started_at <= row.seen_at


async def test_it_tells_now_and_then_what_it_runs() -> None:
    house = House(**FAST)
    async with house.shop, Shift(house.shop):
        first = await house.told(running=0)
        await house.shop.service.enqueue(house.task)
        assert (await house.told(running=1)).seen_at > first.seen_at
        house.may_go.set()
        await house.told(running=0)


async def test_it_tells_at_once_that_it_drains_and_is_gone_when_it_has_left() -> None:
    house = House(**RARE)
    async with house.shop, Shift(house.shop) as shift:
        await house.shop.service.enqueue(house.task)
        await until(lambda: shift.worker.running)
        shift.worker.stop()
        assert (await house.told(draining=True)).running == 1
        house.may_go.set()
        await shift.report()
        assert list(await house.store.list_workers()) == []
        (tally,) = await house.tallies()  # told on its way out
        assert (tally.queue, tally.completed, sum(tally.waits), sum(tally.durations)) == ("default", 1, 1, 1)


async def test_what_cannot_be_told_is_told_once_the_store_is_back() -> None:
    house = House(**FAST)
    house.may_go.set()
    async with house.shop, Shift(house.shop):
        await house.told()
        house.store.fail("report_worker", 3)
        handle = await house.shop.service.enqueue(house.task)
        await handle.wait()
        (tally,) = await until_found(house.tallies)
        assert (tally.completed, house.store.faults_left("report_worker")) == (1, 0)


async def test_a_worker_that_cannot_say_good_bye_leaves_all_the_same_and_is_lost() -> None:
    house = House(worker_stale_after=0.03, **FAST)
    async with house.shop, Shift(house.shop) as shift:
        await house.told()
        house.store.fail("forget_worker", error=BackendError("refused"))
        await shift.drain()
        assert (await house.told(alive=False)).state == "lost"


async def test_a_store_that_hangs_does_not_hold_a_worker_back() -> None:
    house = House()
    async with house.shop, Shift(house.shop) as shift:
        await house.told()
        hang = house.store.hang("forget_worker")
        await shift.drain()
        assert hang.entered.is_set()


# what is counted


def count(*events: RecordsFinished | RecordsRescued) -> dict[str, Tally]:
    ended = EndedRuns()
    for event in events:
        ended(event)
    taken = ended.take()
    assert ended.take() == []
    return {one.queue: one for one in taken}


def finished(outcome: Outcome, queue: str = "default", waited: float = 0.0, duration: float = 0.0) -> RecordsFinished:
    return RecordsFinished([Run(make_claim(queue=queue, waited=waited), outcome, duration)])


def test_runs_are_counted_by_how_they_ended_and_not_where_they_are_given_back() -> None:
    outcomes: list[Outcome] = [Completed(None), Failed(make_error()), Retried(make_error(), 1.0), Cancelled("enough")]
    given_back: list[Outcome] = [Released(), Snoozed("unknown", 1.0)]
    (tally,) = count(*map(finished, [*outcomes, Completed(None), *given_back])).values()
    assert (tally.completed, tally.failed, tally.retried, tally.cancelled) == (2, 1, 1, 1)
    assert (sum(tally.waits), sum(tally.durations)) == (5, 5)


def test_waits_and_durations_are_counted_by_their_bounds() -> None:
    runs = [(0.005, 0.0051), (0.006, 0.01), (2000.0, 2000.0)]
    (tally,) = count(*(finished(Completed(None), "a", waited, took) for waited, took in runs)).values()
    assert tally.waits == (1, 1, *[0] * 9, 1)
    assert tally.durations == (0, 2, *[0] * 10, 1)


def test_each_queue_has_a_tally_up_to_a_bound() -> None:
    found = count(*(finished(Completed(None), f"queue {n}") for n in range(MOST_QUEUES + 3)))
    assert len(found) == MOST_QUEUES + 1
    assert (found["queue 0"].completed, found[OTHER].completed) == (1, 3)
    runs = [Run(make_claim(queue=queue), Completed(None), 0.0) for queue in "aba"]
    assert {queue: one.completed for queue, one in count(RecordsFinished(runs)).items()} == {"a": 2, "b": 1}


def test_records_that_ended_because_their_workers_vanished_count_too() -> None:
    ends = (TaskStatus.PENDING, TaskStatus.FAILED, TaskStatus.CANCELLED)
    lost = [Rescued(make_claim().id, "greet", "a", "w:1", status) for status in ends]
    (tally,) = count(RecordsRescued(lost)).values()
    assert (tally.queue, tally.completed, tally.failed, tally.cancelled) == ("a", 0, 1, 1)
    assert count(RecordsRescued(lost[:1])) == {}
