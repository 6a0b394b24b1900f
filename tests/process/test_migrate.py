"""In: ``litestar queues migrate``. Out: a schema that is up to date, however many do it at once."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from tests.process.harness import Site

pytestmark = pytest.mark.process

UP_TO_DATE = "the schema is up to date\n"


def schema(path: object) -> list[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(str(path))) as connection:
        statement = "select name, sql from sqlite_master where sql is not null order by name"
        return [(name, sql) for name, sql in connection.execute(statement)]


def test_check_finds_a_schema_that_is_behind_and_changes_nothing(site: Site) -> None:
    before = site.queues("migrate", "--check").answer()
    assert (before.code, before.out) == (1, "")
    assert before.error_line.startswith("the schema lacks 0001_")
    assert before.error_line.endswith("run `litestar queues migrate`")
    assert not site.database.exists()

    applied = site.queues("migrate").answer()
    assert (applied.code, applied.err) == (0, "")
    first, *_, last = applied.out.splitlines(keepends=True)
    assert first.startswith("applied 0001_")
    assert last == UP_TO_DATE

    for process in (site.queues("migrate", "--check"), site.queues("migrate")):
        again = process.answer()
        assert (again.code, again.out, again.err) == (0, UP_TO_DATE, "")


def test_several_at_once_apply_each_migration_once(site: Site) -> None:
    answers = [process.answer() for process in [site.queues("migrate") for _ in range(5)]]
    assert [(answer.code, answer.err) for answer in answers] == [(0, "")] * 5
    applied = [line for answer in answers for line in answer.out.splitlines() if line.startswith("applied")]
    assert len(applied) == len(set(applied)) > 0


def test_the_printed_sql_makes_the_same_schema(site: Site) -> None:
    printing, applying = (
        site.queues("migrate", "--sql"),
        site.queues("migrate", env={"LITESTAR_QUEUES_QUEUE_BACKEND": "sqlite:///applied.db"}),
    )
    answer = printing.answer()
    assert (answer.code, answer.err) == (0, "")
    assert not site.database.exists()
    with contextlib.closing(sqlite3.connect(site.folder / "printed.db")) as connection:
        connection.executescript(answer.out)
    assert applying.ends() == 0
    assert schema(site.folder / "printed.db") == schema(site.folder / "applied.db")


def test_a_worker_that_must_not_migrate_starts_once_somebody_has(site: Site) -> None:
    site.set(migrate_on_start="no")
    refused = site.worker().answer()
    assert refused.code == 1
    assert refused.error_line.endswith("run `litestar queues migrate`")
    assert site.queues("migrate").ends() == 0
    assert site.worker().starts().stops() == 0


def test_a_backend_that_fails_is_one_line_and_exit_code_1(site: Site) -> None:
    site.set(queue_backend="sqlite:///missing/queue.db")
    answer = site.queues("migrate").answer()
    assert (answer.code, answer.out) == (1, "")
    assert answer.error_line.startswith("Error: sqlite file missing/queue.db cannot be used now")
