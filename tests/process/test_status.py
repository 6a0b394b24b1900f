"""In: ``litestar queues status``. Out: the table and the JSON of the document, to the letter."""

from __future__ import annotations

import json

import pytest

from tests.process.harness import Site

pytestmark = pytest.mark.process

TABLE = """\
Status        Count
------------ ------
pending           3
scheduled         1
running           0
completed         1
failed            0
cancelled         0
total             5
"""
KEYS = ["pending", "scheduled", "running", "completed", "failed", "cancelled", "total"]


def test_status_prints_the_table_and_the_json_of_the_document(site: Site) -> None:
    site.set(initialize_schedules="no")
    site.enqueue("greet")
    worker = site.worker()
    site.becomes("greet", "completed")
    assert worker.stops() == 0
    site.enqueue("greet", times=3)
    site.enqueue("greet", delay=3600, queue="later")

    plain, as_json, queue, both = (
        site.queues("status"),
        site.queues("status", "--json"),
        site.queues("status", "--queue", "later"),
        site.queues("status", "--json", "--queue", "later"),
    )
    answers = [process.answer() for process in (plain, as_json, queue, both)]
    assert [answer.code for answer in answers] == [0] * 4
    assert answers[0].out == answers[2].out == TABLE
    assert (
        answers[1].out
        == answers[3].out
        == ('{"pending":3,"scheduled":1,"running":0,"completed":1,"failed":0,"cancelled":0,"total":5}\n')
    )
    assert list(json.loads(answers[1].out)) == KEYS
    assert answers[0].err == answers[1].err == ""
    assert answers[2].error_line == answers[3].error_line
    assert "--queue later is advisory" in answers[2].error_line


def test_status_of_a_backend_that_fails_is_one_line_and_exit_code_1(site: Site) -> None:
    (site.folder / "text.db").write_text("This is a text, and no database at all. " * 100)
    backends = ("sqlite:///missing/queue.db", "sqlite:///text.db", "sqlite:///fresh.db")
    running = [
        site.queues("status", "--json", env={"LITESTAR_QUEUES_QUEUE_BACKEND": backend, **extra})
        for backend, extra in zip(backends, ({}, {}, {"LITESTAR_QUEUES_MIGRATE_ON_START": "no"}), strict=True)
    ]
    for process in running:
        answer = process.answer()
        assert (answer.code, answer.out) == (1, "")
        assert answer.error_line.startswith("Error: ")
