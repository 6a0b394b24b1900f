"""In: a store behind a faulty line. Out: a day at work that goes through every door, and what must hold in the evening.

Three letters are posted, a task recurs, and a dead worker has left a record behind.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

from litestar_queues.backends.base import QueueBackend
from litestar_queues.errors import BackendUnavailableError
from litestar_queues.events import BackendDown, BackendUp, RecordsFinished, RoomFailed
from litestar_queues.execution.context import TaskExecutionContext
from litestar_queues.outcomes import Completed
from litestar_queues.records import QueuedTaskRecord
from litestar_queues.results import TaskResult
from litestar_queues.status import TaskStatus
from tests.builders import FakeClock, make_record
from tests.faults.faulty import FaultyBackend
from tests.worker.harness import PATIENCE, Shop, until, until_found

__all__ = ("LEASE", "Day", "assert_sound")

LEASE = 60.0
_MINUTES_AHEAD = timedelta(minutes=5)


class Day:
    """The worker's day.

    Args:
        store: Opened here.
        clock: Of the store; a worker's own clock is real, and dates first ticks.
    """

    def __init__(self, store: QueueBackend, clock: FakeClock) -> None:
        self.clock = clock
        self.backend = FaultyBackend(store)
        self.shop = Shop(
            backend=self.backend,
            worker_name="clerk",
            worker_heartbeat_interval=0.01,
            worker_stale_after=LEASE,
            worker_poll_interval=0.01,
        )
        self.runs: Counter[UUID] = Counter()
        self.shop.task(self._letter, name="letter")
        self.shop.task(lambda: None, name="tick", schedule={"interval": 3_600})
        self.handles: list[TaskResult] = []
        self.all_posted = False

    @staticmethod
    def clock_ahead() -> FakeClock:
        """A store's clock by which the first tick of a new schedule is due at once."""
        return FakeClock(datetime.now(UTC) + _MINUTES_AHEAD)

    async def _letter(self, number: int, context: TaskExecutionContext) -> int:
        self.runs[context.task_id] += 1
        calls, left = self.backend.calls, self.backend.faults_left
        renewed = calls.count("renew_many")
        await until(lambda: calls.count("renew_many") > renewed)
        await until(lambda: not left("renew_many") and not left("cancel_requests"))
        context.progress(number)
        return number

    async def leave_a_dead_workers_record(self, worker_id: str = "dead:1") -> None:
        (made,) = await self.backend.inner.enqueue_many([make_record(task="letter", payload=b"[[0],{}]")])
        await self.backend.inner.claim_many(worker_id=worker_id, queues=(), limit=1, lease=LEASE)
        self.clock.advance(LEASE + 1)
        self.handles.append(TaskResult(self.shop.service, made.id, "letter"))

    async def post_letters(self) -> None:
        """Enqueue as a careful client does: under a key, again and again until the answer comes."""
        for number in (1, 2, 3):
            while True:
                try:
                    handle = await self.shop.service.enqueue("letter", number, key=f"letter {number}")
                except BackendUnavailableError:
                    continue
                break
            self.handles.append(handle)
        self.all_posted = True

    async def records(self) -> list[QueuedTaskRecord]:
        return [record for record in await self.shop.service.list_tasks() if record.task_name == "letter"]

    async def tick(self) -> QueuedTaskRecord | None:
        return next(iter(await self.shop.service.list_tasks(task="tick")), None)

    async def is_over(self) -> bool:
        if not self.all_posted:  # what is there may have ended before the next letter comes
            return False
        tick = await self.tick()
        return tick is not None and tick.is_terminal and all(record.is_terminal for record in await self.records())

    async def work_until_over(self, *, leases_run_out: bool = False) -> None:
        """Let the day pass.

        Args:
            leases_run_out: A claim that nobody knows of is taken back an hour later.
        """
        if leases_run_out:
            await until(lambda: not self.backend.faults_left("claim_many"))
            await asyncio.sleep(0.2)
            self.clock.advance(LEASE + 1)
        async with asyncio.timeout(PATIENCE):
            await until_found(self.is_over)


async def assert_sound(day: Day) -> None:
    """Nothing is lost, nothing doubled, and each thing was told once."""
    ledger = await day.backend.inner.ledger()
    assert ledger["enqueued"] == ledger["live"] + ledger["terminal"] + ledger["pruned"]
    assert (ledger["enqueued"], ledger["live"]) == (5, 0)  # the dead worker's, three letters and one tick
    records = await day.records()
    assert [record.status for record in records] == [TaskStatus.COMPLETED] * 4
    assert sorted(record.result for record in records) == [0, 1, 2, 3]
    assert set(day.backend.outcomes.values()) == {1}
    assert {record.id for record in records} == {handle.id for handle in day.handles}
    told = [
        run for event in day.shop.told.all(RecordsFinished) for run in event.runs if isinstance(run.outcome, Completed)
    ]
    assert sorted(run.claim.id for run in told) == sorted(day.backend.outcomes)
    downs, ups = day.shop.told.all(BackendDown), day.shop.told.all(BackendUp)
    assert len(downs) == len(ups)
    assert day.shop.told.all(RoomFailed) == []
