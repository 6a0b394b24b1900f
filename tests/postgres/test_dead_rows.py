"""In: 20,000 dead rows that a transaction which somebody left open keeps. Out: plans that do not go through them all.

The planner counts live rows and pages, so after an analyze it takes a walk through the whole index of ids for as short
as looking a few of them up.
"""

from __future__ import annotations

import os

import pytest

from litestar_queues.backends.postgres import Address, PostgresBackend
from litestar_queues.backends.postgres.statements import Statements
from tests.postgres.plans import SETTINGS, explain, nodes
from tests.postgres.server import Server
from tests.postgres.test_plans import STATEMENTS, connect

CHURN = """
    insert into lq_live (
        id, task, queue, status, rank, due_at, created_at, max_attempts, payload, token, lease_until, worker_id
    )
    select gen_random_uuid(), 'greet', 'q', 'running', 0, now(), now(), 1, '[[],{}]', n, now(), 'worker:1'
    from generate_series(1, 20000) as n
"""
BY_ID = (
    "finish alone", "insert_alike", "insert_many_alike", "insert_keyed", "end_many", "give_back_many", "renew_many",
    "save_progress", "expire_many", "cancel_many",
)  # fmt: skip


@pytest.mark.parametrize("live", [20, 0])
async def test_records_are_looked_up_by_their_ids_where_dead_rows_cannot_be_removed(
    postgres_server: Server, live: int
) -> None:
    database = f"dead_{live}_{os.getpid()}"
    postgres_server.run(f"create database {database}")
    backend = PostgresBackend(Address.from_url(postgres_server.url(database=database), pooled=False))
    await backend.migrate()
    url = postgres_server.url(database=database)
    left_open, connection = await connect(url, "public", {}), await connect(url, "public", SETTINGS)
    await left_open.execute("begin isolation level repeatable read; select from lq_live")
    await connection.execute(CHURN)
    await connection.execute("delete from lq_live where token > $1", live)
    await connection.execute("vacuum analyze lq_live")
    assert await connection.fetchval("select pg_relation_size('lq_live')") > 1_000_000
    walks = {}
    for case in BY_ID:
        name, arguments = STATEMENTS[case]
        plan = await explain(connection, Statements("lq_")[name], arguments, generic=True)
        walks[case] = [
            node for node in nodes(plan) if node.get("Index Name") == "lq_live_pkey" and "Index Cond" not in node
        ]
    assert walks == {case: [] for case in BY_ID}
    await left_open.close()
    await connection.close()
