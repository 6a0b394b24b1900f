"""In: a paused queue in which very many records wait. Out: claims of others that take no more steps than before."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from litestar_queues.backends.migrations import load_migrations
from litestar_queues.backends.sqlite.calls import Work
from litestar_queues.backends.sqlite.claim import ClaimRequest, claim, peek

NOW = 10**15
FILL = """
with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < ?)
insert into lq_record (id, task, queue, status, priority, due_at, created_at, max_attempts, payload)
select randomblob(16), 'greet', ?, ?, 9, ?, 1, 1, '[[],{}]' from numbers
"""


def fill(connection: sqlite3.Connection, number: int, queue: str, status: str = "pending", due_at: int = 1) -> None:
    connection.execute(FILL, (number, queue, status, due_at))


@pytest.fixture
def connection(tmp_path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(tmp_path / "queue.db", isolation_level=None)
    for migration in load_migrations("sqlite"):
        connection.executescript(migration.sql)
    return connection


def steps(connection: sqlite3.Connection, action: Callable[[], object]) -> int:
    """How many instructions of its machine SQLite carries out, by the hundred."""
    counted = 0

    def count() -> None:
        nonlocal counted
        counted += 1

    connection.set_progress_handler(count, 100)
    action()
    connection.set_progress_handler(None, 100)
    return counted


@pytest.mark.parametrize("queues", [None, '["a", "m stopped", "z"]'])
def test_what_waits_in_a_paused_queue_costs_claims_of_others_nothing(
    connection: sqlite3.Connection, queues: str | None
) -> None:
    for queue in ("a", "z"):
        fill(connection, 50, queue)
    connection.execute("insert into lq_pause values ('m stopped', 1, null)")
    request = ClaimRequest("worker:1", queues, 10, 60.0)

    def work() -> int:
        batch = claim(Work(connection, NOW), request)
        assert {one.queue for one in batch.claims} <= {"a", "z"}
        assert peek(Work(connection, NOW), request) is None
        return len(batch.claims)

    fill(connection, 1, "m stopped")
    fill(connection, 1, "m stopped", "scheduled")
    before = steps(connection, work)
    fill(connection, 50_000, "m stopped")
    fill(connection, 50_000, "m stopped", "scheduled")
    assert work() == 10
    assert steps(connection, work) <= before + 2
    connection.close()
