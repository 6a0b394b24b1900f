"""In: a pgbouncer in transaction mode, with two connections for all. Out: a queue that relies on no session."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from litestar_queues.backends.migrations import load_migrations
from litestar_queues.backends.postgres import PostgresBackend
from litestar_queues.errors import InvalidArgumentError
from litestar_queues.events import BackendDown, ListenerDown, RoomFailed
from litestar_queues.outcomes import Completed, Completion, Failed, Outcome, Released, Retried
from litestar_queues.records import Claim, Held, RecordFilter
from litestar_queues.status import TaskStatus
from litestar_queues.ticks import TickBatch
from tests.builders import NOON, make_error, make_record, make_schedule, make_tick
from tests.contract.laws import assert_balanced, claim, claim_one, enqueue, finish, get, held, status_of
from tests.postgres.conftest import Area
from tests.postgres.pooler import running_pooler
from tests.postgres.server import Server
from tests.worker.harness import Shift, Shop, until, within

FOUND = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

pytestmark = pytest.mark.skipif(FOUND is None, reason="pgbouncer is not installed: apt-get install pgbouncer")


@pytest.fixture(scope="module")
def pooler(postgres_server: Server) -> Iterator[str]:
    with running_pooler(postgres_server) as running:
        yield running.address


@pytest.fixture
def url(pooler: str, driver: str) -> str:
    return f"postgresql+{driver}://postgres@{pooler}"


@pytest.fixture
async def backend(area: Area, url: str) -> PostgresBackend:
    return await area.open(url=url, pooled=True)


async def whole_life(backend: PostgresBackend, queue: str) -> None:
    """One of every verb, in a queue of its own."""
    keyed = [make_record(queue=queue, key=f"{queue} k"), make_record(queue=queue, key=f"{queue} k")]
    first, second = await backend.enqueue_many(keyed)
    assert (first.id, second.created) == (second.id, False)
    for _ in range(4):
        await enqueue(backend, queue=queue)
    delayed = await enqueue(backend, queue=queue, delay=0.001)
    claims: list[Claim] = []
    async with within():
        while len(claims) < 6:
            claims += await claim(backend, queue, limit=4, worker_id=f"{queue}:1")
    assert (await backend.renew_many([held(one) for one in claims], lease=60)).lost == []
    await backend.save_progress({Held(claims[0].id, claims[0].token): b'{"current": 1}'})
    assert (await get(backend, claims[0].id)).progress == {"current": 1}
    outcomes: list[Outcome] = [
        Completed(b"1"),
        Failed(make_error()),
        Retried(make_error(), 0.0),
        Released(),
        Completed(None),
    ]
    done = [Completion(one.id, one.token, outcome) for one, outcome in zip(claims, outcomes, strict=False)]
    assert await backend.finish_many(done) == []
    assert await backend.cancel_many([claims[5].id], include_running=True) == {claims[5].id: TaskStatus.RUNNING}
    assert await backend.cancel_requests(f"{queue}:1") == [claims[5].id]
    assert await finish(backend, claims[5], Released())
    assert await status_of(backend, claims[5].id) is TaskStatus.CANCELLED
    assert await backend.retry_many([claims[5].id]) == [claims[5].id]
    assert len(await claim(backend, queue, lease=-1)) == 3
    assert delayed in {one.id for one in await backend.list_records(RecordFilter(queue=queue))}


async def test_every_verb_works(backend: PostgresBackend) -> None:
    await whole_life(backend, "one")
    assert len(await backend.rescue_many(limit=10, max_lost_leases=3)) == 3
    assert (await backend.statistics("one")).pending == 3
    await backend.sync_schedules([make_schedule()])
    due = await backend.due_schedules(["report"])
    assert [one.name for one in due.rows] == ["report"]
    batch = TickBatch("report", NOON, [make_tick()], NOON + timedelta(days=1), overlap=True)
    assert [await backend.fire_ticks(batch), await backend.fire_ticks(batch)] == [1, 0]
    assert await backend.pause_schedule("report", paused=True)
    assert await backend.canary_completed_at() is None
    assert await backend.prune_many(TaskStatus.COMPLETED, older_than=0, limit=10) == 2
    await backend.prune_ticks(older_than=-60, limit=10)
    await assert_balanced(backend)


async def test_many_clients_share_its_two_connections(area: Area, url: str) -> None:
    backends = [await area.open(url=url, pooled=True) for _ in range(4)]
    async with within():
        await asyncio.gather(*(whole_life(one, f"queue {n} {m}") for n, one in enumerate(backends) for m in range(5)))
    for one in backends:
        await assert_balanced(one)


async def test_a_worker_works_by_polling_and_says_nothing_of_a_listener(area: Area, url: str, admin: Any) -> None:
    ran: list[int] = []
    async with Shop(backend=area.backend(url=url, pooled=True), worker_poll_interval=0.05) as shop:

        def note(number: int) -> None:
            ran.append(number)

        shop.task(note)
        producer = await area.open(url=url, pooled=True)
        async with Shift(shop):
            for number in range(30):
                await producer.enqueue_many([make_record(task="note", payload=b"[[%d],{}]" % number)])
            await until(lambda: len(ran) == 30)
        assert [shop.told.all(kind) for kind in (BackendDown, ListenerDown, RoomFailed)] == [[], [], []]
    listening = "select count(*) from pg_stat_activity where query ilike $1"
    assert await admin.fetchval(listening, f"listen %{area.schema}%") == 0


async def test_a_refused_call_leaves_no_transaction_behind(backend: PostgresBackend) -> None:
    for _ in range(5):
        with pytest.raises(InvalidArgumentError):
            await backend.enqueue_many([make_record(key="k"), make_record(queue="\0")])
    await enqueue(backend)
    assert (await claim_one(backend)).attempt == 1
    await assert_balanced(backend)


async def test_eight_processes_migrate_through_it_at_once(area: Area, url: str) -> None:
    backends = [area.backend(url=url, pooled=True) for _ in range(8)]
    async with within():
        applied = await asyncio.gather(*(one.migrate() for one in backends))
    assert sorted(map(len, applied)) == [0] * 7 + [len(load_migrations("postgres"))]
