"""In: ``--log-format json`` and its setting. Out: a worker all of whose log is JSON, whatever logging the app has."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.process.apps import APP
from tests.process.harness import STARTED, Process, Site

pytestmark = pytest.mark.process

FAIL = """
import logging

from litestar_queues import task


@task("fail")
async def fail():
    logging.getLogger("app").warning("about to fail")
    logging.getLogger("litestar.own").warning("of litestar")
    try:
        raise ValueError("no luck")
    except ValueError:
        logging.getLogger("app").exception("it failed")
        raise
"""


def logged(worker: Process) -> list[dict[str, Any]]:
    return [json.loads(line) for line in worker.err.splitlines() if line != STARTED]


@pytest.mark.parametrize("own", ["None", "LoggingConfig()"], ids=["no logging of its own", "Litestar's logging"])
def test_every_line_is_json_and_names_its_task(site: Site, own: str) -> None:
    site.write("fail.py", FAIL)
    site.write("app.py", LOGGING + APP.replace("Litestar(", f"Litestar(logging_config={own}, ", 1))
    site.set(task_modules="fail")
    site.enqueue("fail", metadata=b'{"correlation_id":"r-1"}')
    worker = site.worker("--log-format", "json")
    site.becomes("fail", "failed")
    assert worker.stops() == 0
    lines = logged(worker)
    told = {line["message"]: line for line in lines if line.get("task") == "fail"}
    record = site.record("fail")
    for text in ("about to fail", "of litestar", "it failed"):
        assert told[text]["task_id"] == str(record.id)
        assert told[text]["correlation_id"] == "r-1"
        assert told[text]["worker"] == record.worker_id
    assert told["it failed"]["exception"].endswith("ValueError: no luck")
    (end,) = [line for text, line in told.items() if text.startswith("failed after")]
    assert (end["task_id"], end["correlation_id"]) == (str(record.id), "r-1")
    assert [line["worker"] for line in lines if "claims from" in line["message"]] == [record.worker_id]


LOGGING = "from litestar.logging import LoggingConfig\n"


def test_the_setting_does_the_same_and_the_option_wins(site: Site) -> None:
    worker = site.worker(log_format="json").starts()
    assert worker.stops() == 0
    assert logged(worker)
    worker = site.worker("--log-format", "text", log_format="json").starts()
    assert worker.stops() == 0
    assert "INFO - " in worker.err


def test_another_format_is_one_line(site: Site) -> None:
    answer = site.worker("--log-format", "xml").answer()
    assert answer.code == 2
    assert "'xml' is not one of 'text', 'json'" in answer.error_line
