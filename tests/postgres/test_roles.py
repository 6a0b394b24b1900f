"""In: the roles of the page. Out: each may do what the page says, and nothing else."""

from __future__ import annotations

from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

from litestar_queues.backends.migrations import load_migrations
from litestar_queues.errors import QueueConfigurationError
from litestar_queues.outcomes import Completed
from litestar_queues.records import RecordFilter
from litestar_queues.status import TaskStatus
from tests.builders import make_report
from tests.contract.laws import assert_balanced, claim, enqueue, run_one
from tests.postgres.conftest import Area
from tests.postgres.roles import Roles, make_roles, make_tables, plain

ALL = [migration.name for migration in load_migrations("postgres")]


@pytest.fixture
async def root(area: Area) -> Any:
    return await area.connect()


@pytest.fixture
def roles(area: Area) -> Roles:
    return make_roles(area.server, area.schema, area.driver)


async def test_the_grants_of_the_page_let_the_owner_migrate_and_the_app_work(area: Area, roles: Roles) -> None:
    assert list(await area.backend(url=roles.owner).migrate()) == ALL
    backend = await area.open(url=roles.app)  # with migrate_on_start, where there is nothing to do
    await run_one(backend, Completed(None))  # for the other verbs see the contract tests, which run as the app


async def test_the_app_may_not_make_tables_and_is_told_what_it_lacks(area: Area, roles: Roles, root: Any) -> None:
    with pytest.raises(QueueConfigurationError, match=r"refuses this user \(permission denied") as caught:
        await area.open(url=roles.app)
    assert "\n" not in str(caught.value)
    await area.backend().migrate()  # by another user than the one whose tables are granted
    with pytest.raises(QueueConfigurationError, match="grant it the rights that the docs list"):
        await area.open(url=roles.app)


async def test_the_owner_may_apply_what_migrate_prints(area: Area, roles: Roles) -> None:
    make_tables(roles.owner, area.prefix)
    assert list(await area.backend(url=roles.owner).pending_migrations()) == []
    await run_one(await area.open(url=roles.app, migrate_on_start=False), Completed(None))


RIGHTS = """
    select relname, array(
        select privilege from unnest(string_to_array('SELECT INSERT UPDATE DELETE TRUNCATE REFERENCES TRIGGER', ' '))
            as privilege where has_table_privilege($1, pg_class.oid, privilege)
    )
    from pg_class where relnamespace = $2::regnamespace and relkind in ('r', 'p', 'S', 'v')
"""
LIMITS = """
    select has_schema_privilege($1, $2, 'CREATE'), has_database_privilege($1, current_database(), 'CREATE'),
        rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls,
        exists (select from pg_auth_members where member = pg_roles.oid)
    from pg_roles where rolname = $1
"""


async def test_each_role_has_the_rights_that_the_page_names_and_no_others(area: Area, roles: Roles, root: Any) -> None:
    make_tables(roles.owner, area.prefix)
    for role, rights in (("app", ["SELECT", "INSERT", "UPDATE", "DELETE"]), ("reader", ["SELECT"])):
        found = dict(await root.fetch(RIGHTS, f"{role}_{area.schema}", area.schema))
        assert len(found) >= 9
        assert [table for table, has in found.items() if has != rights] == []
        assert not any(await root.fetchrow(LIMITS, f"{role}_{area.schema}", area.schema))


@pytest.mark.parametrize(
    "statement",
    [
        "create table {0}.mine (x int)",
        "drop table {0}.lq_live",
        "alter table {0}.lq_live add column x int",
        "create index on {0}.lq_live (task)",
        "truncate {0}.lq_done",
        "create function {0}.f() returns int language sql as 'select 1'",
        "create trigger t before insert on {0}.lq_live execute function suppress_redundant_updates_trigger()",
        "grant select on {0}.lq_live to public",
        "copy {0}.lq_live to program 'id'",
        "create schema other",
    ],
)
async def test_the_app_may_change_records_and_nothing_else(area: Area, roles: Roles, root: Any, statement: str) -> None:
    make_tables(roles.owner, area.prefix)
    connection = await asyncpg.connect(plain(roles.app))
    try:
        if statement.startswith("grant"):  # PostgreSQL warns, and grants nothing
            await connection.execute(statement.format(area.schema))
            assert not await root.fetchval("select has_table_privilege('pg_monitor', $1, 'select')", "lq_live")
        else:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement.format(area.schema))
    finally:
        await connection.close()


async def test_who_only_looks_reads_counts_records_and_fleet_and_writes_nothing(area: Area, roles: Roles) -> None:
    make_tables(roles.owner, area.prefix)
    record_id = await enqueue(await area.open(url=roles.app))
    reader = await area.open(url=roles.reader, migrate_on_start=False)
    assert (await reader.statistics()).pending == 1
    assert [depth.pending for depth in await reader.queue_depths()] == [1]
    assert [record.id for record in await reader.list_records(RecordFilter())] == [record_id]
    await reader.canary_completed_at()
    await reader.list_schedules()
    await reader.list_workers()
    await reader.paused_queues()
    await reader.list_tallies(seconds=60)
    for call in (
        enqueue(reader), claim(reader), reader.cancel_many([record_id]), reader.pause_queue("a"),
        reader.prune_many(TaskStatus.COMPLETED, older_than=1, limit=1), reader.report_worker(make_report(), lease=60),
    ):  # fmt: skip
        with pytest.raises(QueueConfigurationError, match="permission denied"):
            await call
    await assert_balanced(reader)
