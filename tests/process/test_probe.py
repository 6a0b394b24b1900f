"""In: ``litestar-queues-probe``. Out: the health of the worker in this pod, asked by port and read from its file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from litestar_queues.probe import judge
from tests.process.harness import Site, free_port, until

pytestmark = pytest.mark.process

ONE_LINE = re.compile(r"[^\n]+\n")


@pytest.fixture
def facts() -> dict[str, Any]:
    """A worker that has run for long and is well."""
    return {
        "state": "claiming, 0 tasks are running",
        "ready": True,
        "stuck_for": 0,
        "store_ok": True,
        "up_for": 3600.0,
        "canary": "scheduler.heartbeat",
        "canary_registered": True,
        "canary_completed_at": "2026-07-01 12:00:00+00:00",
        "canary_age": 10.0,
    }


class Pod:
    """A worker that tells its health in both ways, and the probes in its pod."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.port, self.file = free_port(), site.folder / "health.json"
        site.set(health_port=self.port, health_file=self.file)

    def ask(self, *check: str) -> tuple[int, str]:
        return self._probe(*check, "--port", str(self.port))

    def read(self, *check: str) -> tuple[int, str]:
        return self._probe(*check, "--port", "0", "--file", str(self.file))

    def _probe(self, *arguments: str) -> tuple[int, str]:
        answer = self.site.probe(*arguments)
        assert ONE_LINE.fullmatch(answer.err if answer.code else answer.out)
        assert not (answer.out if answer.code else answer.err)
        return answer.code, (answer.out or answer.err).strip()

    def comes_to(self, look: Callable[..., tuple[int, str]], *check: str, code: int) -> str:
        until(f"{check} gives {code}", lambda: look(*check)[0] == code, more=lambda: str(look(*check)))
        return look(*check)[1]


@pytest.fixture
def pod(site: Site) -> Pod:
    return Pod(site)


def test_a_worker_is_healthy_then_drains_then_is_gone(pod: Pod) -> None:
    site = pod.site
    site.enqueue("hold")
    worker = site.worker().starts()
    site.noted("hold ")
    site.noted("heartbeat")
    assert pod.ask("ready") == (0, "ready: claiming")
    assert pod.ask("live")[1].startswith("live: claiming")
    assert pod.site.probe("ready").out == "ready: claiming\n"  # by its environment
    assert pod.comes_to(pod.ask, "scheduler-health", code=0).startswith("healthy: scheduler.heartbeat ")
    assert pod.comes_to(pod.read, "ready", code=0) == "ready: claiming"
    assert pod.read("scheduler-health")[0] == 0

    worker.terminate().says("drains")
    assert pod.ask("ready") == (1, "not ready: draining, 1 tasks are running")
    assert pod.ask("live")[0] == 0
    assert pod.comes_to(pod.read, "ready", code=1).startswith("not ready: draining")
    site.go()
    assert worker.ends() == 0
    assert pod.ask("live")[1].startswith(f"unhealthy: no worker answers at 127.0.0.1:{pod.port}")
    assert pod.read("live")[1].endswith("the worker has not started, or it has left")
    assert not pod.file.exists()


def test_a_task_that_blocks_the_loop_makes_the_worker_unhealthy(pod: Pod) -> None:
    pod.site.enqueue("block_loop_on_go")
    pod.site.worker().starts()
    pod.comes_to(pod.read, "ready", code=0)
    pod.site.go()
    pod.site.noted("held block_loop_on_go")
    code, text = pod.ask("live")
    assert (code, text.split(": ")[1]) == (1, f"the worker at 127.0.0.1:{pod.port} does not answer within 5 s")
    facts = json.loads(pod.file.read_text())
    pod.file.write_text(json.dumps(facts | {"written_at": facts["written_at"] - 60}))  # nobody writes it any more
    code, text = pod.read("live")
    assert code == 1
    assert text.endswith("the worker's event loop stands still")


def test_a_store_that_is_gone_is_no_reason_to_restart_the_worker(pod: Pod) -> None:
    worker = pod.site.set(worker_poll_interval=0.1).worker().starts()
    pod.site.database.rename(pod.site.folder / "away.db")
    worker.says("the store cannot be reached")
    assert pod.ask("live")[0] == 0
    assert pod.ask("scheduler-health", "--minutes", "0.0001") == (
        0,
        "healthy: the store cannot be reached, so the canary cannot be judged",
    )
    assert pod.ask("ready") == (1, "not ready: the store cannot be reached")


def test_a_canary_that_is_missing_or_stale_has_its_own_exit_code(pod: Pod) -> None:
    worker = pod.site.worker(initialize_schedules="no").starts()
    assert "not completed within" in pod.comes_to(pod.ask, "scheduler-health", "--minutes", "0.001", code=4)
    assert pod.ask("scheduler-health")[0] == 0  # it has just come
    assert worker.stops() == 0
    other = pod.site.worker(scheduler_canary_task="pulse").starts()
    code, text = pod.ask("scheduler-health")
    assert code == 3
    assert "add @task('pulse', interval=60) to the app" in text
    assert other.stops() == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"canary_registered": False}, 3),
        ({"canary_age": 301.0}, 4),
        ({"canary_age": None}, 4),
        ({"canary_age": None, "up_for": 299.0}, 0),
        ({"canary_age": 301.0, "store_ok": False}, 0),
        ({"stuck_for": 31.0}, 1),
        ({"stuck_for": 31.0, "store_ok": False}, 1),
        ({"ready": False}, 0),
    ],
)
def test_how_scheduler_health_is_judged(facts: dict[str, Any], changes: dict[str, Any], code: int) -> None:
    assert judge(facts | changes, "scheduler-health")[0] == code


@pytest.mark.parametrize(
    ("changes", "live", "ready"), [({}, 0, 0), ({"ready": False}, 0, 1), ({"stuck_for": 31}, 1, 1)]
)
def test_how_live_and_ready_are_judged(facts: dict[str, Any], changes: dict[str, Any], live: int, ready: int) -> None:
    assert judge(facts | changes, "live")[0] == live
    assert judge(facts | changes, "ready")[0] == ready


@pytest.mark.parametrize(
    "call",
    [
        (),
        ("dead",),
        ("live", "--minutes"),
        ("live", "--minutes", "nan"),
        ("live", "--minutes", "-1"),
        ("live", "--minutes", "0"),
        ("live", "--port", "65536"),
        ("live", "--port", "http"),
        ("live", "--no-such-option", "1"),
        ("live", "now"),
    ],
)
def test_a_wrong_call_is_exit_code_2_and_shows_the_usage(site: Site, call: tuple[str, ...]) -> None:
    answer = site.probe(*call)
    assert (answer.code, answer.out) == (2, "")
    assert "usage: litestar-queues-probe" in answer.err
    assert "Traceback" not in answer.err


def test_without_a_worker_it_is_unhealthy_in_one_line(site: Site) -> None:
    site.write("broken.json", "{")
    site.write("foreign.json", "[]")
    site.write("partial.json", json.dumps({"written_at": 9e12}))
    calls: list[tuple[str, ...]] = [
        (),
        ("--port", str(free_port())),
        *(("--file", name) for name in ("missing.json", "broken.json", "foreign.json", "partial.json", ".")),
    ]
    for call in calls:
        answer = site.probe("live", *call)
        assert (answer.code, answer.out) == (1, "")
        assert answer.error_line.startswith("unhealthy: ")


def test_help_is_exit_code_0(site: Site) -> None:
    answer = site.probe("--help")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("usage: litestar-queues-probe scheduler-health|live|ready")
