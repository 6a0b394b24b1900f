"""In: odd defaults of a database, and transactions that see little. Out: the same answers, or a refusal."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

from litestar_queues.backends.postgres import Address, drivers
from litestar_queues.backends.postgres.statements import Statements
from litestar_queues.errors import InvalidArgumentError
from litestar_queues.outcomes import Completed
from tests.builders import make_record
from tests.contract.laws import assert_balanced, claim, enqueue, get, run_one
from tests.postgres.conftest import Area, blocked_pid
from tests.postgres.roles import plain
from tests.postgres.test_contended_keys import END_OF_K

DEFAULTS = {
    "default_transaction_isolation": "serializable",
    "datestyle": "German, DMY",
    "timezone": "Asia/Kathmandu",
    "intervalstyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "client_encoding": "LATIN1",
    "standard_conforming_strings": "off",
}


@pytest.fixture
async def odd(area: Area) -> str:
    """The url of a user whose sessions begin with other settings than one is used to."""
    root, role = await area.connect(), f"odd_{area.schema}"
    await root.execute(f"create role {role} login superuser")
    for name, value in DEFAULTS.items():
        await root.execute(f"alter role {role} set {name} = '{value}'")
    return area.server.url(area.driver).replace("//postgres@", f"//{role}@")


@pytest.mark.parametrize("pooled", [False, True])
async def test_defaults_of_a_database_change_no_answer(area: Area, odd: str, pooled: bool) -> None:
    backend = await area.open(url=odd, pooled=pooled, notifications=not pooled)
    ours = await area.open()
    record_id = await enqueue(backend, payload='[["Grüße 😀"],{}]'.encode(), timeout=12.345678, delay=-1.5)
    assert await get(backend, record_id) == await get(ours, record_id)
    [claimed] = await claim(backend)
    assert (claimed.payload.decode(), claimed.timeout) == ('[["Grüße 😀"],{}]', 12.345678)
    await run_one(backend, Completed(None), key="k", unique_for=60)
    await assert_balanced(backend)


@pytest.mark.parametrize("pooled", [False, True])
async def test_a_window_is_seen_whatever_the_default_isolation(area: Area, odd: str, admin: Any, pooled: bool) -> None:
    backend = await area.open(url=odd, pooled=pooled, notifications=not pooled)
    (holder,) = await backend.enqueue_many([make_record(key="k", unique_for=3600.0)])
    worker = await area.connect()
    async with worker.transaction():
        await worker.execute(END_OF_K)
        calling = asyncio.create_task(backend.enqueue_many([make_record(key="j"), make_record(key="k")]))
        await blocked_pid(admin, area)
    _, second = await calling
    assert (second.id, second.created) == (holder.id, False)


async def test_statements_outside_a_transaction_see_what_was_committed_too(area: Area, odd: str) -> None:
    connection = await drivers.connect(Address.from_url(odd, pooled=False), application="odd")
    assert (await connection.run(Statements(area.prefix)["isolation"]))[0][0] == "read committed"
    await connection.close()


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
async def test_a_callers_transaction_that_sees_no_windows_is_refused_a_record_that_has_one(
    area: Area, isolation: str
) -> None:
    backend = await area.open()
    connection = await asyncpg.connect(plain(area.server.url()))
    try:
        async with connection.transaction(isolation=isolation):
            with pytest.raises(InvalidArgumentError, match=r"unique_for cannot .* use READ COMMITTED"):
                await backend.enqueue_many([make_record(key="k", unique_for=60)], connection=connection)
            await backend.enqueue_many([make_record(key="k")], connection=connection)
    finally:
        await connection.close()
    assert (await backend.ledger())["enqueued"] == 1
