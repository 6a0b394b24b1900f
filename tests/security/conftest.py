"""In: the stores that somebody else could write to. Out: a shop on each, and a way to change its rows by SQL."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from litestar_queues.backends.postgres import Address, PostgresBackend
from litestar_queues.backends.sqlite import SQLiteBackend
from tests.postgres.server import Server
from tests.worker.harness import Shop, within

Write = Callable[..., None]
"""``write(record_id, payload="{")`` sets columns of a live record."""


class Tampered(Shop):
    """A shop whose rows somebody writes by SQL."""

    write: Write


def _by_sqlite(path: Path) -> Write:
    def write(record_id: UUID, **columns: Any) -> None:
        names = ", ".join(f"{name} = ?" for name in columns)
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"update lq_record set {names} where id = ?", [*columns.values(), record_id.bytes])

    return write


def _by_postgres(server: Server, table: str) -> Write:
    def write(record_id: UUID, **columns: Any) -> None:
        names = ", ".join(f"{name} = %s" for name in columns)
        with psycopg.connect(server.url().replace("+asyncpg", "")) as connection:
            connection.execute(f"update {table} set {names} where id = %s", [*columns.values(), record_id])

    return write


@pytest.fixture(params=["sqlite", "asyncpg", "psycopg"])
async def tampered(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Tampered]:
    if request.param == "sqlite":
        backend: Any = SQLiteBackend(tmp_path / "queue.db", synchronous="NORMAL")
        write = _by_sqlite(tmp_path / "queue.db")
    else:
        server: Server = request.getfixturevalue("postgres_server")
        prefix = server.new_prefix()
        backend = PostgresBackend(Address.from_url(server.url(request.param), pooled=False), prefix=prefix)
        write = _by_postgres(server, f"{prefix}live")
    async with within(), Tampered(backend=backend) as shop:
        shop.write = write
        yield shop
