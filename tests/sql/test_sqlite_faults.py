"""In: a file that is moved, deleted, locked, foreign or read-only. Out: the right error, in a sentence, and no loss."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from litestar_queues.backends.migrations import load_migrations
from litestar_queues.backends.sqlite import SQLiteBackend, errors
from litestar_queues.errors import (
    BackendError,
    BackendUnavailableError,
    InvalidArgumentError,
    QueueConfigurationError,
    QueueError,
    SchemaVersionError,
)
from litestar_queues.outcomes import Completed
from litestar_queues.status import TaskStatus
from tests.builders import make_record
from tests.contract.laws import assert_balanced, claim_one, enqueue, finish, status_of

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


@pytest.fixture
async def backend(path: Path) -> AsyncIterator[SQLiteBackend]:
    backend = SQLiteBackend(path, synchronous="NORMAL")
    await backend.open()
    yield backend
    await backend.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "BUSY_TIMEOUT", 0.05)


@pytest.fixture
def locked_folder() -> Iterator[Path]:
    """A folder with a queue's file in which this process may read and not write, even where it began as root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(_fill(folder / "queue.db"))
        root = os.geteuid() == 0
        folder.chmod(0o555)
        for file in folder.iterdir():
            file.chmod(0o444)
        if root:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)


async def _fill(path: Path) -> None:
    backend = SQLiteBackend(path)
    await backend.open()
    await enqueue(backend)
    await backend.close()


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def read(path: Path) -> bytes:
    return path.read_bytes()


def is_there(path: Path) -> bool:
    return path.exists()


def move(path: Path, to: Path) -> None:
    path.replace(to)


def delete(*paths: Path) -> None:
    for path in paths:
        path.unlink()


def beside(path: Path) -> list[Path]:
    """The log of a database file and its index."""
    return [path.with_name(f"{path.name}-{ending}") for ending in ("wal", "shm")]


def one_sentence(error: BaseException, path: Path) -> bool:
    text = str(error)
    return "\n" not in text and text.count(str(path)) >= 1 and len(text) < 300 + 2 * len(str(path))


async def refusal(backend: SQLiteBackend, kind: type[QueueError], path: Path) -> str:
    """The error of an open, which leaves the backend closed."""
    with pytest.raises(kind) as caught:
        await backend.open()
    assert type(caught.value) is kind
    assert one_sentence(caught.value, path)
    with pytest.raises(BackendUnavailableError, match="not open"):
        await backend.ledger()
    await backend.close()
    return str(caught.value)


# at the start


async def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "queue.db"
    text = await refusal(SQLiteBackend(path), BackendUnavailableError, path)
    assert "check that its folder exists" in text


async def test_a_path_that_is_a_folder_is_named(tmp_path: Path) -> None:
    await refusal(SQLiteBackend(tmp_path), BackendUnavailableError, tmp_path)


@pytest.mark.parametrize("content", [b"not a database at all, but longer than a header" * 99, b"\0" * 5000])
async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path: Path, content: bytes) -> None:
    write(path, content)
    text = await refusal(SQLiteBackend(path), QueueConfigurationError, path)
    assert "is not a SQLite database: give another file as queue_backend" in text
    assert read(path) == content


async def test_a_database_of_another_program_is_shared_with_it(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table orders (what text)")
        connection.execute("insert into orders values ('hat')")
        connection.commit()
    await _fill(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("select * from orders").fetchall() == [("hat",)]


async def test_an_empty_file_is_a_new_database(path: Path) -> None:
    write(path, b"")
    await _fill(path)


async def test_a_newer_schema_is_refused_and_left_as_it_is(path: Path) -> None:
    await _fill(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("insert into lq_schema values (99, '0099_future', 1)")
        connection.commit()
    known = load_migrations("sqlite")[-1].version
    text = await refusal(SQLiteBackend(path), SchemaVersionError, path)
    assert f"has schema version 99, newer than {known}" in text
    assert "upgrade litestar-queues" in text


async def test_an_unmanaged_file_that_does_not_exist_is_not_made(path: Path) -> None:
    text = await refusal(SQLiteBackend(path, migrate_on_start=False), SchemaVersionError, path)
    assert "does not exist: run `litestar queues migrate`" in text
    assert not is_there(path)


async def test_a_file_locked_by_another_program_is_waited_for_and_then_reported(path: Path, impatient: None) -> None:
    await _fill(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        text = await refusal(SQLiteBackend(path), BackendUnavailableError, path)
    assert "another program holds a transaction open" in text


async def test_a_file_in_a_read_only_folder_cannot_be_written(locked_folder: Path) -> None:
    path = locked_folder / "queue.db"
    text = await refusal(SQLiteBackend(path), BackendUnavailableError, path)
    assert "(it is read-only): check that this user may write" in text


async def test_a_file_that_is_read_only_is_not_even_read_or_it_stays_so_for_the_whole_process(
    backend: SQLiteBackend, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await enqueue(backend)
    other = SQLiteBackend(path)
    monkeypatch.setattr("litestar_queues.backends.sqlite.file._may_write", lambda _: False)
    with pytest.raises(BackendUnavailableError, match="it is read-only"):
        await other.open()
    monkeypatch.undo()
    await other.open()
    await enqueue(other)
    assert (await other.statistics()).total == 2
    await other.close()


async def test_a_file_cannot_be_made_in_a_read_only_folder(locked_folder: Path) -> None:
    path = locked_folder / "new.db"
    text = await refusal(SQLiteBackend(path), BackendUnavailableError, path)
    assert "this user may write there" in text


async def test_a_backend_that_could_not_open_opens_once_the_reason_is_gone(tmp_path: Path) -> None:
    backend = SQLiteBackend(tmp_path / "later" / "queue.db")
    with pytest.raises(BackendUnavailableError):
        await backend.open()
    (tmp_path / "later").mkdir()
    await backend.open()
    await enqueue(backend)
    await backend.close()


# on the way


async def test_a_lock_that_lasts_too_long_is_reported_and_nothing_is_lost(
    backend: SQLiteBackend, path: Path, impatient: None
) -> None:
    record_id = await enqueue(backend)
    one = await claim_one(backend)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        for _ in range(2):
            with pytest.raises(BackendUnavailableError, match="another program holds a transaction open") as caught:
                await finish(backend, one, Completed(b"1"))
            assert one_sentence(caught.value, path)
        assert await status_of(backend, record_id) is TaskStatus.RUNNING
    assert await finish(backend, one, Completed(b"1"))
    await assert_balanced(backend)


async def test_all_that_wait_for_a_lock_learn_of_it(backend: SQLiteBackend, path: Path, impatient: None) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        answers = await asyncio.gather(*(enqueue(backend) for _ in range(5)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {BackendUnavailableError}
    assert len({id(answer) for answer in answers}) == 5
    assert (await backend.ledger())["enqueued"] == 0


async def test_a_file_that_went_away_without_its_log_is_not_made_anew(backend: SQLiteBackend, path: Path) -> None:
    record_id = await enqueue(backend)
    move(path, path.with_name("away.db"))
    for _ in range(2):
        with pytest.raises(BackendUnavailableError, match="was moved or deleted, but its log") as caught:
            await enqueue(backend)
        assert one_sentence(caught.value, path)
    with pytest.raises(BackendUnavailableError, match="was moved or deleted"):
        await backend.statistics()
    assert not is_there(path)
    move(path.with_name("away.db"), path)
    assert await status_of(backend, record_id) is TaskStatus.PENDING
    await assert_balanced(backend)


async def test_a_folder_that_was_moved_away_is_reported(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    backend = SQLiteBackend(folder / "queue.db", synchronous="NORMAL")
    await backend.open()
    record_id = await enqueue(backend)
    folder.rename(tmp_path / "away")
    for _ in range(2):
        with pytest.raises(BackendUnavailableError):
            await enqueue(backend)
    folder.mkdir()
    with pytest.raises(BackendUnavailableError, match="was moved or deleted: put it back"):
        await enqueue(backend)
    folder.rmdir()
    (tmp_path / "away").rename(folder)
    assert await status_of(backend, record_id) is TaskStatus.PENDING
    await backend.close()


async def test_a_file_that_was_deleted_with_its_log_is_made_anew(backend: SQLiteBackend, path: Path) -> None:
    await enqueue(backend)
    delete(path, *beside(path))
    await enqueue(backend)
    assert await backend.ledger() == {"enqueued": 1, "live": 1, "terminal": 0, "pruned": 0}


async def test_an_unmanaged_file_that_was_deleted_is_not_made_anew(path: Path) -> None:
    await _fill(path)
    backend = SQLiteBackend(path, synchronous="NORMAL", migrate_on_start=False)
    await backend.open()
    delete(path, *beside(path))
    with pytest.raises(BackendUnavailableError, match="was moved or deleted: put it back"):
        await enqueue(backend)
    assert not is_there(path)
    await backend.close()


async def test_another_file_in_its_place_is_used(backend: SQLiteBackend, path: Path) -> None:
    await enqueue(backend)
    await _fill(path.with_name("other.db"))
    delete(*beside(path))
    move(path.with_name("other.db"), path)
    await enqueue(backend)
    assert (await backend.ledger())["enqueued"] == 2


async def test_tables_that_were_dropped_are_reported_with_the_remedy(backend: SQLiteBackend, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("drop table lq_counter")
        connection.commit()
    record_id = await enqueue(backend)
    one = await claim_one(backend)
    with pytest.raises(SchemaVersionError, match="run `litestar queues migrate`") as caught:
        await finish(backend, one, Completed(None))
    assert one_sentence(caught.value, path)
    assert await status_of(backend, record_id) is TaskStatus.RUNNING


@pytest.mark.parametrize(
    "change", [{"payload": b"\xff"}, {"priority": 2**63}, {"task": "half \ud800"}, {"delay": 1e30}], ids=str
)
async def test_a_value_that_cannot_be_stored_is_refused_and_its_batch_with_it(
    backend: SQLiteBackend, change: dict[str, object]
) -> None:
    with pytest.raises(InvalidArgumentError, match="a value cannot be stored"):
        await backend.enqueue_many([make_record(), make_record(**change)])
    assert (await backend.ledger())["enqueued"] == 0
    await enqueue(backend)


async def test_one_callers_bad_value_is_not_its_neighbours(backend: SQLiteBackend, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        callers = [
            asyncio.ensure_future(backend.enqueue_many([make_record(payload=payload)]))
            for payload in (b"[[],{}]", b"\xff", b"[[1],{}]")
        ]
        done, _ = await asyncio.wait(callers, timeout=0.05)
        assert not done
        other.rollback()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert [isinstance(answer, InvalidArgumentError) for answer in answers] == [False, True, False]
    assert (await backend.ledger())["enqueued"] == 2


async def test_a_table_in_the_way_is_an_error_of_the_store(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table lq_record (mine text)")
    text = await refusal(SQLiteBackend(path), BackendError, path)
    assert "already exists" in text
