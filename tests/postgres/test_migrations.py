"""In: a database in any state. Out: the schema of this release, made once, or a sentence that says why not."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from litestar_queues.backends.migrations import load_migrations
from litestar_queues.backends.postgres.statements import Statements
from litestar_queues.errors import (
    BackendUnavailableError,
    InvalidArgumentError,
    QueueConfigurationError,
    SchemaVersionError,
)
from litestar_queues.outcomes import Completed
from tests.contract.laws import claim, enqueue, run_one
from tests.postgres.conftest import Area
from tests.worker.harness import within

ALL = [migration.name for migration in load_migrations("postgres")]
ROOT = Path(__file__).parents[2]


async def shape(admin: Any, schema: str) -> dict[str, list[tuple[Any, ...]]]:
    """Columns, indexes and storage settings of a schema."""
    columns = """
        select table_name, column_name, ordinal_position, data_type, is_nullable, column_default
        from information_schema.columns where table_schema = $1 order by 1, 3
    """
    indexes = """
        select tablename, indexname, replace(indexdef, schemaname || '.', '') from pg_indexes where schemaname = $1
        order by 1, 2
    """
    options = "select relname, reloptions from pg_class where relnamespace = $1::regnamespace order by 1"
    return {text: [tuple(row) for row in await admin.fetch(text, schema)] for text in (columns, indexes, options)}


@pytest.fixture
async def root(area: Area) -> Any:
    return await area.connect()


# what is applied


async def test_an_empty_database_gets_every_migration_and_the_second_time_none(area: Area) -> None:
    backend = area.backend()
    assert list(await backend.pending_migrations()) == ALL
    with pytest.raises(BackendUnavailableError, match="not open"):
        await backend.ledger()
    assert list(await backend.migrate()) == ALL
    assert list(await backend.pending_migrations()) == []
    assert list(await backend.migrate()) == []
    await enqueue(await area.open(migrate_on_start=False))


async def test_opening_migrates_unless_it_must_not(area: Area) -> None:
    strict = area.backend(migrate_on_start=False)
    with pytest.raises(
        SchemaVersionError, match=r"the queue's tables .*lq_\* are missing, .*`litestar queues migrate`"
    ):
        await strict.open()
    with pytest.raises(BackendUnavailableError, match="not open"):
        await strict.ledger()
    await area.open()
    await strict.open()
    await strict.close()


async def test_a_schema_of_the_release_before_is_brought_up_to_date_with_its_records(area: Area, root: Any) -> None:
    backend = area.backend()
    sql = backend._sql
    await root.execute(f"create schema {area.schema}")
    await root.execute(sql.migrations[0].sql)
    await root.execute(sql["schema_applied"].replace("$1", "1").replace("$2", f"'{ALL[0]}'"))
    with pytest.raises(SchemaVersionError, match=rf"have schema version 1, and this release needs {len(ALL)}"):
        await area.backend(migrate_on_start=False).open()
    assert list(await backend.pending_migrations()) == ALL[1:]
    assert list(await backend.migrate()) == ALL[1:]
    fresh = Area(area.server, area.driver, area._stack)
    await fresh.open()
    assert await shape(root, area.schema) == await shape(root, fresh.schema)


def test_migrations_only_add_so_that_workers_of_the_release_before_go_on() -> None:
    for dialect in ("postgres", "sqlite"):
        for migration in load_migrations(dialect)[1:]:
            code = re.sub(r"--[^\n]*", "", migration.sql)
            statements = [" ".join(statement.split()) for statement in code.split(";") if statement.strip()]
            adds = re.compile(r"create (table|index) |alter table \w+ add column \w+ \w+ not null default \w+$")
            assert [text for text in statements if not adds.match(text)] == []


async def test_a_newer_schema_is_refused_and_left_alone(area: Area, root: Any) -> None:
    await area.backend().migrate()
    await root.execute("insert into lq_schema (version, name) values (99, 'later')")
    for backend in (area.backend(), area.backend(migrate_on_start=False)):
        with pytest.raises(SchemaVersionError, match=r"version 99, newer than .* upgrade litestar-queues"):
            await backend.open()
    with pytest.raises(SchemaVersionError, match="newer than"):
        await area.backend().migrate()
    assert await root.fetchval("select max(version) from lq_schema") == 99


async def test_eight_at_once_apply_each_migration_once(area: Area) -> None:
    backends = [area.backend() for _ in range(8)]
    async with within():
        applied = await asyncio.gather(*(backend.migrate() for backend in backends))
    assert sorted(map(list, applied)) == [[]] * 7 + [ALL]


async def test_eight_that_open_an_empty_database_at_once_all_find_it_ready(area: Area) -> None:
    async with within():
        backends = await asyncio.gather(*(area.open() for _ in range(8)))
        await asyncio.gather(*(enqueue(backend) for backend in backends))


MIGRATE = """
import asyncio, sys
from litestar_queues.backends.postgres import Address, PostgresBackend
backend = PostgresBackend(Address.from_url(sys.argv[1], pooled=False), prefix=sys.argv[2])
print("ready", flush=True)
sys.stdin.read()  # all begin together
print(len(asyncio.run(backend.migrate())))
"""


async def test_several_processes_at_once_apply_each_migration_once(area: Area) -> None:
    command = [sys.executable, "-c", MIGRATE, area.server.url(area.driver), area.prefix]
    pipe = asyncio.subprocess.PIPE
    processes = [await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    answers = await asyncio.gather(*(process.communicate(b"go") for process in processes))
    assert sorted(int(out) for out, _ in answers) == [0, 0, 0, len(ALL)]


async def test_a_migration_that_fails_leaves_nothing_behind(
    area: Area, root: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = Statements(area.prefix).migrations
    broken = [good[0], good[1]._replace(sql="create table lq_schedule (); select 1 / 0")]
    monkeypatch.setattr(Statements, "migrations", broken)
    with pytest.raises(InvalidArgumentError, match="division by zero"):
        await area.backend().migrate()
    monkeypatch.undo()
    assert await root.fetchval("select to_regnamespace($1)", area.schema) is None
    assert list(await area.backend().migrate()) == ALL


# by hand


async def test_the_printed_sql_makes_the_same_schema(area: Area, root: Any) -> None:
    printed, applied = area, Area(area.server, area.driver, area._stack)
    await asyncio.to_thread(area.server.run, printed.backend().migration_sql())
    await applied.backend().migrate()
    assert await shape(root, printed.schema) == await shape(root, applied.schema)
    assert list(await printed.backend().pending_migrations()) == []
    await run_one(await printed.open(migrate_on_start=False), Completed(None))


@pytest.mark.parametrize("prefix", ["{0}.", "{0}.queue_of_the_web_app_"])
async def test_a_prefix_may_be_a_schema_alone_or_any_name_in_it(area: Area, root: Any, prefix: str) -> None:
    area.prefix = prefix.format(area.schema)
    if area.prefix.endswith("."):
        with pytest.raises(QueueConfigurationError, match="postgres_prefix"):
            area.backend()
        return
    backend = await area.open()
    await run_one(backend, Completed(None))
    tables = await root.fetch("select table_name from information_schema.tables where table_schema = $1", area.schema)
    assert {row[0] for row in tables} == {
        f"queue_of_the_web_app_{name}"
        for name in ("schema", "live", "done", "count", "schedule", "tick", "worker", "pause", "tally")
    }


async def test_two_prefixes_live_in_one_schema_and_do_not_see_each_other(area: Area) -> None:
    first = await area.open()
    area.prefix = f"{area.schema}.other_"
    second = await area.open()
    await enqueue(first)
    assert (await second.statistics()).total == 0
    await enqueue(second)
    assert (len(await claim(first)), len(await claim(second))) == (1, 1)


async def test_a_read_only_database_is_an_outage_where_it_lacks_the_tables(area: Area, root: Any) -> None:
    role = f"reader_{area.schema}"
    await root.execute(f"create role {role} login superuser")
    await root.execute(f"alter role {role} set default_transaction_read_only = on")
    url = area.server.url(area.driver).replace("//postgres@", f"//{role}@")
    for verb in ("open", "migrate"):
        with pytest.raises(BackendUnavailableError, match="it is read-only: a standby"):
            await getattr(area.backend(url=url), verb)()
    await area.backend().migrate()
    backend = await area.open(url=url)
    assert (await backend.statistics()).total == 0
