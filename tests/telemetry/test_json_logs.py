"""In: lines of tasks, of the engine and of others. Out: JSON objects that name their task, request and trace."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from litestar_queues import JsonLogFormatter, TaskExecutionContext, bind_correlation_id
from litestar_queues.events import RecordsFinished, Run
from litestar_queues.logs import log_events
from litestar_queues.outcomes import Failed, RunError
from tests.telemetry.spans import Spans
from tests.worker.harness import Shop, make_claim

log = logging.getLogger("tests.json")


@contextmanager
def lines() -> Iterator[list[dict[str, Any]]]:
    """What the formatter writes of every logger."""
    stream, found = io.StringIO(), list[dict[str, Any]]()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLogFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield found
    finally:
        root.removeHandler(handler)
        found += map(json.loads, stream.getvalue().splitlines())


async def test_a_line_from_inside_a_task_names_it() -> None:
    spans = Spans()
    async with Shop(tracing=spans.provider) as shop:

        def work(context: TaskExecutionContext) -> None:
            log.warning("%d of %d", 1, 2, extra={"customer": 7})

        with bind_correlation_id("r-1"):
            handle = await shop.service.enqueue(shop.task(work, queue="mail"))
        with lines() as found:
            await shop.service.run_due()
    (line,) = [one for one in found if one["logger"] == "tests.json"]
    assert line.pop("time").endswith("+00:00")
    assert line.pop("worker").startswith("inline:")
    context = spans.one("run mail").context
    assert context is not None
    assert line == {
        "level": "warning",
        "logger": "tests.json",
        "message": "1 of 2",
        "task_id": str(handle.id),
        "task": "work",
        "queue": "mail",
        "attempt": 1,
        "correlation_id": "r-1",
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
        "customer": 7,
    }


def test_a_line_of_the_engine_on_a_run_says_what_failed_and_whose_it_is() -> None:
    metadata = b'{"correlation_id":"r-1","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}'
    claim = make_claim(metadata=metadata)
    with lines() as found:
        log_events(RecordsFinished([Run(claim, Failed(RunError("ValueError", "no luck")), 0.5)]))
    (line,) = found
    assert line["message"].startswith("failed after 0.500 s: greet")
    assert line["message"].endswith("ValueError: no luck")
    named = {name: line[name] for name in ("task_id", "task", "queue", "attempt", "correlation_id", "trace_id")}
    assert named == {
        "task_id": str(claim.id),
        "task": "greet",
        "queue": "default",
        "attempt": 1,
        "correlation_id": "r-1",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    }


@pytest.mark.parametrize("metadata", [b"[]", b"no json", b'{"traceparent":5}', b'{"traceparent":"x"}', b"5"])
def test_metadata_of_any_kind_does_no_harm(metadata: bytes) -> None:
    with lines() as found:
        log_events(RecordsFinished([Run(make_claim(metadata=metadata), Failed(RunError("E", "e")), 0.5)]))
    assert "trace_id" not in found[0]


def test_tracebacks_are_a_field_and_a_line_stays_one_line() -> None:
    with lines() as found:
        try:
            raise ValueError("a\nb")
        except ValueError:
            log.exception("it broke:\n%s", "here", stack_info=True)
    (line,) = found
    assert line["message"] == "it broke:\nhere"
    assert line["exception"].endswith("ValueError: a\nb")
    assert "test_tracebacks" in line["stack"]


def test_no_line_is_lost_for_what_json_cannot_hold() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with lines() as found:
        for odd in (object(), {object(): 1}, circle, "\ud800", float("nan")):
            log.warning("odd", extra={"odd": odd})
    assert [line["message"].strip("'") for line in found] == ["odd"] * 5
