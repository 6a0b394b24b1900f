"""In: a connection. Out: a schema that fits this release, or a sentence that says why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from litestar_queues.errors import SchemaVersionError

if TYPE_CHECKING:
    from litestar_queues.backends.postgres.drivers import Connection
    from litestar_queues.backends.postgres.statements import Statements

__all__ = ("check_schema", "ddl", "migrate", "pending")


async def migrate(connection: Connection, sql: Statements) -> list[str]:
    """Apply what the schema lacks, all or none, one process at a time; the names of what was applied."""
    await connection.run(sql["begin"])
    await connection.run(sql["lock_schema"])
    version = await _version(connection, sql)
    _refuse_newer(version, sql)
    if sql.schema is not None and not (await connection.run(sql["namespace_exists"], sql.schema))[0][0]:
        await connection.run_script(f"create schema if not exists {sql.schema}")
    lacking = sql.migrations[version:]
    for migration in lacking:
        await connection.run_script(migration.sql)
        await connection.run(sql["schema_applied"], migration.version, migration.name)
    await connection.run(sql["commit"])
    return [migration.name for migration in lacking]


async def pending(connection: Connection, sql: Statements) -> list[str]:
    """Names of the migrations that the schema lacks."""
    return [migration.name for migration in sql.migrations[await _version(connection, sql) :]]


async def check_schema(connection: Connection, sql: Statements) -> None:
    """Refuse a schema that does not fit.

    Raises:
        SchemaVersionError: It is missing, older or newer.
    """
    version = await _version(connection, sql)
    _refuse_newer(version, sql)
    needed = sql.migrations[-1].version
    if version < needed:
        there = f"have schema version {version}" if version else "are missing"
        msg = (
            f"the queue's tables {sql.prefix}* {there}, and this release needs {needed}: run `litestar queues migrate`"
        )
        raise SchemaVersionError(msg)


def ddl(sql: Statements) -> str:
    """The whole schema as text, with the notes of what was applied."""
    parts = [f"create schema if not exists {sql.schema};\n"] if sql.schema else []
    for item in sql.migrations:
        applied = sql["schema_applied"].replace("$1", str(item.version)).replace("$2", f"'{item.name}'")
        parts += [item.sql, f"-- Note that it was applied.\n{applied};\n"]
    return "\n".join(parts)


async def _version(connection: Connection, sql: Statements) -> int:
    if not (await connection.run(sql["schema_exists"]))[0][0]:
        return 0
    return (await connection.run(sql["schema_version"]))[0][0] or 0


def _refuse_newer(version: int, sql: Statements) -> None:
    known: Sequence[object] = sql.migrations
    if version > len(known):
        msg = (
            f"the queue's tables {sql.prefix}* have schema version {version}, newer than {len(known)}, "
            "the latest that this release knows: upgrade litestar-queues"
        )
        raise SchemaVersionError(msg)
