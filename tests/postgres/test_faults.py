"""In: a server that restarts, crashes, hangs or refuses. Out: errors in words, nothing lost, nothing done twice."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from litestar_queues.backends.postgres import PostgresBackend
from litestar_queues.errors import BackendUnavailableError
from litestar_queues.events import BackendDown, BackendUp, ListenerDown, ListenerUp, RoomFailed
from litestar_queues.outcomes import Completed, Completion, Failed
from litestar_queues.records import NewRecord
from litestar_queues.status import TaskStatus
from tests.builders import make_error, make_record
from tests.contract.laws import assert_balanced, claim, claim_one, enqueue, finish, held, status_of
from tests.postgres.conftest import Area, blocked_pid
from tests.postgres.server import Server
from tests.worker.harness import Shift, Shop, until, until_found, within

# a claim whose reply was lost runs again once its lease is over
LEASES: dict[str, Any] = {"worker_stale_after": 3.0, "worker_heartbeat_interval": 1.0}
LANES = ("litestar-queues", "litestar-queues worker", "litestar-queues enqueue")


async def persist(backend: PostgresBackend, records: list[NewRecord]) -> None:
    """Enqueue as an app does that must not lose anything: again, with the same ids, until it is told that it worked."""
    async with within(30):
        while True:
            try:
                await backend.enqueue_many(records)
            except BackendUnavailableError:
                await asyncio.sleep(0.02)
            else:
                return


@asynccontextmanager
async def shop_at_work(area: Area) -> AsyncIterator[tuple[Shop, list[int]]]:
    """A worker that notes what it has run."""
    ran: list[int] = []
    backend = area.backend()
    async with Shop(backend=backend, worker_poll_interval=0.1, worker_max_concurrency=50, **LEASES) as shop:

        async def note(number: int) -> None:
            await asyncio.sleep(0)
            ran.append(number)

        shop.task(note)
        async with Shift(shop):
            yield shop, ran


async def produce(backend: PostgresBackend, numbers: range) -> None:
    for number in numbers:
        await persist(backend, [make_record(task="note", payload=b"[[%d],{}]" % number)])


async def drained(area: Area, backend: PostgresBackend, expected: int) -> None:
    """Wait until every record has ended, whatever the server does meanwhile."""
    async with within(30):
        while True:
            try:
                counts = await backend.statistics()
            except BackendUnavailableError:
                await asyncio.sleep(0.05)
                continue
            if counts.completed >= expected and counts.total == counts.completed:
                return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_restart_while_workers_and_producers_are_busy_loses_nothing(area: Area, mode: str) -> None:
    producer = await area.open()
    each, producers = 60, 4
    async with shop_at_work(area) as (_, ran):
        producing = [
            asyncio.create_task(produce(producer, range(first * each, (first + 1) * each)))
            for first in range(producers)
        ]
        await until(lambda: len(ran) >= 40)
        await asyncio.to_thread(restart, area.server, mode)
        async with within(30):
            await asyncio.gather(*producing)
        await drained(area, producer, each * producers)
    assert set(ran) == set(range(each * producers))
    admin = await area.connect()
    assert await admin.fetchval("select count(*) from lq_done") == each * producers
    assert await admin.fetchval("select sum(n) from lq_count where status = 'completed'") == each * producers
    await assert_balanced(producer)


def restart(server: Server, mode: str) -> None:
    server.stop(mode)
    server.start()


async def test_an_outage_is_told_once_and_its_end_once(area: Area) -> None:
    async with shop_at_work(area) as (shop, _):
        await asyncio.to_thread(area.server.stop)
        try:
            await shop.told.nth(BackendDown)
            await shop.told.nth(ListenerDown)
        finally:
            await asyncio.to_thread(area.server.start)
        await shop.told.nth(BackendUp)
        await shop.told.nth(ListenerUp)
        told = {kind: len(shop.told.all(kind)) for kind in (BackendDown, BackendUp, ListenerDown, ListenerUp)}
        assert set(told.values()) == {1}
        assert shop.told.all(RoomFailed) == []
        assert "\n" not in str(shop.told.all(BackendDown)[0].error)


# connections that end


async def pids(admin: Any, name: str, area: Area) -> list[int]:
    rows = await admin.fetch(
        "select pid from pg_stat_activity where application_name = $1 and query like $2", name, f"%{area.schema}%"
    )
    return [row[0] for row in rows]


async def kill(admin: Any, name: str, area: Area) -> int:
    """End the connections of one lane of this test's backends."""
    found = await pids(admin, name, area)
    for pid in found:
        await admin.execute("select pg_terminate_backend($1, 5000)", pid)
    return len(found)


async def test_a_connection_that_was_ended_between_two_statements_is_made_anew(
    backend: PostgresBackend, area: Area, admin: Any
) -> None:
    for name in LANES:
        record_id = await enqueue(backend)
        one = await claim_one(backend)
        assert await status_of(backend, record_id) is TaskStatus.RUNNING
        assert await kill(admin, name, area) == 1
        failures = 0
        for call in (
            lambda: enqueue(backend, scheduled_at=None, delay=1000),
            backend.statistics,
            lambda one=one: finish(backend, one, Completed(None)),
        ):
            try:
                await call()
            except BackendUnavailableError:
                failures += 1
                await call()
        assert failures <= 1
        assert await status_of(backend, record_id) is TaskStatus.COMPLETED
    await assert_balanced(backend)


@pytest.mark.parametrize("verb", ["enqueue", "enqueue keyed", "claim", "finish", "fail", "renew"])
async def test_a_connection_that_is_ended_within_a_statement_changes_all_or_nothing(
    backend: PostgresBackend, area: Area, admin: Any, verb: str
) -> None:
    if verb in {"finish", "fail", "renew"}:
        await enqueue(backend)
        one = await claim_one(backend)
    elif verb == "claim":
        await enqueue(backend)
    blocker = await area.connect()
    async with blocker.transaction():
        await blocker.execute("lock table lq_live in access exclusive mode")
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "enqueue": lambda: backend.enqueue_many([make_record()]),
            "enqueue keyed": lambda: backend.enqueue_many([make_record(), make_record(key="k")]),
            "claim": lambda: claim(backend),
            "finish": lambda: backend.finish_many([Completion(one.id, one.token, Completed(None))]),
            "fail": lambda: backend.finish_many([Completion(one.id, one.token, Failed(make_error()))]),
            "renew": lambda: backend.renew_many([held(one)], lease=60),
        }
        calling = asyncio.ensure_future(calls[verb]())
        pid = await blocked_pid(admin, area)
        await admin.execute("select pg_terminate_backend($1, 5000)", pid)
        with pytest.raises(BackendUnavailableError, match=r"cannot be (used now|reached)") as caught:
            await calling
        assert "\n" not in str(caught.value)
    await assert_balanced(backend)
    counts = await backend.statistics()
    assert (counts.total, counts.completed + counts.failed) == (0 if "enqueue" in verb else 1, 0)
    await calls[verb]()
    await assert_balanced(backend)


# a server that hangs


@pytest.mark.parametrize("lane", LANES)
async def test_a_server_that_hangs_is_treated_as_one_that_cannot_be_reached(
    backend: PostgresBackend, area: Area, admin: Any, lane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "litestar-queues": backend.ledger,
        "litestar-queues worker": lambda: claim(backend),
        "litestar-queues enqueue": lambda: enqueue(backend),
    }
    await calls[lane]()
    (pid,) = await pids(admin, lane, area)
    lanes = {one._name: one for one in backend._lanes}
    monkeypatch.setattr(lanes[lane], "patience", 0.3)
    os.kill(pid, signal.SIGSTOP)
    try:
        async with within(3):
            with pytest.raises(BackendUnavailableError, match="cannot be reached"):
                await calls[lane]()
        monkeypatch.undo()
        async with within(3):
            await calls[lane]()
    finally:
        os.kill(pid, signal.SIGCONT)

    async def gone() -> bool:  # it may still do what it was asked for before the line was cut
        return not await admin.fetchval("select exists (select from pg_stat_activity where pid = $1)", pid)

    assert await until_found(gone)
    await assert_balanced(backend)
