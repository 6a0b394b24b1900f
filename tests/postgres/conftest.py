"""In: the server of the run. Out: a database area for each test, backends on it, and an administrator's connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

from litestar_queues.backends.postgres import Address, PostgresBackend
from tests.postgres.server import Server
from tests.worker.harness import until_found

DRIVERS = ("asyncpg", "psycopg")


class Area:
    """The tables of one test."""

    def __init__(self, server: Server, driver: str, stack: AsyncExitStack) -> None:
        self.server = server
        self.driver = driver
        self.prefix = server.new_prefix()
        self.schema = self.prefix.partition(".")[0]
        self._stack = stack

    def backend(self, *, url: str | None = None, pooled: bool = False, **options: Any) -> PostgresBackend:
        """A backend that is not opened yet."""
        address = Address.from_url(url or self.server.url(self.driver), pooled=pooled)
        return PostgresBackend(address, **{"prefix": self.prefix, **options})

    async def open(self, **options: Any) -> PostgresBackend:
        """A backend that is open until the test ends."""
        backend = self.backend(**options)
        await backend.open()
        self._stack.push_async_callback(backend.close)
        return backend

    async def connect(self, **settings: str) -> Any:
        """A connection that finds the tables by ``lq_...``, open until the test ends."""
        connection = await asyncpg.connect(
            self.server.url().replace("+asyncpg", ""), server_settings={"search_path": self.schema, **settings}
        )
        self._stack.callback(connection.terminate)
        return connection


async def blocked_pid(admin: Any, area: Area) -> int:
    """The server's process for one of ours that waits for a lock; waits until there is one."""
    pid = await until_found(
        lambda: admin.fetchval(
            "select pid from pg_stat_activity where wait_event_type = 'Lock' and query like $1 limit 1",
            f"%{area.schema}%",
        )
    )
    return int(pid)


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def area(postgres_server: Server, driver: str) -> AsyncIterator[Area]:
    async with AsyncExitStack() as stack:
        yield Area(postgres_server, driver, stack)


@pytest.fixture
async def backend(area: Area) -> PostgresBackend:
    return await area.open()


@pytest.fixture
async def admin(area: Area, backend: PostgresBackend) -> Any:
    return await area.connect()
