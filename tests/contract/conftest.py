"""In: a table of stores. Out: each contract test once for every one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest

from litestar_queues.backends.base import QueueBackend
from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.backends.postgres import Address, PostgresBackend
from litestar_queues.backends.sqlite import SQLiteBackend
from litestar_queues.clock import Clock
from tests.builders import FakeClock
from tests.postgres.roles import make_roles, make_tables

Store = Callable[[pytest.FixtureRequest, Clock], Callable[[], QueueBackend]]
"""Makes the function that makes a backend, not opened yet; called twice it makes two on one store, where it can."""


def memory(_: pytest.FixtureRequest, clock: Clock) -> Callable[[], QueueBackend]:
    return lambda: MemoryBackend(clock=clock)


def sqlite(request: pytest.FixtureRequest, clock: Clock) -> Callable[[], QueueBackend]:
    path = request.getfixturevalue("tmp_path") / f"{uuid4().hex}.db"
    return lambda: SQLiteBackend(path, synchronous="NORMAL", clock=clock)


def postgres(driver: str) -> Store:
    """As the app's role of the page, which owns no table: what the laws need, its rights suffice for."""

    def store(request: pytest.FixtureRequest, clock: Clock) -> Callable[[], QueueBackend]:
        server = request.getfixturevalue("postgres_server")
        prefix = server.new_prefix()
        roles = make_roles(server, prefix.partition(".")[0], driver)
        make_tables(roles.owner, prefix)
        address = Address.from_url(roles.app, pooled=False)
        return lambda: PostgresBackend(address, prefix=prefix, migrate_on_start=False, clock=clock)

    return store


STORES: dict[str, Store] = {
    "memory": memory,
    "sqlite": sqlite,
    "asyncpg": postgres("asyncpg"),
    "psycopg": postgres("psycopg"),
}


@pytest.fixture(params=STORES)
def make_backend(request: pytest.FixtureRequest, clock: FakeClock) -> Callable[[], QueueBackend]:
    return STORES[request.param](request, clock)


@pytest.fixture
async def backend(make_backend: Callable[[], QueueBackend]) -> AsyncIterator[QueueBackend]:
    backend = make_backend()
    await backend.open()
    yield backend
    await backend.close()
