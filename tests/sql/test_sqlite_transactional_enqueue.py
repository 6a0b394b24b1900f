"""In: the caller's own connection. Out: records that are committed and rolled back with the caller's work."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from sqlspec import SQLSpec
from sqlspec.adapters.aiosqlite import AiosqliteConfig
from sqlspec.adapters.sqlite import SqliteConfig

from litestar_queues.backends.sqlite import SQLiteBackend
from litestar_queues.errors import BackendUnavailableError, InvalidArgumentError
from litestar_queues.records import Enqueued
from tests.builders import FakeClock, make_record
from tests.contract.laws import assert_balanced, claim, enqueue, ids_of

ORDER = "insert into orders values ('hat')"
ROWS = "select * from orders"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table orders (what text)")
    return path


@pytest.fixture
async def backend(path: Path, clock: FakeClock) -> AsyncIterator[SQLiteBackend]:
    backend = SQLiteBackend(path, synchronous="NORMAL", clock=clock)
    await backend.open()
    yield backend
    await backend.close()


class Caller:
    """A transaction of the app, whichever driver it uses."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def run(self, verb: str, *args: Any) -> None:
        answer = getattr(self.connection, verb)(*args)
        if hasattr(answer, "__await__"):
            await answer


@asynccontextmanager
async def plain(path: Path) -> AsyncIterator[Caller]:
    with closing(sqlite3.connect(path)) as connection:
        yield Caller(connection)


@asynccontextmanager
async def by_hand(path: Path) -> AsyncIterator[Caller]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("begin")
        yield Caller(connection)


@asynccontextmanager
async def aio(path: Path) -> AsyncIterator[Caller]:
    async with aiosqlite.connect(path) as connection:
        yield Caller(connection)


@asynccontextmanager
async def sqlspec_session(path: Path) -> AsyncIterator[Caller]:
    config = SQLSpec().add_config(SqliteConfig(connection_config={"database": str(path)}))
    with config.provide_session() as session:
        session.begin()
        yield Caller(session)
    config.close_pool()


@asynccontextmanager
async def sqlspec_async_session(path: Path) -> AsyncIterator[Caller]:
    config = SQLSpec().add_config(AiosqliteConfig(connection_config={"database": str(path)}))
    async with config.provide_session() as session:
        await session.begin()
        yield Caller(session)
    await config.close_pool()


Open = Callable[[Path], AbstractAsyncContextManager[Caller]]
CALLERS: list[Open] = [plain, by_hand, aio, sqlspec_session, sqlspec_async_session]


@pytest.fixture(params=CALLERS, ids=lambda caller: caller.__name__)
async def caller(request: pytest.FixtureRequest, path: Path, backend: SQLiteBackend) -> AsyncIterator[Caller]:
    async with request.param(path) as caller:
        yield caller


def orders(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return len(connection.execute(ROWS).fetchall())


async def test_the_records_are_there_once_the_caller_commits(
    backend: SQLiteBackend, caller: Caller, path: Path
) -> None:
    await caller.run("execute", ORDER)
    records = [make_record(), make_record(), make_record(key="k", delay=5)]
    answers = await backend.enqueue_many(records, connection=caller.connection)
    assert list(answers) == [Enqueued(record.id, created=True) for record in records]
    assert await claim(backend) == []
    await caller.run("commit")
    assert orders(path) == 1
    assert ids_of(await claim(backend)) == [record.id for record in records[:2]]
    await assert_balanced(backend)


async def test_the_records_never_were_where_the_caller_rolls_back(
    backend: SQLiteBackend, caller: Caller, path: Path
) -> None:
    await caller.run("execute", ORDER)
    record = make_record(key="k")
    await backend.enqueue_many([record], connection=caller.connection)
    await caller.run("rollback")
    assert orders(path) == 0
    assert await backend.get_many([record.id]) == {}
    assert await enqueue(backend, key="k") != record.id
    assert (await backend.ledger())["enqueued"] == 1


async def test_an_enqueue_may_come_before_the_callers_own_work(
    backend: SQLiteBackend, caller: Caller, path: Path
) -> None:
    await backend.enqueue_many([make_record()], connection=caller.connection)
    await caller.run("execute", ORDER)
    await caller.run("rollback")
    assert (orders(path), (await backend.ledger())["enqueued"]) == (0, 0)


async def test_a_held_key_is_answered_with_its_holder(backend: SQLiteBackend, caller: Caller) -> None:
    (holder,) = await backend.enqueue_many([make_record(key="k")], connection=caller.connection)
    answers = await backend.enqueue_many([make_record(key="k"), make_record()], connection=caller.connection)
    assert [answer.created for answer in answers] == [False, True]
    assert answers[0].id == holder.id
    await caller.run("commit")
    assert await enqueue(backend, key="k") == holder.id


async def test_a_refused_batch_leaves_the_callers_work_as_it_was(
    backend: SQLiteBackend, caller: Caller, path: Path
) -> None:
    await caller.run("execute", ORDER)
    bad = make_record(key="k", payload=b"\xff")
    with pytest.raises(InvalidArgumentError):
        await backend.enqueue_many([make_record(key="l"), bad], connection=caller.connection)
    await caller.run("commit")
    assert orders(path) == 1
    assert (await backend.ledger())["enqueued"] == 0


async def test_the_commit_of_the_caller_wakes_the_workers(backend: SQLiteBackend, caller: Caller) -> None:
    woken = asyncio.Event()
    backend.subscribe(woken.set)
    await asyncio.sleep(0.05)
    await backend.enqueue_many([make_record()], connection=caller.connection)
    await asyncio.sleep(0.05)
    woken.clear()
    await caller.run("commit")
    async with asyncio.timeout(5):
        await woken.wait()


async def test_a_connection_that_commits_by_itself_commits_the_records(backend: SQLiteBackend, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        record = make_record()
        await backend.enqueue_many([record], connection=connection)
        assert not connection.in_transaction
    assert set(await backend.get_many([record.id])) == {record.id}


# what is refused


async def assert_refused(backend: SQLiteBackend, connection: Any, reason: str) -> None:
    with pytest.raises(InvalidArgumentError, match=reason):
        await backend.enqueue_many([make_record()], connection=connection)
    assert (await backend.ledger())["enqueued"] == 0


@pytest.mark.parametrize("database", ["other.db", ":memory:"])
async def test_a_connection_to_another_database_is_refused(
    backend: SQLiteBackend, tmp_path: Path, database: str
) -> None:
    name = database if database.startswith(":") else str(tmp_path / database)
    with closing(sqlite3.connect(name)) as connection:
        await assert_refused(backend, connection, r"not on the queue's database, sqlite file .*app\.db")
        assert not connection.in_transaction


async def test_a_session_on_another_database_is_refused(backend: SQLiteBackend, tmp_path: Path) -> None:
    async with sqlspec_async_session(tmp_path / "other.db") as caller:
        await assert_refused(backend, caller.connection, "not on the queue's database")


async def test_the_same_file_by_another_name_is_accepted(backend: SQLiteBackend, path: Path, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(path)
    with closing(sqlite3.connect(tmp_path / "link.db")) as connection:
        await backend.enqueue_many([make_record()], connection=connection)
        connection.commit()
    assert (await backend.ledger())["enqueued"] == 1


@pytest.mark.parametrize("connection", ["app.db", object(), sqlite3], ids=["a name", "an object", "a module"])
async def test_what_is_no_connection_is_refused_with_what_is(backend: SQLiteBackend, connection: Any) -> None:
    await assert_refused(backend, connection, "is not accepted: use a sqlite3 or aiosqlite connection")


async def test_a_closed_connection_is_refused(backend: SQLiteBackend, path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.close()
    await assert_refused(backend, connection, "cannot be used here: .*closed")


async def test_a_closed_aiosqlite_connection_is_refused(backend: SQLiteBackend, path: Path) -> None:
    connection = await aiosqlite.connect(path)
    await connection.close()
    await assert_refused(backend, connection, "cannot be used here")


async def test_a_connection_of_another_thread_is_refused(backend: SQLiteBackend, path: Path) -> None:
    with ThreadPoolExecutor(max_workers=1) as other:  # only the thread that made it may close it
        connection = other.submit(sqlite3.connect, path).result()
        await assert_refused(backend, connection, "cannot be used here: .*thread")
        other.submit(connection.close).result()


async def test_a_caller_that_cannot_get_the_lock_learns_why(backend: SQLiteBackend, path: Path) -> None:
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        closing(sqlite3.connect(path, timeout=0)) as mine,
    ):
        other.execute("begin immediate")
        with pytest.raises(BackendUnavailableError, match="another program holds a transaction open"):
            await backend.enqueue_many([make_record()], connection=mine)
        other.rollback()
        mine.rollback()
        await backend.enqueue_many([make_record()], connection=mine)
        mine.commit()
    assert (await backend.ledger())["enqueued"] == 1


async def test_a_reader_whose_snapshot_is_old_learns_why(backend: SQLiteBackend, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as mine:
        mine.execute("begin")
        assert mine.execute(ROWS).fetchall() == []
        await enqueue(backend)
        with pytest.raises(BackendUnavailableError, match=r"app\.db cannot be used now"):
            await backend.enqueue_many([make_record()], connection=mine)
        mine.rollback()
    assert (await backend.ledger())["enqueued"] == 1
