"""In: the caller's own connection. Out: records that are committed and rolled back with the caller's work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from litestar_queues.backends.postgres import PostgresBackend
from litestar_queues.errors import BackendError, InvalidArgumentError, SchemaVersionError
from litestar_queues.records import Enqueued
from tests.builders import make_record
from tests.contract.laws import assert_balanced, claim, enqueue, ids_of
from tests.postgres.callers import CALLERS, Caller
from tests.postgres.conftest import Area
from tests.worker.harness import until, within


@pytest.fixture
def driver() -> str:
    """Of the queue's own connections; the caller's are what is tested."""
    return "asyncpg"


@pytest.fixture(params=CALLERS)
async def caller(request: pytest.FixtureRequest, admin: Any, area: Area) -> AsyncIterator[Caller]:
    await admin.execute("create table orders (what text)")
    async with CALLERS[request.param](area.server) as caller:
        yield caller


async def orders(admin: Any) -> int:
    return int(await admin.fetchval("select count(*) from orders"))


async def test_the_records_are_there_once_the_caller_commits(
    backend: PostgresBackend, caller: Caller, admin: Any, area: Area
) -> None:
    await caller.order(area.schema)
    records = [make_record(), make_record(), make_record(key="k", delay=5)]
    answers = await backend.enqueue_many(records, connection=caller.connection)
    assert list(answers) == [Enqueued(record.id, created=True) for record in records]
    assert await claim(backend) == []
    await caller.commit()
    assert await orders(admin) == 1
    assert ids_of(await claim(backend)) == [record.id for record in records[:2]]
    await assert_balanced(backend)


async def test_the_records_never_were_where_the_caller_rolls_back(
    backend: PostgresBackend, caller: Caller, admin: Any, area: Area
) -> None:
    await caller.order(area.schema)
    record = make_record(key="k")
    await backend.enqueue_many([record], connection=caller.connection)
    await caller.rollback()
    assert await orders(admin) == 0
    assert await backend.get_many([record.id]) == {}
    assert await enqueue(backend, key="k") != record.id
    assert (await backend.ledger())["enqueued"] == 1


@pytest.mark.parametrize("ending", ["commit", "rollback"])
async def test_an_enqueue_may_come_before_the_callers_own_work(
    backend: PostgresBackend, caller: Caller, admin: Any, area: Area, ending: str
) -> None:
    await backend.enqueue_many([make_record()], connection=caller.connection)
    await caller.order(area.schema)
    await getattr(caller, ending)()
    assert (await orders(admin), (await backend.ledger())["enqueued"]) == ((1, 1) if ending == "commit" else (0, 0))


async def test_an_enqueue_may_be_all_that_the_caller_does(backend: PostgresBackend, caller: Caller) -> None:
    record = make_record()
    await backend.enqueue_many([record], connection=caller.connection)
    assert await backend.get_many([record.id]) == {}
    await caller.commit()
    assert set(await backend.get_many([record.id])) == {record.id}


async def test_a_held_key_is_answered_with_its_holder(backend: PostgresBackend, caller: Caller) -> None:
    (holder,) = await backend.enqueue_many([make_record(key="k")], connection=caller.connection)
    answers = await backend.enqueue_many([make_record(key="k"), make_record()], connection=caller.connection)
    assert [answer.created for answer in answers] == [False, True]
    assert answers[0].id == holder.id
    await caller.commit()
    assert await enqueue(backend, key="k") == holder.id


@pytest.mark.parametrize("queue", ["default", "\0"], ids=["refused here", "refused by the server"])
async def test_a_refused_batch_leaves_the_callers_work_as_it_was(
    backend: PostgresBackend, caller: Caller, admin: Any, area: Area, queue: str
) -> None:
    await caller.order(area.schema)
    bad = make_record(key="l", queue=queue, payload=b"[[],{}]" if queue == "\0" else b"\xff")
    with pytest.raises(InvalidArgumentError, match="a value cannot be stored"):
        await backend.enqueue_many([make_record(), make_record(key="k"), bad], connection=caller.connection)
    await caller.order(area.schema)
    await caller.commit()
    assert await orders(admin) == 2
    assert (await backend.ledger())["enqueued"] == 0


async def test_a_worker_is_woken_by_the_callers_commit_and_not_before(
    backend: PostgresBackend, caller: Caller, area: Area
) -> None:
    listening = await area.open()
    woken: list[bool] = []
    listening.subscribe(lambda: woken.append(True))
    await until(lambda: woken)  # it listens now
    woken.clear()
    await backend.enqueue_many([make_record()], connection=caller.connection)
    await enqueue(backend, queue="a sign that what was told before has arrived")
    await until(lambda: woken)
    woken.clear()
    await caller.commit()
    await until(lambda: woken)


async def test_nobody_is_woken_by_what_is_rolled_back(backend: PostgresBackend, caller: Caller, area: Area) -> None:
    heard: list[str] = []
    listening = await area.connect()
    await listening.add_listener(f"{area.schema}_lq_wake", lambda *told: heard.append(told[3]))
    await backend.enqueue_many([make_record(queue="undone")], connection=caller.connection)
    await caller.rollback()
    await enqueue(backend, queue="done")
    await until(lambda: heard)
    assert heard == ["done"]


# a connection that commits by itself


async def test_an_asyncpg_connection_outside_a_transaction_commits_all_or_nothing(
    backend: PostgresBackend, area: Area
) -> None:
    connection = await area.connect()
    with pytest.raises(InvalidArgumentError):
        await backend.enqueue_many([make_record(), make_record(key="k", payload=b"\xff")], connection=connection)
    assert (await backend.ledger())["enqueued"] == 0
    await backend.enqueue_many([make_record(), make_record(key="k")], connection=connection)
    assert not connection.is_in_transaction()
    assert (await backend.ledger())["enqueued"] == 2


async def test_a_psycopg_connection_that_commits_by_itself_commits_the_records(
    backend: PostgresBackend, area: Area
) -> None:
    url = area.server.url("psycopg").replace("+psycopg", "")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await backend.enqueue_many([make_record(), make_record(key="k")], connection=connection)
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert (await backend.ledger())["enqueued"] == 2


# what is refused


async def assert_refused(backend: PostgresBackend, connection: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="is not accepted: use an asyncpg or async psycopg connection"):
        await backend.enqueue_many([make_record()], connection=connection)
    assert (await backend.ledger())["enqueued"] == 0


@pytest.mark.parametrize(
    "connection", ["app", object(), asyncpg, Caller], ids=["a name", "an object", "a module", "a class"]
)
async def test_what_is_no_connection_is_refused_with_what_is(backend: PostgresBackend, connection: Any) -> None:
    await assert_refused(backend, connection)


async def test_a_sync_connection_is_refused(backend: PostgresBackend, area: Area) -> None:
    with psycopg.connect(area.server.url("psycopg").replace("+psycopg", "")) as connection:
        await assert_refused(backend, connection)
    engine = create_engine(area.server.url("psycopg"))
    with engine.connect() as connection:
        await assert_refused(backend, connection)
    engine.dispose()


async def test_a_pool_or_an_engine_is_refused_since_it_has_no_one_transaction(
    backend: PostgresBackend, area: Area
) -> None:
    async with asyncpg.create_pool(area.server.url().replace("+asyncpg", ""), min_size=0) as pool:
        await assert_refused(backend, pool)
    engine = create_async_engine(area.server.url())
    await assert_refused(backend, engine)
    await engine.dispose()


async def test_a_sqlalchemy_session_of_another_database_is_refused(backend: PostgresBackend) -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    async with AsyncSession(engine) as session:
        await assert_refused(backend, session)
    await engine.dispose()


async def test_a_closed_connection_is_refused_in_words(backend: PostgresBackend, area: Area) -> None:
    connection = await area.connect()
    await connection.close()
    with pytest.raises(BackendError, match=r"cannot be reached: .*closed"):
        await backend.enqueue_many([make_record()], connection=connection)


async def test_a_transaction_that_has_failed_already_is_refused_in_words(backend: PostgresBackend, area: Area) -> None:
    connection = await area.connect()
    transaction = connection.transaction()
    await transaction.start()
    with pytest.raises(asyncpg.PostgresError):
        await connection.execute("select 1 / 0")
    with pytest.raises(BackendError, match="transaction is aborted"):
        await backend.enqueue_many([make_record()], connection=connection)
    await transaction.rollback()


async def test_a_connection_to_a_database_without_the_tables_is_told_so(backend: PostgresBackend, area: Area) -> None:
    connection = await asyncpg.connect(area.server.url(database="template1").replace("+asyncpg", ""))
    with pytest.raises(SchemaVersionError, match="lacks the queue's tables"):
        await backend.enqueue_many([make_record()], connection=connection)
    await connection.close()


async def test_two_callers_with_one_key_wait_for_each_other(backend: PostgresBackend, area: Area) -> None:
    first, second = await area.connect(), await area.connect()
    async with first.transaction():
        (mine,) = await backend.enqueue_many([make_record(key="k")], connection=first)
        waiting = asyncio.ensure_future(backend.enqueue_many([make_record(key="k")], connection=second))
    async with within():
        (theirs,) = await waiting
    assert theirs == Enqueued(mine.id, created=False)
