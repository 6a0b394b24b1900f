"""In: a paused queue in which 100,000 records wait and 20,000 are due. Out: claims of others that read none of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from litestar_queues.backends.postgres import Address, PostgresBackend
from litestar_queues.backends.postgres.statements import Statements
from tests.postgres.plans import Node, explain, nodes
from tests.postgres.server import Server
from tests.postgres.test_plans import BATCH, MODES, claim, connect

STOPPED = """
insert into lq_live (id, task, queue, status, rank, due_at, created_at, max_attempts, payload)
select gen_random_uuid(), 'greet', 'm stopped', 'pending', -9, now() - n * interval '1 ms', now(), 1, '[[],{}]'
from generate_series(1, 100000) as n;

insert into lq_live (id, task, queue, status, rank, due_at, created_at, max_attempts, payload)
select gen_random_uuid(), 'greet', 'm stopped', 'scheduled', -9, now() - n * interval '1 s', now(), 1, '[[],{}]'
from generate_series(1, 20000) as n;

insert into lq_live (id, task, queue, status, rank, due_at, created_at, max_attempts, payload)
select
    gen_random_uuid(), 'greet', case when n % 2 = 0 then 'a' else 'z' end,
    case when n % 4 < 2 then 'pending' else 'scheduled' end, 0, now() - n * interval '1 ms', now(), 1, '[[],{}]'
from generate_series(1, 4000) as n;
"""
PROMOTE: list[Any] = [None, 5_000, [], True]


@pytest.fixture(scope="module")
def stopped(postgres_server: Server) -> str:
    """The schema, in which one of three queues is paused."""
    prefix = postgres_server.new_prefix()
    schema = prefix.partition(".")[0]

    async def fill() -> None:
        backend = PostgresBackend(Address.from_url(postgres_server.url(), pooled=False), prefix=prefix)
        await backend.open()
        connection = await connect(postgres_server.url(), schema, {})
        await connection.execute(STOPPED)
        await connection.execute("vacuum analyze lq_live")
        await connection.close()
        await backend.pause_queue("m stopped")
        await backend.close()

    asyncio.run(fill())
    return schema


@pytest.fixture(params=MODES)
async def mode(
    request: pytest.FixtureRequest, postgres_server: Server, stopped: str
) -> AsyncIterator[tuple[Any, bool]]:
    settings, generic = MODES[request.param]
    connection = await connect(postgres_server.url(), stopped, settings)
    yield connection, generic
    await connection.close()


async def plan_of(mode: tuple[Any, bool], name: str, arguments: list[Any]) -> Node:
    connection, generic = mode
    return await explain(connection, Statements("lq_")[name], arguments, generic=generic, analyze=True)


def rows_read(plan: Node) -> int:
    """Of the live table, also those that were passed over."""
    return sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in nodes(plan)
        if node.get("Relation Name") == "lq_live" and "Scan" in node["Node Type"]
    )


def claim_around() -> list[Any]:
    """A claim while the pause is known."""
    return [*claim("a", "z")[:-1], ["m stopped"]]


async def without_others(mode: tuple[Any, bool], name: str, arguments: list[Any]) -> Node:
    """The plan where nothing is left but what is paused."""
    transaction = mode[0].transaction()
    await transaction.start()
    await mode[0].execute("delete from lq_live where queue <> 'm stopped'")
    plan = await plan_of(mode, name, arguments)
    await transaction.rollback()
    return plan


async def test_a_claim_that_knows_of_the_pause_reads_nothing_of_that_queue(mode: tuple[Any, bool]) -> None:
    plan = await plan_of(mode, "finish_and_claim", claim_around())
    assert BATCH <= rows_read(plan) <= 5 * BATCH
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 40 * BATCH


async def test_a_claim_that_knows_of_the_pause_and_finds_nothing_reads_nothing_of_that_queue(
    mode: tuple[Any, bool],
) -> None:
    assert rows_read(await without_others(mode, "finish_and_claim", claim_around())) <= 5


@pytest.mark.parametrize("queues", [(), ("a", "m stopped", "z")])
async def test_a_claim_that_does_not_know_of_the_pause_holds_nothing(
    mode: tuple[Any, bool], queues: tuple[str, ...]
) -> None:
    plan = await plan_of(mode, "finish_and_claim", claim(*queues))
    (held,) = [node for node in nodes(plan) if node.get("Subplan Name") == "CTE held"]
    assert held["Actual Rows"] == 0
    assert rows_read(plan) <= 10


@pytest.mark.parametrize("queues", [[], ["a", "m stopped", "z"]])
async def test_a_look_around_pauses_reads_a_record_of_each_queue(mode: tuple[Any, bool], queues: list[str]) -> None:
    arguments = [None, queues, not queues]
    assert rows_read(await plan_of(mode, "look_around_pauses", arguments)) <= 20
    assert rows_read(await without_others(mode, "look_around_pauses", arguments)) <= 20


async def test_what_is_due_in_a_paused_queue_is_not_looked_at_when_others_are_promoted(mode: tuple[Any, bool]) -> None:
    assert 2_000 <= rows_read(await plan_of(mode, "promote", PROMOTE)) <= 3 * 2_000 + 20
    assert rows_read(await without_others(mode, "promote", PROMOTE)) <= 20
