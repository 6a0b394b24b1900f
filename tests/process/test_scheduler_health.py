"""In: ``litestar queues scheduler-health``. Out: 0 healthy, 1 no store, 3 no canary, 4 stale, each in one line."""

from __future__ import annotations

import re

import pytest

from tests.process.apps import APP
from tests.process.harness import Site, until

pytestmark = pytest.mark.process

HEALTHY = re.compile(r"healthy: scheduler\.heartbeat completed \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{6})?\+00:00\n")


def test_it_is_stale_until_the_canary_has_completed_and_again_once_that_is_long_ago(site: Site) -> None:
    never = site.queues("scheduler-health").answer()
    assert (never.code, never.out) == (4, "")
    assert never.error_line == "stale: scheduler.heartbeat has not completed within 5 minutes, it never has"

    worker = site.worker()
    until("it has run", lambda: any(record.status == "completed" for record in site.records("scheduler.heartbeat")))
    healthy, strict = site.queues("scheduler-health"), site.queues("scheduler-health", "--minutes", "10")
    for process in (healthy, strict):
        answer = process.answer()
        assert (answer.code, answer.err) == (0, "")
        assert HEALTHY.fullmatch(answer.out)
    assert worker.stops() == 0

    long_ago = "update lq_record set completed_at = completed_at - 400 * 1000000 where completed_at is not null"
    site.sql(long_ago)
    stale, lenient = site.queues("scheduler-health"), site.queues("scheduler-health", "--minutes", "7.5")
    assert (stale.ends(), lenient.ends()) == (4, 0)
    assert re.fullmatch(
        r"stale: scheduler\.heartbeat has not completed within 5 minutes, the last time was .*\+00:00\n", stale.err
    )


def test_a_canary_that_nobody_registered_is_exit_code_3_and_says_how_to(site: Site) -> None:
    other = site.queues("scheduler-health", env={"LITESTAR_QUEUES_SCHEDULER_CANARY_TASK": "pulse"})
    site.write("bare.py", APP.replace('@task("scheduler.heartbeat", interval=1)', "@task"))
    bare = site.start("litestar", "--app", "bare:app", "queues", "scheduler-health")
    for process, name in ((other, "pulse"), (bare, "scheduler.heartbeat")):
        answer = process.answer()
        assert (answer.code, answer.out) == (3, "")
        assert f"add @task('{name}', interval=60) to the app" in answer.error_line
        assert "QueueConfig.scheduler_canary_task" in answer.error_line


def test_the_canary_may_bear_another_name_and_live_in_a_task_module(site: Site) -> None:
    site.set(scheduler_canary_task="pulse", task_modules="jobs")
    site.write("jobs.py", "from litestar_queues import task\n\n@task('pulse', interval=1)\nasync def pulse(): ...\n")
    worker = site.worker()
    until("it has run", lambda: any(record.status == "completed" for record in site.records("pulse")))
    answer = site.queues("scheduler-health").answer()
    assert answer.code == 0
    assert answer.out.startswith("healthy: pulse completed ")
    assert worker.stops() == 0


def test_an_unreachable_backend_is_one_line_and_exit_code_1(site: Site) -> None:
    answer = site.set(queue_backend="sqlite:///missing/queue.db").queues("scheduler-health").answer()
    assert (answer.code, answer.out) == (1, "")
    assert answer.error_line.startswith("Error: sqlite file missing/queue.db cannot be used now")
