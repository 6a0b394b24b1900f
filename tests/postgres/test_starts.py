"""In: claims that are slow. Out: the next ones begin where they ended, and nothing is missed for long."""

from __future__ import annotations

import asyncio

import pytest

from litestar_queues.backends.postgres import starts
from litestar_queues.backends.postgres.backend import PostgresBackend
from litestar_queues.backends.postgres.drivers import Address
from litestar_queues.records import ClaimBatch
from tests.builders import make_record
from tests.postgres.server import Server


async def claim(backend: PostgresBackend) -> ClaimBatch:
    return await backend.claim_many(worker_id="w", queues=(), limit=1, lease=60)


@pytest.mark.parametrize(("dead", "passed_over"), [(0, True), (1_000_000, False)])
async def test_slow_claims_pass_over_the_front_only_where_there_are_many_dead_rows(
    postgres_server: Server, monkeypatch: pytest.MonkeyPatch, dead: int, passed_over: bool
) -> None:
    monkeypatch.setattr(starts, "_SLOW", 0.0)
    monkeypatch.setattr(starts, "_MANY_DEAD", dead)
    monkeypatch.setattr(starts, "_LONGEST", 1.0)
    monkeypatch.setattr(starts, "_PATIENCE", 10_000)
    backend = PostgresBackend(
        Address.from_url(postgres_server.url(), pooled=False), prefix=postgres_server.new_prefix(), notifications=False
    )
    await backend.open()
    try:
        for _ in range(4):
            await backend.enqueue_many([make_record()])
            assert len((await claim(backend)).claims) == 1
        urgent = make_record(priority=5)
        await backend.enqueue_many([urgent])
        batch = await claim(backend)
        assert [one.id for one in batch.claims] == ([] if passed_over else [urgent.id])
        if passed_over:
            assert batch.next_due_in is not None
            await asyncio.sleep(batch.next_due_in + 0.01)
            assert [one.id for one in (await claim(backend)).claims] == [urgent.id]
    finally:
        await backend.close()
