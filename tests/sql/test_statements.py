"""In: every statement of the sqlite folder. Out: it compiles, is used, and walks the index it was written for."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import litestar_queues.backends
from litestar_queues.backends.migrations import load_migrations
from litestar_queues.backends.statements import load_statements, read_scripts
from litestar_queues.records import CANARY_QUEUE

SQL = load_statements("sqlite")
CONTROL = ("pragma", "begin", "commit", "rollback", "savepoint", "release")
QUERIES = sorted(name for name, text in SQL.items() if not text.startswith(CONTROL))
UNSUCCESSFUL_PAGE = "SEARCH lq_record USING INDEX lq_record_unsuccessful (status=? AND id>? AND id<?)"


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for migration in load_migrations("sqlite"):
        connection.executescript(migration.sql)
    yield connection
    connection.close()


def plan_of(database: sqlite3.Connection, name: str) -> list[str]:
    parameters = dict.fromkeys(re.findall(r":(\w+)", SQL[name]))
    return [row[3] for row in database.execute(f"explain query plan {SQL[name]}", parameters)]


def scans_table(step: str) -> bool:
    return step in {"SCAN lq_record", "SCAN lq_tick", "SCAN lq_schedule"}


def test_a_statement_is_what_stands_under_its_name() -> None:
    assert SQL["begin_immediate"] == "begin immediate"
    assert not any(line.startswith("--") for text in SQL.values() for line in text.splitlines())


@pytest.mark.parametrize("name", sorted(SQL))
def test_each_statement_compiles(database: sqlite3.Connection, name: str) -> None:
    parameters = dict.fromkeys(re.findall(r":(\w+)", SQL[name]))
    database.execute(f"explain {SQL[name]}", parameters)


def test_each_statement_has_its_intent_above_it_and_a_space_after_every_comma() -> None:
    for file, script in read_scripts("queries/sqlite").items():
        lines = script.splitlines()
        for at, line in enumerate(lines):
            if line.startswith("-- name: "):
                assert lines[at - 1].startswith("-- "), f"{file}: {line} has no sentence above it"
            code = re.sub(r"'[^']*'", "''", line)
            assert not re.search(r",\S", code), f"{file}: {line}"


def test_each_statement_is_used_and_each_used_one_exists() -> None:
    folder = Path(litestar_queues.backends.__path__[0], "sqlite")
    code = "\n".join(file.read_text() for file in folder.glob("*.py"))
    used = set(re.findall(r'SQL\[\s*"(\w+)"', code)) | set(re.findall(r'"(\w+)" if \w', code))
    used |= {"synchronous_full", "synchronous_normal", *re.findall(r'"(page_\w+)"', code)}
    used |= {f"{name}{order}" for name in re.findall(r'f"(page_\w+){order}"', code) for order in ("newest", "oldest")}
    assert used >= set(SQL), f"never used: {set(SQL) - used}"
    assert not {name for name in re.findall(r'SQL\["(\w+)"\]', code) if name not in SQL}


def test_the_canary_queue_bears_one_name_in_code_and_sql() -> None:
    texts = "\n".join([*SQL.values(), *(migration.sql for migration in load_migrations("sqlite"))])
    assert set(re.findall(r"'(litestar-queues[^']*)'", texts)) == {CANARY_QUEUE}


@pytest.mark.parametrize("name", [name for name in QUERIES if name != "list_schedules"])
def test_no_statement_goes_through_a_whole_table(database: sqlite3.Connection, name: str) -> None:
    assert not [step for step in plan_of(database, name) if scans_table(step)]


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("pick", "SEARCH lq_record USING INDEX lq_record_pending (queue=?)"),
        ("look_in", "SEARCH lq_record USING INDEX lq_record_pending (queue=?)"),
        ("look_everywhere", "SEARCH lq_record USING INDEX lq_record_pending (queue>?)"),
        ("look_everywhere", "SEARCH lq_record USING INDEX lq_record_scheduled (queue>?)"),
        ("promote", "SEARCH lq_record USING INDEX lq_record_scheduled (queue=? AND due_at<?)"),
        ("find_holder", "SEARCH lq_record USING INDEX lq_record_key (key=?)"),
        ("find_holder", "SEARCH lq_record USING INDEX lq_record_window (key=? AND unique_until>?)"),
        ("count_held", "SEARCH lq_record USING INDEX lq_record_id (id=?)"),
        ("complete", "SEARCH lq_record USING INDEX lq_record_id (id=?)"),
        ("renew", "SEARCH lq_record USING INDEX lq_record_id (id=?)"),
        ("any_stale", "SEARCH lq_record USING INDEX lq_record_running (lease_until<?)"),
        ("find_stale", "SEARCH lq_record USING INDEX lq_record_running (lease_until<?)"),
        ("find_running", "SEARCH lq_record USING INDEX lq_record_running (lease_until>?)"),
        ("cancel_requests", "SEARCH lq_record USING INDEX lq_record_stopping (worker_id=?)"),
        ("canary", "SEARCH lq_record USING INDEX lq_record_canary"),
        ("statistics", "SCAN lq_record USING INDEX lq_record_pending"),
        ("statistics", "SCAN lq_record USING INDEX lq_record_scheduled"),
        ("statistics", "SCAN lq_record USING INDEX lq_record_running"),
        ("queue_depths", "SCAN lq_record USING COVERING INDEX lq_record_pending"),
        ("queue_depths", "SCAN lq_record USING COVERING INDEX lq_record_scheduled"),
        ("queue_depths", "SCAN lq_record USING INDEX lq_record_running"),
        ("ledger", "SCAN lq_record USING INDEX lq_record_pending"),
        ("find_old", "SEARCH lq_record USING INDEX lq_record_terminal (status=? AND completed_at<?)"),
        ("count_old", "SEARCH lq_record USING INDEX lq_record_terminal (status=? AND completed_at<?)"),
        ("schedule_is_live", "SEARCH lq_record USING INDEX lq_record_schedule (schedule=?)"),
        ("page_newest", "SEARCH lq_record USING INDEX lq_record_id (id>? AND id<?)"),
        ("page_oldest", "SEARCH lq_record USING INDEX lq_record_id (id>? AND id<?)"),
        ("page_unsuccessful_newest", UNSUCCESSFUL_PAGE),
        ("page_unsuccessful_oldest", UNSUCCESSFUL_PAGE),
        ("page_of_key_newest", "SEARCH lq_record USING INDEX lq_record_of_key (key=? AND id>? AND id<?)"),
        ("page_of_key_oldest", "SEARCH lq_record USING INDEX lq_record_of_key (key=? AND id>? AND id<?)"),
        *(
            (f"page_of_schedule_{order}", f"SEARCH lq_record USING INDEX {index}")
            for order in ("newest", "oldest")
            for index in ("lq_record_schedule (schedule=?)", "lq_record_of_schedule (schedule=? AND id>? AND id<?)")
        ),
        ("page_bound_newest", "SEARCH lq_record USING COVERING INDEX lq_record_id (id>? AND id<?)"),
        ("page_bound_oldest", "SEARCH lq_record USING COVERING INDEX lq_record_id (id>? AND id<?)"),
        ("page_bound_unsuccessful_newest", UNSUCCESSFUL_PAGE),
        ("page_bound_unsuccessful_oldest", UNSUCCESSFUL_PAGE),
        ("page_live", "SCAN lq_record USING COVERING INDEX lq_record_pending"),
        ("page_live", "SCAN lq_record USING COVERING INDEX lq_record_scheduled"),
        ("page_live", "SCAN lq_record USING COVERING INDEX lq_record_running"),
        ("list_tallies", "SEARCH lq_tally USING PRIMARY KEY (minute>?)"),
        ("find_tally", "SEARCH lq_tally USING PRIMARY KEY (minute=? AND queue=?)"),
        ("prune_tallies", "SEARCH lq_tally USING PRIMARY KEY (minute<?)"),
    ],
)
def test_hot_statements_walk_their_index(database: sqlite3.Connection, name: str, step: str) -> None:
    steps = [one.replace(" COVERING INDEX", " INDEX") for one in plan_of(database, name)]
    assert step.replace(" COVERING INDEX", " INDEX") in steps


@pytest.mark.parametrize(
    "name",
    [
        *("pick", "look_everywhere", "look_in", "promote", "find_stale", "canary", "list_tallies", "paused_queues"),
        *(name for name in QUERIES if name.startswith("page_") and name != "page_live" and "schedule" not in name),
    ],
)
def test_what_comes_in_order_is_read_in_order_not_sorted(database: sqlite3.Connection, name: str) -> None:
    assert not [step for step in plan_of(database, name) if "TEMP B-TREE" in step]


@pytest.mark.parametrize("name", ["page_of_schedule_newest", "page_of_schedule_oldest"])
def test_the_sort_of_a_page_of_a_schedule_is_over_its_live_records(database: sqlite3.Connection, name: str) -> None:
    steps = plan_of(database, name)
    of_ended = next(at for at, step in enumerate(steps) if "lq_record_of_schedule" in step)
    assert [at for at, step in enumerate(steps) if "TEMP B-TREE" in step] == [of_ended - 2]


def test_the_sort_of_pruning_is_over_the_queues_of_one_batch(database: sqlite3.Connection) -> None:
    assert [step for step in plan_of(database, "find_old") if "TEMP B-TREE" in step] == ["USE TEMP B-TREE FOR GROUP BY"]
