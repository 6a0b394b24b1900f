"""In: ``litestar queues run`` and its options. Out: a worker that claims what it was told to."""

from __future__ import annotations

import signal

import httpx
import pytest

from tests.process.apps import APP
from tests.process.harness import PATIENCE, STARTED, Site, free_port, until

pytestmark = pytest.mark.process


def test_the_queue_option_may_be_given_several_times_and_wins_over_the_setting(site: Site) -> None:
    site.set(worker_queues="c")
    for queue in ("a", "b", "c", "d"):
        site.enqueue("greet", queue, queue=queue)
    worker = site.worker("--queue", "a", "--queue", "b")
    site.noted("greet a")
    site.noted("greet b")
    other = site.worker()
    site.noted("greet c")
    assert (worker.stops(), other.stops()) == (0, 0)
    assert {record.queue for record in site.records("greet") if record.status == "pending"} == {"d"}
    assert worker.err.count("claims from a, b, ") == other.err.count("claims from c, ") == 1


def test_without_any_queue_it_claims_from_every_queue_and_with_an_option_so_many_at_a_time(site: Site) -> None:
    for queue in ("a", "b", "c"):
        site.enqueue("hold", queue, queue=queue)
    worker = site.worker("--max-concurrency", "2", worker_max_concurrency=3)
    until("two run", lambda: len(site.notes()) >= 2)
    until("it is told", lambda: "2 tasks at a time" in worker.err)
    assert sum(record.status == "running" for record in site.records("hold")) == 2
    site.go()
    site.becomes("hold", "completed")
    assert worker.stops() == 0


def test_the_canary_stays_healthy_with_full_slots_and_a_queue_filter(site: Site) -> None:
    site.enqueue("hold", queue="other")
    site.enqueue("greet", queue="other")
    worker = site.worker("--queue", "other", "--max-concurrency", "1")
    site.noted("hold ")
    site.noted("heartbeat", times=2)
    assert site.record("greet").status == "pending"
    assert site.queues("scheduler-health", "--minutes", "1").ends() == 0
    site.go()
    assert worker.stops() == 0


def test_it_says_that_it_has_started_once_it_claims(site: Site) -> None:
    site.set(queue_backend=f"sqlite:///{site.folder}/missing/queue.db")
    worker = site.worker().says("the store cannot be reached")
    assert STARTED not in worker.err
    (site.folder / "missing").mkdir()
    assert worker.starts().stops() == 0
    assert worker.err.splitlines().count(STARTED) == 1


LIFESPAN = """
from contextlib import asynccontextmanager

@asynccontextmanager
async def lifespan(app):
    note("entered")
    yield
    note("left")

app = Litestar(plugins=[QueuePlugin()], lifespan=[lifespan])
"""


def test_a_worker_enters_the_lifespan_first_and_leaves_it_after_its_tasks_have_ended(site: Site) -> None:
    site.write("app.py", APP + LIFESPAN)
    site.set(initialize_schedules="no")
    site.enqueue("hold")
    worker = site.worker()
    site.noted("hold ")
    worker.terminate().says("drains")
    site.go()
    assert worker.ends() == 0
    assert site.notes() == ["entered", "hold ", "held ", "left"]


def test_a_worker_may_be_told_not_to_enter_the_lifespan(site: Site) -> None:
    site.write("app.py", APP + LIFESPAN)
    site.set(initialize_schedules="no", worker_enters_lifespan="no")
    site.enqueue("greet")
    worker = site.worker()
    site.noted("greet you")
    site.becomes("greet", "completed")
    assert worker.stops() == 0
    assert site.notes() == ["greet you"]


DEPENDENT = """
from litestar.di import Provide

@task
async def lend(book):
    note(f"lend {book}")

dependencies = {"book": Provide(lambda: "Emma", sync_to_thread=False)}
app = Litestar(dependencies=dependencies, plugins=[QueuePlugin()])
"""


def test_the_dependencies_of_the_app_are_known_also_where_nobody_enters_its_lifespan(site: Site) -> None:
    site.write("app.py", APP + DEPENDENT)
    site.set(initialize_schedules="no", worker_enters_lifespan="no")
    assert site.queues("enqueue", "lend").answer().code == 0
    worker = site.worker()
    site.noted("lend Emma")
    assert worker.stops() == 0


def test_a_backend_of_one_process_comes_with_a_note(site: Site) -> None:
    site.set(queue_backend="memory")
    worker = site.worker().starts()
    assert worker.stops() == 0
    others = [site.queues("status", "--json").answer(), site.queues("scheduler-health").answer()]
    assert [one.code for one in others] == [0, 4]
    for err in (worker.err, *(one.err for one in others)):
        assert err.startswith("Note: this backend lives in one process")


WEB = """
from litestar import post
from litestar.di import NamedDependency
from litestar_queues import QueueService

@post("/hold")
async def enqueue_hold(queue_service: NamedDependency[QueueService]) -> str:
    return str((await queue_service.enqueue(hold)).id)

app = Litestar([enqueue_hold], plugins=[QueuePlugin()])
"""


def test_the_memory_backend_has_its_worker_in_the_web_app_and_that_drains_too(site: Site) -> None:
    site.write("app.py", APP + WEB)
    port = free_port()
    web = site.set(queue_backend="memory").start("litestar", "run", "--port", str(port))
    web.says("Uvicorn running")
    assert httpx.post(f"http://127.0.0.1:{port}/hold", timeout=PATIENCE).is_success
    site.noted("hold ")
    web.terminate().says("Waiting for application shutdown")
    site.go()
    site.noted("held ")
    assert web.ends() in {0, -signal.SIGTERM}  # uvicorn raises the signal again once it is done
    assert "Traceback" not in web.err


def test_a_wrong_setting_is_one_line_that_names_the_variable_and_what_it_accepts(site: Site) -> None:
    site.set(worker_max_concurrency="many")
    for process in [site.queues("run"), site.queues("status")]:
        answer = process.answer()
        assert (answer.code, answer.out) == (1, "")
        assert answer.error_line == (
            "Error: LITESTAR_QUEUES_WORKER_MAX_CONCURRENCY='many' is not accepted: use a whole number from 1 to 100000"
        )


def test_a_wrong_option_is_one_line_and_exit_code_2(site: Site) -> None:
    wrong = [
        ("run", "--drain-timeout", "nan"),
        ("run", "--drain-timeout", "inf"),
        ("run", "--drain-timeout", "-1"),
        ("run", "--max-concurrency", "0"),
        ("run", "--queue", ""),
        ("run", "--no-such-option"),
        ("scheduler-health", "--minutes", "nan"),
        ("migrate", "--sql", "--check"),
        ("no-such-command",),
    ]
    running = [(words, site.queues(*words)) for words in wrong]
    for words, process in running:
        answer = process.answer()
        assert (words, answer.code, answer.out) == (words, 2, "")
        assert answer.error_line.startswith("Error: ")
        assert words[1] in answer.error_line if len(words) > 1 else words[0] in answer.error_line
