"""In: migrations. Out: one schema, whichever way and by how many processes it was reached."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from litestar_queues.backends.migrations import load_migrations
from litestar_queues.backends.sqlite import SQLiteBackend
from litestar_queues.errors import SchemaVersionError
from litestar_queues.ids import new_id
from litestar_queues.outcomes import Completed, Completion

pytestmark = pytest.mark.anyio

NAMES = [migration.name for migration in load_migrations("sqlite")]


def schema_of(path: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute("select name, sql from sqlite_master where sql is not null order by name").fetchall()
    finally:
        connection.close()
    return [(name, " ".join(sql.split())) for name, sql in rows]


def run_script(path: Path, script: str) -> None:
    connection = sqlite3.connect(path)
    try:
        connection.executescript(script)
    finally:
        connection.close()


def apply_first(path: Path, how_many: int) -> None:
    for migration in load_migrations("sqlite")[:how_many]:
        run_script(path, migration.sql)
        run_script(path, f"insert into lq_schema values ({migration.version}, '{migration.name}', 1)")


async def test_the_printed_ddl_makes_the_same_schema_as_the_migrations(tmp_path: Path) -> None:
    backend = SQLiteBackend(tmp_path / "migrated.db")
    await backend.open()
    await backend.close()
    run_script(tmp_path / "by-hand.db", backend.migration_sql())
    assert schema_of(tmp_path / "migrated.db") == schema_of(tmp_path / "by-hand.db")


async def test_a_second_open_applies_nothing(tmp_path: Path) -> None:
    backend = SQLiteBackend(tmp_path / "queue.db")
    assert await backend.pending_migrations() == NAMES
    assert not (tmp_path / "queue.db").exists()
    assert await backend.migrate() == NAMES
    assert await backend.migrate() == []
    assert await backend.pending_migrations() == []


async def test_records_of_the_version_before_live_on_after_the_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    apply_first(path, len(NAMES) - 1)
    record_id = new_id()
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(
            "insert into lq_record (id, task, queue, status, priority, due_at, created_at, max_attempts, payload)"
            " values (?, 'greet', 'default', 'pending', 0, 1, 1, 1, '[[\"you\"],{}]')",
            (record_id.bytes,),
        )
    connection.close()
    backend = SQLiteBackend(path)
    assert await backend.pending_migrations() == NAMES[-1:]
    await backend.open()
    try:
        (claim,) = (await backend.claim_many(worker_id="w:1", queues=(), limit=9, lease=60)).claims
        assert (claim.id, claim.payload) == (record_id, b'[["you"],{}]')
        assert await backend.finish_many([Completion(claim.id, claim.token, Completed(None))]) == []
        assert await backend.list_schedules() == []
        assert await backend.ledger() == {"enqueued": 1, "live": 0, "terminal": 1, "pruned": 0}
    finally:
        await backend.close()
    fresh = SQLiteBackend(tmp_path / "fresh.db")
    await fresh.migrate()
    assert schema_of(path) == schema_of(tmp_path / "fresh.db")


@pytest.mark.parametrize("how_many", range(len(NAMES)))
async def test_an_unmanaged_schema_that_is_behind_names_the_command(tmp_path: Path, how_many: int) -> None:
    path = tmp_path / "queue.db"
    apply_first(path, how_many)
    backend = SQLiteBackend(path, migrate_on_start=False)
    with pytest.raises(SchemaVersionError, match="litestar queues migrate"):
        await backend.open()
    await backend.migrate()
    await backend.open()
    await backend.close()


async def test_a_schema_of_a_later_release_is_refused(tmp_path: Path) -> None:
    backend = SQLiteBackend(tmp_path / "queue.db")
    await backend.migrate()
    run_script(tmp_path / "queue.db", "insert into lq_schema values (99, '0099_future', 1)")
    for attempt in (backend.open, backend.migrate, backend.pending_migrations):
        with pytest.raises(SchemaVersionError, match="upgrade litestar-queues"):
            await attempt()


async def test_a_migration_that_breaks_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    apply_first(path, 1)
    run_script(path, "create table lq_tick (mine text)")  # in the way of the second migration
    before = schema_of(path)
    with pytest.raises(Exception, match="lq_tick"):
        await SQLiteBackend(path).open()
    assert schema_of(path) == before


_STARTER = """
import asyncio, sys
from litestar_queues.backends.sqlite import SQLiteBackend
from litestar_queues.ids import new_id
from litestar_queues.records import NewRecord

async def main():
    sys.stdin.read(1)
    backend = SQLiteBackend(sys.argv[1])
    await backend.open()
    for _ in range(20):
        await backend.enqueue_many([NewRecord(new_id(), "t", b"[[],{}]")])
    await backend.close()

asyncio.run(main())
"""


@pytest.mark.process
async def test_six_processes_that_start_at_once_share_one_schema_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    command = [sys.executable, "-c", _STARTER, str(path)]
    starters = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(6)]  # noqa: ASYNC220
    for starter in starters:
        assert starter.stdin is not None
        starter.stdin.write("go")
        starter.stdin.flush()
    errors = [starter.communicate(timeout=30)[1] for starter in starters]
    assert errors == [""] * 6
    backend = SQLiteBackend(path, migrate_on_start=False)
    await backend.open()
    try:
        assert await backend.ledger() == {"enqueued": 120, "live": 120, "terminal": 0, "pruned": 0}
    finally:
        await backend.close()
    connection = sqlite3.connect(path)
    assert [row[0] for row in connection.execute("select name from lq_schema order by version")] == NAMES
    connection.close()
