"""In: a server. Out: the transactions of an app, in every wrapping that the queue takes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlspec import SQLSpec
from sqlspec.adapters.asyncpg import AsyncpgConfig
from sqlspec.adapters.psycopg import PsycopgAsyncConfig

from tests.postgres.server import Server

__all__ = ("CALLERS", "Caller")


class Caller:
    """A transaction of the app, whichever library it uses."""

    def __init__(self, connection: Any, commit: Any, rollback: Any, wrap: Callable[[str], Any] = str) -> None:
        self.connection = connection
        self.commit = commit
        self.rollback = rollback
        self._wrap = wrap

    async def order(self, schema: str) -> None:
        """The caller's own work."""
        await self.connection.execute(self._wrap(f"insert into {schema}.orders values ('hat')"))


@asynccontextmanager
async def by_asyncpg(server: Server) -> AsyncIterator[Caller]:
    connection = await asyncpg.connect(server.url().replace("+asyncpg", ""))
    transaction = connection.transaction()
    await transaction.start()
    yield Caller(connection, transaction.commit, transaction.rollback)
    await connection.close()


@asynccontextmanager
async def by_asyncpg_pool(server: Server) -> AsyncIterator[Caller]:
    async with (
        asyncpg.create_pool(server.url().replace("+asyncpg", ""), min_size=1, max_size=1) as pool,
        pool.acquire() as connection,
    ):
        transaction = connection.transaction()
        await transaction.start()
        yield Caller(connection, transaction.commit, transaction.rollback)


@asynccontextmanager
async def by_psycopg(server: Server) -> AsyncIterator[Caller]:
    async with await psycopg.AsyncConnection.connect(server.url().replace("+asyncpg", "")) as connection:
        yield Caller(connection, connection.commit, connection.rollback)


@asynccontextmanager
async def by_psycopg_dicts(server: Server) -> AsyncIterator[Caller]:
    url = server.url().replace("+asyncpg", "")
    async with await psycopg.AsyncConnection.connect(
        url, autocommit=True, row_factory=psycopg.rows.dict_row
    ) as connection:
        await connection.execute("begin")
        yield Caller(connection, connection.commit, connection.rollback)


def by_sqlspec(config: Any) -> Open:
    @asynccontextmanager
    async def opened(server: Server) -> AsyncIterator[Caller]:
        options: dict[str, Any] = {"min_size": 1, "max_size": 1}
        name = "dsn" if config is AsyncpgConfig else "conninfo"
        made = SQLSpec().add_config(config(connection_config={name: server.url().replace("+asyncpg", ""), **options}))
        async with made.provide_session() as session:
            await session.begin()
            yield Caller(session, session.commit, session.rollback)
        await made.close_pool()

    return opened


def by_sqlalchemy(driver: str, kind: str) -> Open:
    @asynccontextmanager
    async def opened(server: Server) -> AsyncIterator[Caller]:
        engine = create_async_engine(server.url(driver))

        class MySession(AsyncSession): ...

        async with MySession(engine) if kind == "session" else engine.connect() as given:
            yield Caller(given, given.commit, given.rollback, text)
        await engine.dispose()

    return opened


Open = Callable[[Server], AbstractAsyncContextManager[Caller]]
CALLERS: dict[str, Open] = {
    "asyncpg": by_asyncpg,
    "asyncpg pool": by_asyncpg_pool,
    "psycopg": by_psycopg,
    "psycopg dicts": by_psycopg_dicts,
    "sqlspec asyncpg": by_sqlspec(AsyncpgConfig),
    "sqlspec psycopg": by_sqlspec(PsycopgAsyncConfig),
    **{
        f"sqlalchemy {driver} {kind}": by_sqlalchemy(driver, kind)
        for driver in ("asyncpg", "psycopg")
        for kind in ("session", "connection")
    },
}
