"""In: claims that are slow. Out: the next ones begin where they ended, and nothing is missed for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import count

import pytest

from litestar_queues.backends.postgres import starts
from litestar_queues.backends.postgres.backend import PostgresBackend
from litestar_queues.backends.postgres.drivers import Address
from litestar_queues.records import ClaimBatch
from tests.builders import make_record
from tests.postgres.server import Server


async def claim(backend: PostgresBackend, queues: Sequence[str] = (), limit: int = 1) -> ClaimBatch:
    return await backend.claim_many(worker_id="w", queues=queues, limit=limit, lease=60)


@pytest.fixture
async def backend(postgres_server: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PostgresBackend]:
    """One for whom every claim is slow."""
    monkeypatch.setattr(starts, "_SLOW", 0.0)
    address = Address.from_url(postgres_server.url(), pooled=False)
    one = PostgresBackend(address, prefix=postgres_server.new_prefix(), notifications=False)
    await one.open()
    yield one
    await one.close()


async def claim_some(backend: PostgresBackend) -> None:
    for _ in range(4):
        await backend.enqueue_many([make_record()])
        assert len((await claim(backend)).claims) == 1


async def looked_at(backend: PostgresBackend, queues: Sequence[str] = ()) -> None:
    """Wait for a look to end, while nothing is there to claim."""
    async with asyncio.timeout(30):
        while not (await claim(backend, queues)).next_due_in:  # noqa: ASYNC110 - that its end is told is not sure
            await asyncio.sleep(0.01)


async def test_claims_begin_at_the_front_where_there_are_few_dead_rows(backend: PostgresBackend) -> None:
    await claim_some(backend)
    urgent = make_record(priority=5)
    await backend.enqueue_many([urgent])
    assert [one.id for one in (await claim(backend)).claims] == [urgent.id]


@pytest.mark.parametrize("queues", [(), ("default", "other")])
async def test_claims_pass_over_many_dead_rows_and_another_connection_looks_at_the_front(
    backend: PostgresBackend, monkeypatch: pytest.MonkeyPatch, queues: Sequence[str]
) -> None:
    monkeypatch.setattr(starts, "_MANY_DEAD", 0)
    monkeypatch.setattr(starts, "_REST", 5.0)
    await claim_some(backend)
    await looked_at(backend, queues)
    changed = asyncio.Event()
    backend.subscribe(changed.set)
    urgent, usual, elsewhere = make_record(priority=5), make_record(), make_record(queue="other")
    await backend.enqueue_many([urgent])
    await backend.enqueue_many([usual, elsewhere])
    passed_over = await claim(backend, queues)
    assert [one.id for one in passed_over.claims] == [usual.id]
    found: set[object] = set()
    async with asyncio.timeout(30):
        while found != {urgent.id, elsewhere.id}:  # the claim that comes in time has the front looked at
            changed.clear()
            batch = await claim(backend, queues)
            found |= {one.id for one in batch.claims}
            if not batch.claims:
                await (changed.wait() if batch.next_due_in is None else asyncio.sleep(batch.next_due_in))


async def test_claims_begin_at_the_front_again_once_the_dead_rows_are_gone(
    backend: PostgresBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starts, "_MANY_DEAD", 0)
    monkeypatch.setattr(starts, "_REST", 1e9)
    priorities = count(1)
    await claim_some(backend)
    await claim(backend)
    monkeypatch.setattr(starts, "_MANY_DEAD", 1_000_000)
    found_at_once = 0
    async with asyncio.timeout(30):
        while found_at_once < 3:  # the look may find one by chance
            urgent = make_record(priority=next(priorities))
            await backend.enqueue_many([urgent])
            batch = await claim(backend, limit=1_000)
            found_at_once += urgent.id in [one.id for one in batch.claims]
