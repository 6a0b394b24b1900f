"""In: each call of an app, each way a line can break. Out: a clear error in time, and trying again is safe.

The same call is made on two stores that hold the same: on one the line breaks and the call is made again, on the other
all is well. Afterwards both hold the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import pytest

from litestar_queues.backends.base import QueueBackend
from litestar_queues.errors import BackendUnavailableError
from litestar_queues.outcomes import Completed, Failed
from litestar_queues.records import RecordFilter
from tests.builders import FakeClock, make_error, make_record, make_report, make_schedule, make_tally
from tests.contract.conftest import STORES
from tests.contract.laws import enqueue, run_one
from tests.faults.doors import HOT, LAST_WORDS, NO_LINE, WORKER_DOORS
from tests.faults.faulty import FaultyBackend
from tests.worker.harness import PATIENCE, Shop


class Scene:
    """A store that holds a little of everything."""

    def __init__(self, store: Callable[[FakeClock], QueueBackend]) -> None:
        self.clock = FakeClock()
        self.backend = FaultyBackend(store(self.clock))
        self.shop = Shop(backend=self.backend)
        self.service = self.shop.service
        self.shop.task(lambda: None, name="greet")
        self.new = make_record(key="new")

    async def __aenter__(self) -> Self:
        await self.service.open()
        inner = self.backend.inner
        self.completed = await run_one(inner, Completed(b"1"))
        self.failed = await run_one(inner, Failed(make_error()))
        self.waiting = await enqueue(inner, queue="a")
        await inner.sync_schedules([make_schedule()])
        await inner.pause_queue("rests")
        await inner.report_worker(make_report(), lease=60, tallies=[make_tally(completed=1)])
        self.clock.advance(1)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.service.close()

    async def picture(self) -> dict[str, Any]:
        """What the store holds, without what differs between two stores."""
        store = self.backend.inner
        if not self.service.is_open:
            await store.open()
        records = await store.get_many([self.completed, self.failed, self.waiting])
        return {
            "ledger": await store.ledger(),
            "records": [(one.status, one.attempt) for one in records.values()],
            "statistics": await store.statistics(),
            "depths": await store.queue_depths(),
            "pauses": await store.paused_queues(),
            "schedules": await store.list_schedules(),
            "workers": await store.list_workers(),
            "tallies": await store.list_tallies(seconds=3600),
        }


Call = Callable[[Scene], Awaitable[Any]]

CALLS: dict[str, Call] = {
    "open": lambda scene: scene.service.open(),
    "close": lambda scene: scene.service.close(),
    "migrate": lambda scene: scene.backend.migrate(),
    "pending_migrations": lambda scene: scene.backend.pending_migrations(),
    "enqueue_many": lambda scene: scene.backend.enqueue_many([scene.new]),
    "cancel_many": lambda scene: scene.service.cancel_task(scene.waiting),
    "retry_many": lambda scene: scene.service.retry_task(scene.failed),
    "get_many": lambda scene: scene.service.get_task(scene.waiting),
    "list_records": lambda scene: scene.service.list_tasks(queue="a"),
    "page_bound": lambda scene: scene.service.read_page(RecordFilter(queue="a")),
    "statistics": lambda scene: scene.service.get_statistics(),
    "queue_depths": lambda scene: scene.service.queue_depths(),
    "canary_completed_at": lambda scene: scene.service.canary_health(),
    "list_schedules": lambda scene: scene.service.list_schedules(),
    "pause_schedule": lambda scene: scene.service.pause_schedule("report"),
    "list_workers": lambda scene: scene.service.list_workers(),
    "count_workers": lambda scene: scene.backend.count_workers(),
    "pause_queue": lambda scene: scene.service.pause_queue("a", 60),
    "resume_queue": lambda scene: scene.service.resume_queue("rests"),
    "paused_queues": lambda scene: scene.service.paused_queues(),
    "list_tallies": lambda scene: scene.service.list_tallies(),
    "prune_many": lambda scene: scene.service.purge("completed", 0),
    "count_old": lambda scene: scene.service.purge("completed", 0, dry_run=True),
    "ledger": lambda scene: scene.backend.ledger(),
}
STORES_AND_DOORS = [(store, door) for store in ("memory", "sqlite") for door in CALLS]
STORES_AND_DOORS += [("asyncpg", door) for door in ("enqueue_many", "cancel_many", "retry_many")]

each_door = pytest.mark.parametrize(("store", "door"), STORES_AND_DOORS)


def test_every_method_of_the_seam_is_a_door_that_somebody_tries() -> None:
    methods = {name for name in dir(QueueBackend) if not name.startswith("_") and callable(getattr(QueueBackend, name))}
    tried = {*WORKER_DOORS, *LAST_WORDS, *CALLS}
    assert tried.isdisjoint(NO_LINE)
    assert set(HOT) <= set(WORKER_DOORS)
    assert methods == tried | set(NO_LINE)


@pytest.fixture
def scene(request: pytest.FixtureRequest, store: str) -> Callable[[], Scene]:
    return lambda: Scene(lambda clock: STORES[store](request, clock)())


@each_door
async def test_a_call_that_fails_says_so_changes_nothing_and_may_be_made_again(
    scene: Callable[[], Scene], door: str
) -> None:
    async with both(scene) as (broken, sound):
        before = await broken.picture()
        await make_ready(broken, door)
        broken.backend.fail(door)
        with pytest.raises(BackendUnavailableError, match="the line is cut"):
            await CALLS[door](broken)
        assert await broken.picture() == before
        await make_the_same(broken, sound, door)


@each_door
async def test_a_call_whose_answer_is_lost_says_so_and_may_be_made_again(scene: Callable[[], Scene], door: str) -> None:
    async with both(scene) as (broken, sound):
        await make_ready(broken, door)
        broken.backend.drop_reply(door)
        with pytest.raises(BackendUnavailableError, match="before the reply came"):
            await CALLS[door](broken)
        await make_the_same(broken, sound, door)


@each_door
async def test_a_call_that_hangs_can_be_given_up_and_made_again(scene: Callable[[], Scene], door: str) -> None:
    async with both(scene) as (broken, sound):
        await make_ready(broken, door)
        broken.backend.hang(door)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await CALLS[door](broken)
        await make_the_same(broken, sound, door)


@asynccontextmanager
async def both(scene: Callable[[], Scene]) -> AsyncIterator[tuple[Scene, Scene]]:
    async with scene() as broken, scene() as sound:
        yield broken, sound


async def make_ready(scene: Scene, door: str) -> None:
    if door == "open":
        await scene.service.close()


async def make_the_same(broken: Scene, sound: Scene, door: str) -> None:
    async with asyncio.timeout(PATIENCE):
        await CALLS[door](broken)
        await CALLS[door](sound)
        assert await broken.picture() == await sound.picture()
