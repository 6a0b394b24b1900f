"""In: producers that want the same keys at once. Out: an order in which they wait for each other, and no deadlock."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from litestar_queues.backends.postgres import Address, PostgresBackend, drivers
from litestar_queues.backends.postgres.enqueue import insert
from litestar_queues.backends.postgres.statements import Statements
from tests.builders import make_record
from tests.postgres.conftest import Area, blocked_pid
from tests.worker.harness import until_found

END_OF_K = """
with ended as (delete from lq_live where key = 'k' returning *)
insert into lq_done (
    id, task, queue, status, rank, due_at, created_at, attempt, max_attempts, lost_leases, cancel_requested,
    completed_at, key, unique_until, payload
)
select
    id, task, queue, 'completed', rank, due_at, created_at, 1, max_attempts, 0, false, now(), key, unique_until, payload
from ended
"""


async def test_a_holder_that_ends_while_an_enqueue_waits_for_its_key_still_holds_it_by_its_window(
    backend: PostgresBackend, area: Area, admin: Any
) -> None:
    (holder,) = await backend.enqueue_many([make_record(key="k", unique_for=3600.0)])
    worker = await area.connect()
    transaction = worker.transaction()
    await transaction.start()
    await worker.execute(END_OF_K)
    calling = asyncio.create_task(backend.enqueue_many([make_record(key="j"), make_record(key="k")]))
    await blocked_pid(admin, area)
    await transaction.commit()
    other, second = await calling
    assert other.created
    assert (second.id, second.created) == (holder.id, False)
    assert (await backend.ledger())["live"] == 1


async def test_a_transaction_whose_client_vanished_gives_its_keys_back(backend: PostgresBackend, area: Area) -> None:
    address = Address.from_url(area.server.url(area.driver), pooled=False)
    vanished = await drivers.connect(replace(address, patience=0.5), application="vanished")
    sql = Statements(area.prefix)
    await vanished.run("begin")
    await insert(vanished, sql, [make_record(key="k")], now=None, channel=None)
    (mine,) = await backend.enqueue_many([make_record(key="k")])  # waits for the other to end
    assert mine.created
    vanished.cut()


async def test_keys_are_taken_in_one_order_whatever_the_order_of_the_call(
    backend: PostgresBackend, area: Area, admin: Any
) -> None:
    async def are_blocked(number: int) -> bool:
        waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like $1"
        return int(await admin.fetchval(waiting, f"%{area.schema}%")) == number

    first, second = await area.open(), await area.open()
    await backend.enqueue_many([make_record(key="z")])
    blocker = await area.connect()
    transaction = blocker.transaction()
    await transaction.start()
    await blocker.execute("update lq_live set key = 'b'")
    calls = [asyncio.create_task(first.enqueue_many([make_record(key="b"), make_record(key="a")]))]
    await until_found(lambda: are_blocked(1))
    calls.append(asyncio.create_task(second.enqueue_many([make_record(key="a")])))
    await until_found(lambda: are_blocked(2))  # it waits for the first, which has "a" and waits for "b"
    await transaction.rollback()
    answers = await asyncio.gather(*calls)
    assert [[one.created for one in answer] for answer in answers] == [[True, True], [False]]
