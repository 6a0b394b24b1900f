"""In: 50,000 waiting records and 100,000 ended ones. Out: plans that look at few of them, prepared or not.

Our connections plan once and keep the plan, under settings of their own; behind a pooler each statement is planned
anew, under the settings of the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]
import pytest

from litestar_queues.backends.postgres import Address, PostgresBackend
from litestar_queues.backends.postgres.enqueue import _shared
from litestar_queues.ids import new_id
from tests.builders import make_record
from tests.postgres.plans import FILL, SETTINGS, Node, explain, nodes
from tests.postgres.server import Server

BATCH = 100
IDS = [new_id() for _ in range(BATCH)]
TOKENS = list(range(BATCH))
MIDDLE, LAST = UUID("80" * 16), UUID("ff" * 16)
NEW = _shared(make_record(), None, "channel")([make_record() for _ in range(BATCH)])
LONG_AGO = datetime.now(UTC) - timedelta(days=2)


def claim(*queues: str, limit: int = BATCH) -> list[Any]:
    ended = [IDS, TOKENS, [None] * BATCH]
    return [None, *ended, list(queues), not queues, limit, 1, 60.0, "worker:1", [], [], [], [], True, []]


def page(before: UUID = LAST, *filters: str | None, worker: str | None = None) -> list[Any]:
    """Of up to a batch of records, in either order."""
    return [UUID(int=0), before, *filters, *[None] * (5 - len(filters)), worker, BATCH]


STATEMENTS: dict[str, tuple[str, Sequence[Any]]] = {
    "claim everywhere": ("finish_and_claim", claim()),
    "claim from two queues": ("finish_and_claim", claim("q1", "q2")),
    "finish alone": ("finish_and_claim", claim(limit=0)),
    "insert_alike": ("insert_alike", NEW),
    "insert_many_alike": ("insert_many_alike", NEW),
    "insert_keyed": ("insert_keyed", [*NEW, [f"key {n}" for n in range(BATCH)], [None] * BATCH]),
    "find_holders": ("find_holders", [None, ["key 1", "done 50"], IDS]),
    "end_many": ("end_many", [None, IDS, TOKENS, ["failed"] * BATCH, ["no luck"] * BATCH, [None] * BATCH]),
    "give_back_many": (
        "give_back_many",
        [None, IDS, TOKENS, [1.0] * BATCH, ["no luck"] * BATCH, [None] * BATCH, [True] * BATCH, "channel"],
    ),
    "renew_many": ("renew_many", [None, IDS, TOKENS, 60.0]),
    "cancel_requests": ("cancel_requests", ["worker:1"]),
    "save_progress": ("save_progress", [IDS, TOKENS, ["{}"] * BATCH]),
    "rescue_many": ("rescue_many", [None, None, BATCH, None, None, 3, "lost", "channel", "lost once"]),
    "rescue a predecessor": (
        "rescue_many",
        [None, LONG_AGO, 1_000_000, "worker:1", "worker", 3, "lost", "channel", "lost once"],
    ),
    "promote everywhere": ("promote", [None, 5_000, [], True]),
    "promote in two queues": ("promote", [None, 5_000, ["q1", "q2"], False]),
    "fronts of every queue": ("find_fronts", [[], True]),
    "fronts of two queues": ("find_fronts", [["q1", "q2"], False]),
    "expire_many": ("expire_many", [None, IDS]),
    "cancel_many": ("cancel_many", [None, IDS, True]),
    "retry_many": ("retry_many", [None, IDS, "channel"]),
    "prune_many": ("prune_many", [None, "completed", 86_400.0, 1_000]),
    "count_old": ("count_old", [None, "failed", 86_400.0]),
    "prune_ticks": ("prune_ticks", [LONG_AGO, 1_000]),
    "schedule_is_live": ("schedule_is_live", ["report"]),
    "statistics": ("statistics", [None]),
    "statistics of a queue": ("statistics", ["q1"]),
    "queue_depths": ("queue_depths", [None]),
    "canary": ("canary", []),
    "get_many": ("get_many", [IDS]),
    "page_newest": ("page_newest", page()),
    "page_newest, next page": ("page_newest", page(MIDDLE, "completed", "q1", "greet")),
    "page_newest that waits": ("page_newest", page(LAST, "scheduled", "no such queue")),
    "page_oldest": ("page_oldest", page()),
    "page_oldest that waits": ("page_oldest", page(LAST, "scheduled", "no such queue")),
    "page_unsuccessful_newest": ("page_unsuccessful_newest", page(MIDDLE, "failed")),
    "page_unsuccessful_oldest": ("page_unsuccessful_oldest", page(MIDDLE, "failed")),
    "page_running_newest": ("page_running_newest", page(LAST, "running", worker="worker:1")),
    "page_running_oldest": ("page_running_oldest", page(LAST, "running", worker="worker:1")),
    **{
        f"page_of_{name}_{order}": (f"page_of_{name}_{order}", page(MIDDLE, *filters))
        for name, filters in (("key", (None, None, None, "done 50")), ("schedule", (None, None, None, None, "every 1")))
        for order in ("newest", "oldest")
    },
    **{
        f"page_bound_{order}{of}": (f"page_bound_{order}", [UUID(int=0), LAST, status, 20 * BATCH])
        for order in ("newest", "oldest")
        for of, status in (("", None), (" of completed", "completed"), (" of failed", "failed"))
    },
    "list_tallies": ("list_tallies", [None, 3600.0]),
    "prune_tallies": ("prune_tallies", [None, 86_400.0, 1_000]),
}
# where most of the table is pending, a server that nobody tells otherwise may prefer the table to its index; the
# index of running records does not know their queue
LIVE_COUNTS = {"statistics": {("Seq Scan", "lq_live")}, "statistics of a queue": {("Index Scan", "lq_live")}}
PAGES = [name for name in STATEMENTS if name.startswith("page_") and "bound" not in name]
MODES = {"prepared": (SETTINGS, True), "prepared, first uses": (SETTINGS, False), "behind a pooler": ({}, False)}


@pytest.fixture(scope="module")
def filled(postgres_server: Server) -> str:
    """The schema of the filled tables."""
    prefix = postgres_server.new_prefix()
    schema = prefix.partition(".")[0]

    async def fill() -> None:
        backend = PostgresBackend(Address.from_url(postgres_server.url(), pooled=False), prefix=prefix)
        await backend.migrate()
        connection = await connect(postgres_server.url(), schema, {})
        await connection.execute(FILL)
        for table in ("live", "done", "count", "tick", "schedule", "worker", "tally", "pause"):
            await connection.execute(f"vacuum analyze lq_{table}")
        await connection.close()

    asyncio.run(fill())
    return schema


async def connect(url: str, schema: str, settings: dict[str, str]) -> Any:
    return await asyncpg.connect(
        url.replace("+asyncpg", ""),
        server_settings={"search_path": schema, **settings},
        statement_cache_size=0,
        command_timeout=30,
    )


@pytest.fixture(params=MODES)
async def mode(request: pytest.FixtureRequest, postgres_server: Server, filled: str) -> AsyncIterator[tuple[Any, bool]]:
    settings, generic = MODES[request.param]
    connection = await connect(postgres_server.url(), filled, settings)
    yield connection, generic
    await connection.close()


async def plan_of(mode: tuple[Any, bool], case: str, *, analyze: bool = False) -> Node:
    from litestar_queues.backends.postgres.statements import Statements

    name, arguments = STATEMENTS[case]
    connection, generic = mode
    return await explain(connection, Statements("lq_")[name], arguments, generic=generic, analyze=analyze)


def scanned(plan: Node) -> set[tuple[str, str]]:
    return {
        (node["Node Type"], node["Relation Name"])
        for node in nodes(plan)
        if "Scan" in node["Node Type"] and "Relation Name" in node
    }


@pytest.mark.parametrize("case", STATEMENTS)
async def test_no_statement_goes_through_a_whole_table(mode: tuple[Any, bool], case: str) -> None:
    whole = {table for step, table in scanned(await plan_of(mode, case)) if step == "Seq Scan"}
    unprepared = {"lq_live"} if case in {"statistics", "queue_depths"} and not mode[1] else set()
    assert whole - unprepared <= {"lq_count", "lq_pause"}  # few rows each


@pytest.mark.parametrize("case", ["statistics", "statistics of a queue"])
async def test_live_records_are_counted_in_their_indexes_and_history_is_left_alone(
    mode: tuple[Any, bool], case: str
) -> None:
    steps = scanned(await plan_of(mode, case))
    assert steps - LIVE_COUNTS[case] == {("Index Only Scan", "lq_live"), ("Seq Scan", "lq_count")}


async def test_the_depths_of_queues_are_counted_without_a_look_at_history(mode: tuple[Any, bool]) -> None:
    steps = scanned(await plan_of(mode, "queue_depths"))
    assert {table for _, table in steps} == {"lq_live"}
    assert mode[1] is False or ("Index Only Scan", "lq_live") in steps


@pytest.mark.parametrize("case", ["claim everywhere", "claim from two queues"])
async def test_a_claim_walks_the_index_in_order_and_sorts_what_it_has_picked_alone(
    mode: tuple[Any, bool], case: str
) -> None:
    plan = await plan_of(mode, case)
    (locking,) = [node for node in nodes(plan) if node["Node Type"] == "LockRows"]
    (walk,) = locking["Plans"]
    assert (walk["Node Type"], walk["Index Name"]) == ("Index Scan", "lq_live_queue_rank_due_at_id_idx")
    assert "queue = " in walk["Index Cond"]
    limits = [node for node in nodes(plan) if node["Node Type"] == "Limit" and locking in node.get("Plans", ())]
    assert len(limits) == 1, "each queue gives no more than is asked for"
    sorts = [node for node in nodes(plan) if node["Node Type"] == "Sort"]
    of_rows = [node["Sort Key"][0] for node in sorts if node["Plans"][0]["Node Type"] != "Result"]
    assert {key.partition(".")[0] for key in of_rows} <= {"found", "held", "queue"}  # the last: of no rows, by a start
    assert [node["TID Cond"] for node in nodes(plan) if node["Node Type"] == "Tid Scan"]


async def test_a_claim_reads_no_more_records_than_it_is_asked_for_of_each_queue(mode: tuple[Any, bool]) -> None:
    plan = await plan_of(mode, "claim everywhere", analyze=True)
    read = {
        node["Node Type"]: node["Actual Rows"] * node["Actual Loops"]
        for node in nodes(plan)
        if node.get("Relation Name") == "lq_live" and node["Actual Loops"]
    }
    assert read["Tid Scan"] == BATCH
    assert read["Index Scan"] <= 5 * BATCH
    assert read["Index Only Scan"] <= 5
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 40 * BATCH


@pytest.mark.parametrize(
    "case", ["rescue_many", "prune_many", "canary", "page_unsuccessful_newest", "page_unsuccessful_oldest"]
)
async def test_what_comes_in_order_is_read_in_order_not_sorted(mode: tuple[Any, bool], case: str) -> None:
    plan = await plan_of(mode, case)
    assert [node["Sort Key"] for node in nodes(plan) if node["Node Type"] == "Sort"] == []


@pytest.mark.parametrize("case", ["canary", "statistics", *PAGES, "prune_many", "get_many", "queue_depths"])
async def test_what_is_asked_often_reads_few_blocks_of_history(mode: tuple[Any, bool], case: str) -> None:
    plan = await plan_of(mode, case, analyze=True)
    of_history = [node for node in nodes(plan) if str(node.get("Relation Name")) == "lq_done"]
    assert all(node["Actual Rows"] * node["Actual Loops"] <= 1_000 for node in of_history)


@pytest.mark.parametrize("case", ["promote everywhere", "promote in two queues", "rescue_many"])
async def test_what_is_not_due_is_not_looked_at(mode: tuple[Any, bool], case: str) -> None:
    plan = await plan_of(mode, case, analyze=True)
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 500  # the whole table has more than 1,000


@pytest.mark.parametrize("case", ["insert_keyed", "find_holders"])
async def test_who_held_a_key_is_looked_for_among_those_that_may_hold_it_still(
    mode: tuple[Any, bool], case: str
) -> None:
    names = {str(node.get("Index Name")) for node in nodes(await plan_of(mode, case))}
    assert {name for name in names if name.startswith("lq_done_key")} == {"lq_done_key_unique_until_idx"}


@pytest.mark.parametrize("case", ["page_newest that waits", "page_oldest that waits"])
async def test_a_page_of_records_that_wait_reads_no_history(mode: tuple[Any, bool], case: str) -> None:
    plan = await plan_of(mode, case, analyze=True)
    of_history = [node for node in nodes(plan) if str(node.get("Relation Name")) == "lq_done"]
    assert all(node["Actual Loops"] == 0 for node in of_history)


@pytest.mark.parametrize("case", [name for name in STATEMENTS if name.startswith("page_bound")])
async def test_the_end_of_a_long_look_is_counted_in_an_index_and_no_further(mode: tuple[Any, bool], case: str) -> None:
    plan = await plan_of(mode, case, analyze=True)
    walks = [node for node in nodes(plan) if "Relation Name" in node and node["Actual Loops"]]
    assert {node["Node Type"] for node in walks} == {"Index Only Scan"}
    assert all(node["Actual Rows"] <= 20 * BATCH + 1 for node in walks)


@pytest.mark.parametrize("case", [name for name in PAGES if name.startswith("page_of_")])
async def test_a_page_of_one_key_or_schedule_reads_what_fits_alone(mode: tuple[Any, bool], case: str) -> None:
    plan = await plan_of(mode, case, analyze=True)
    walks = [node for node in nodes(plan) if "Relation Name" in node and node["Actual Loops"]]
    assert [node.get("Rows Removed by Filter", 0) for node in walks] == [0] * len(walks)
    assert sum(node["Actual Rows"] for node in walks) <= BATCH
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 3 * BATCH


@pytest.mark.parametrize(
    "case", [name for name in PAGES if not any(word in name for word in ("running", "waits", "page_of_"))]
)
async def test_a_page_is_walked_along_an_index_and_read_no_further_than_it_goes(
    mode: tuple[Any, bool], case: str
) -> None:
    plan = await plan_of(mode, case, analyze=True)
    walks = [node for node in nodes(plan) if "Relation Name" in node]
    assert all("id > " in node["Index Cond"] and "id < " in node["Index Cond"] for node in walks)
    read = [node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in walks if node["Actual Loops"]]
    assert all(rows <= 20 * BATCH for rows in read)
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 20 * BATCH


@pytest.mark.parametrize("case", ["page_running_newest", "page_running_oldest"])
async def test_a_page_of_what_runs_reads_nothing_that_waits(mode: tuple[Any, bool], case: str) -> None:
    plan = await plan_of(mode, case, analyze=True)
    (walk,) = [node for node in nodes(plan) if "Relation Name" in node]
    assert walk["Actual Rows"] + walk.get("Rows Removed by Filter", 0) == 500
