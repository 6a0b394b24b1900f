"""In: rows that somebody wrote by SQL. Out: no code of theirs runs, and the records of others go on."""

from __future__ import annotations

import logging
import os
from typing import Any

import pytest

from litestar_queues.status import TaskStatus
from tests.security.conftest import Tampered
from tests.worker.harness import Shift, until_found

NOT_REGISTERED = ["os.system", "builtins.eval", "greet.__globals__", "../greet", "__import__('os').system('id')", ""]
DEEP = "[" * 100_000 + "]" * 100_000
HUGE = f'[["{"x" * 4_000_000}"],{{}}]'
ESCAPES = "\x1b]0;owned\x07\x1b[2J\r\n2026-01-01 ERROR forged\u202e\u2028\x9b1A"


async def greet(name: str = "you") -> str:
    return name


async def break_down() -> None:
    raise ValueError("no luck")


async def shout() -> None:
    raise ValueError(ESCAPES + "x" * 1_000_000)


async def ended(shop: Tampered, record: Any) -> Any:
    async def look() -> Any:
        found = await shop.get(record.id)
        return found if found.status in {TaskStatus.COMPLETED, TaskStatus.FAILED} else None

    return await until_found(look)


@pytest.mark.parametrize("name", NOT_REGISTERED)
async def test_a_record_that_names_no_registered_task_runs_nothing_and_stops_nobody(
    tampered: Tampered, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(os, "system", lambda *_: pytest.fail("it ran"))
    greeting = tampered.task(greet)
    hostile = await tampered.service.enqueue(greeting, "touch owned")
    tampered.write(hostile.id, task=name)
    with caplog.at_level(logging.WARNING):
        async with Shift(tampered, max_concurrency=1):
            good = [await tampered.service.enqueue(greeting) for _ in range(3)]
            for record in good:
                assert (await ended(tampered, record)).status is TaskStatus.COMPLETED
    found = await tampered.get(hostile.id)
    assert found.status is TaskStatus.SCHEDULED
    assert found.attempt == 0
    lines = [entry.getMessage() for entry in caplog.records if str(hostile.id) in entry.getMessage()]
    assert len(lines) == 1
    assert f"no task {name!r} is registered" in lines[0]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"payload": "{"}, "the stored arguments cannot be read"),
        ({"payload": ""}, "the stored arguments cannot be read"),
        ({"payload": "null"}, "the stored arguments cannot be read"),
        ({"payload": '{"__reduce__": ["os.system", ["id"]]}'}, "the stored arguments cannot be read"),
        ({"payload": '[[],{"__class__": "os.system"}]'}, "__class__"),
        ({"payload": '[[],{"self": 1, "kwargs": {}}]'}, "InvalidArgumentError"),
        ({"payload": DEEP}, "cannot be read"),
        ({"payload": HUGE}, "max_payload_bytes"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_arguments_that_nobody_could_have_enqueued_fail_their_own_record(
    tampered: Tampered, columns: dict[str, Any], reason: str
) -> None:
    greeting = tampered.task(greet, retries=3)
    hostile = await tampered.service.enqueue(greeting)
    tampered.write(hostile.id, **columns)
    async with Shift(tampered, max_concurrency=1):
        good = await tampered.service.enqueue(greeting)
        assert (await ended(tampered, good)).status is TaskStatus.COMPLETED

        async def gone() -> bool:
            return (await tampered.service.get_statistics()).failed == 1

        await until_found(gone)


@pytest.mark.parametrize(
    "columns",
    [
        {"backoff": "{"},
        {"backoff": "[]"},
        {"backoff": '{"initial": 1e400}'},
        {"backoff": '{"initial": "x", "multiplier": -1}'},
        {"backoff": DEEP},
        {"metadata": "{"},
        {"metadata": DEEP},
        {"metadata": "[1]"},
        {"max_attempts": -5},
        {"timeout": -1.0},
        {"timeout": 1e300},
        {"attempt": 2_000_000_000},
        {"worker_id": ESCAPES, "execution_backend": ESCAPES, "execution_profile": ESCAPES, "schedule": ESCAPES},
    ],
    ids=lambda value: str(value)[:40],
)
async def test_columns_that_nobody_could_have_written_do_not_stop_the_worker(
    tampered: Tampered, columns: dict[str, Any]
) -> None:
    greeting, breaking = tampered.task(greet), tampered.task(break_down, retries=2)
    hostile = [await tampered.service.enqueue(task) for task in (breaking, greeting)]
    for record in hostile:
        tampered.write(record.id, **columns)
    async with Shift(tampered, max_concurrency=1) as shift:
        good = [await tampered.service.enqueue(greeting) for _ in range(2)]
        for record in good:
            assert (await ended(tampered, record)).status is TaskStatus.COMPLETED
        report = await shift.drain()
    assert report.abandoned == 0


@pytest.mark.parametrize(
    "columns",
    [
        {"payload": "{"},
        {"payload": DEEP},
        {"metadata": "{"},
        {"metadata": "[1]"},
        {"progress": "{"},
        {"errors": "{"},
        {"errors": '{"attempt": 1}'},
        {"errors": '[{"attempt": 1, "at": 1e40, "type": "x", "message": "x", "traceback": ""}]'},
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_cannot_be_read_is_shown_and_hides_no_other_record(
    tampered: Tampered, columns: dict[str, Any]
) -> None:
    greeting = tampered.task(greet)
    good = await tampered.service.enqueue(greeting)
    hostile = await tampered.service.enqueue(greeting, metadata={"by": "me"})
    tampered.write(hostile.id, **columns)
    assert {record.id for record in await tampered.service.list_tasks()} == {good.id, hostile.id}
    found = await tampered.get(hostile.id)
    if columns in ({"payload": "{"}, {"metadata": "{"}):
        assert "{" in (*found.args, *found.metadata.values())


async def test_no_text_of_a_row_or_an_error_forges_a_line_of_the_log(
    tampered: Tampered, caplog: pytest.LogCaptureFixture
) -> None:
    greeting, shouting = tampered.task(greet), tampered.task(shout)
    renamed = await tampered.service.enqueue(greeting)
    tampered.write(renamed.id, task=ESCAPES)
    shouted = await tampered.service.enqueue(shouting)
    with caplog.at_level(logging.DEBUG, "litestar_queues"):
        async with Shift(tampered):
            assert (await ended(tampered, shouted)).status is TaskStatus.FAILED

            async def snoozed() -> bool:
                return (await tampered.get(renamed.id)).status is TaskStatus.SCHEDULED

            await until_found(snoozed)
    texts = [entry.getMessage() for entry in caplog.records if entry.name.startswith("litestar_queues")]
    assert any("forged" in text for text in texts)
    assert [text for text in texts if not text.isprintable() or len(text) > 20_000] == []
    assert len((await tampered.get(shouted.id)).error or "") < 20_000
