"""In: a server that restarts, crashes, hangs or refuses. Out: errors in words, nothing lost, nothing done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from litestar_queues.backends.postgres import PostgresBackend
from litestar_queues.errors import BackendUnavailableError
from litestar_queues.outcomes import Completed, Completion, Failed
from litestar_queues.records import NewRecord
from litestar_queues.status import TaskStatus
from tests.builders import make_error, make_record
from tests.contract.laws import WORKER, assert_balanced, claim, claim_one, enqueue, finish, held, status_of
from tests.postgres.conftest import Area
from tests.postgres.server import Server
from tests.worker.harness import Shift, Shop, until, within

import tests.worker.harness as H
H.SHIFTS = []
_old = Shift.__init__
def _new(self, *a, **k):
    H.SHIFTS.append(self)
    _old(self, *a, **k)
Shift.__init__ = _new
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
    async with Shop(backend=backend, worker_poll_interval=0.1, worker_max_concurrency=50) as shop:

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
            DBG.append((counts, len(asyncio.all_tasks())))
            import tests.worker.harness as H
            if H.SHIFTS[-1].ended.done():
                H.SHIFTS[-1].ended.result()
            if len(DBG) % 300 == 0:
                print(counts)
                for task in asyncio.all_tasks():
                    task.print_stack()
            await asyncio.sleep(0.02)


DBG = []


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
    from litestar_queues.events import BackendDown, BackendUp, ListenerDown, ListenerUp, RoomFailed

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
            lambda: backend.statistics(),
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
        calls = {
            "enqueue": lambda: backend.enqueue_many([make_record()]),
            "enqueue keyed": lambda: backend.enqueue_many([make_record(), make_record(key="k")]),
            "claim": lambda: claim(backend),
            "finish": lambda: backend.finish_many([Completion(one.id, one.token, Completed(None))]),
            "fail": lambda: backend.finish_many([Completion(one.id, one.token, Failed(make_error()))]),
            "renew": lambda: backend.renew_many([held(one)], lease=60),
        }
        calling = asyncio.create_task(calls[verb]())
        pid = await waiting_pid(admin, area)
        await admin.execute("select pg_terminate_backend($1, 5000)", pid)
        with pytest.raises(BackendUnavailableError, match="cannot be (used now|reached)") as caught:
            await calling
        assert "\n" not in str(caught.value)
    await assert_balanced(backend)
    counts = await backend.statistics()
    assert (counts.total, counts.completed + counts.failed) == (0 if "enqueue" in verb else 1, 0)
    await calls[verb]()
    await assert_balanced(backend)


async def waiting_pid(admin: Any, area: Area) -> int:
    """The backend process that waits for a lock on a table of this test."""
    async with within():
        while True:
            pid = await admin.fetchval(
                "select pid from pg_locks where not granted and relation = $1::regclass limit 1",
                f"{area.schema}.lq_live",
            )
            if pid is not None:
                return int(pid)
            await asyncio.sleep(0.005)


# a server that will not


async def as_role(admin: Any, area: Area, setting: str) -> str:
    """A user with a setting of its own that may use the tables; the url to log in with."""
    role = f"role_{area.schema}"
    await admin.execute(f"create role {role} login")
    await admin.execute(f"grant usage on schema {area.schema} to {role}")
    await admin.execute(f"grant select, insert, update, delete on all tables in schema {area.schema} to {role}")
    await admin.execute(f"alter role {role} set {setting}")
    return area.server.url(area.driver).replace("//postgres@", f"//{role}@")


async def test_a_statement_that_the_server_stops_in_time_is_an_outage(
    backend: PostgresBackend, area: Area, admin: Any
) -> None:
    limited = await area.open(url=await as_role(admin, area, "statement_timeout = '100ms'"))
    blocker = await area.connect()
    async with blocker.transaction():
        await blocker.execute("lock table lq_live in access exclusive mode")
        for call in (limited.statistics(), limited.enqueue_many([make_record()]), claim(limited)):
            with pytest.raises(BackendUnavailableError, match=r"cannot be used now \(canceling statement"):
                await call
    await enqueue(limited)
    assert len(await claim(limited)) == 1


async def test_a_lock_that_is_not_to_be_had_in_time_is_an_outage(
    backend: PostgresBackend, area: Area, admin: Any
) -> None:
    limited = await area.open(url=await as_role(admin, area, "lock_timeout = '50ms'"))
    blocker = await area.connect()
    async with blocker.transaction():
        await blocker.execute("lock table lq_live in access exclusive mode")
        with pytest.raises(BackendUnavailableError, match="a lock was not to be had in time"):
            await limited.statistics()
    assert (await limited.statistics()).total == 0


async def test_a_read_only_standby_is_an_outage_and_reading_goes_on(
    backend: PostgresBackend, area: Area, admin: Any
) -> None:
    record_id = await enqueue(backend)
    url = await as_role(admin, area, "default_transaction_read_only = on")
    standby = await area.open(url=url)
    for _ in range(2):
        with pytest.raises(BackendUnavailableError, match="it is read-only: a standby"):
            await standby.enqueue_many([make_record()])
        with pytest.raises(BackendUnavailableError, match="it is read-only: a standby"):
            await claim(standby)
    assert await status_of(standby, record_id) is TaskStatus.PENDING
    await admin.execute(f"alter role role_{area.schema} set default_transaction_read_only = off")
    await enqueue(standby)  # on a connection made anew
    assert len(await claim(standby)) == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("//postgres@", "//nobody:secret@"), "nobody"),
        (("/postgres?", "/nowhere?"), "nowhere"),
        (("host=", "host=/nowhere"), "cannot be reached"),
    ],
    ids=["user", "database", "host"],
)
async def test_a_wrong_address_is_told_in_one_sentence(area: Area, change: tuple[str, str], reason: str) -> None:
    wrong = area.backend(url=area.server.url(area.driver).replace(*change))
    with pytest.raises(BackendUnavailableError, match=reason) as caught:
        await wrong.open()
    text = str(caught.value)
    assert "\n" not in text
    assert "secret" not in text
    assert text.startswith("postgresql database ")
    with pytest.raises(BackendUnavailableError, match="not open"):
        await wrong.statistics()
    await wrong.close()


# others in the way


async def test_a_deadlock_is_tried_again(backend: PostgresBackend, area: Area, admin: Any) -> None:
    for _ in range(2):
        await enqueue(backend)
    first, second = await claim(backend)
    other = await area.connect(deadlock_timeout="10s")
    transaction = other.transaction()
    await transaction.start()
    await other.execute("update lq_live set progress = 'x' where id = $1", second.id)
    renewing = asyncio.create_task(backend.renew_many([held(first), held(second)], lease=60))
    await until_blocked(admin, area)
    # the lane waits for the second and holds the first; it notices the deadlock, since the other is patient
    await other.execute("update lq_live set progress = 'y' where id = $1", first.id)
    await transaction.commit()
    async with within():
        renewal = await renewing
    assert (list(renewal.lost), list(renewal.cancelled)) == ([], [])


async def until_blocked(admin: Any, area: Area) -> None:
    async with within():
        while not await admin.fetchval(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like $1",
            f"%{area.schema}%",
        ):
            await asyncio.sleep(0.005)


async def test_a_serialization_error_is_tried_again(backend: PostgresBackend, area: Area, admin: Any) -> None:
    await enqueue(backend)
    one = await claim_one(backend)
    strict = await area.open(url=await as_role(admin, area, "default_transaction_isolation = 'repeatable read'"))
    other = await area.connect()
    transaction = other.transaction()
    await transaction.start()
    await other.execute("update lq_live set progress = 'x' where id = $1", one.id)
    renewing = asyncio.create_task(strict.renew_many([held(one)], lease=60))
    await until_blocked(admin, area)
    await transaction.commit()
    async with within():
        assert (await renewing).lost == []


async def test_a_record_that_others_hold_is_passed_over_not_waited_for(backend: PostgresBackend, area: Area) -> None:
    first, second = await enqueue(backend), await enqueue(backend)
    other = await area.connect()
    async with other.transaction():
        await other.execute("select from lq_live where id = $1 for update", first)
        async with within():
            assert [one.id for one in await claim(backend)] == [second]
    assert [one.id for one in await claim(backend, worker_id=WORKER)] == [first]
