"""In: a password in the address of the store. Out: every command, port and failure, and not one of them tells it."""

from __future__ import annotations

import traceback
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from litestar_queues import QueueConfig, QueueService
from litestar_queues.backends import create_backend
from litestar_queues.errors import QueueError
from litestar_queues.registry import TaskRegistry
from tests.postgres.server import Server
from tests.process.apps import TASKS
from tests.process.harness import Process, Site, free_port, until

PASSWORD = "pa55-canary-word"
APP = f"""
import logging
from litestar import Litestar
from litestar_queues import QueuePlugin, get_task_registry
{TASKS}
@task
async def fail():
    raise ValueError("no luck")

app = Litestar(plugins=[QueuePlugin()])
logging.getLogger().setLevel(logging.DEBUG)  # Litestar has set it to INFO
"""
QUESTIONS = [
    "status --json", "migrate --sql", "list --json", "workers", "schedules", "enqueue fail", "enqueue nope", "show 1",
]  # fmt: skip
FAILING = {
    "no such host": ("?host=", "?host=/nowhere"),
    "no such database": ("/postgres?", "/nowhere?"),
    "no such user": ("//postgres:", "//nobody:"),
    "no such driver": ("postgresql+", "postgresql+no-"),
    "no such port": ("@/", "@[/"),
}


def address(server: Server, driver: str) -> str:
    return server.url(driver).replace("//postgres@", f"//postgres:{PASSWORD}@")


@pytest.fixture
def url(postgres_server: Server) -> str:
    return address(postgres_server, "asyncpg")


@pytest.fixture
def site(tmp_path: Path, url: str, postgres_server: Server) -> Iterator[Site]:
    site = Site(tmp_path)
    site.write("app.py", APP)
    site.set(queue_backend=url, postgres_prefix=postgres_server.new_prefix(), startup_timeout=1)
    yield site
    site.close()


def get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
        return str(answer.read().decode())


def tell_nothing(*processes: Process) -> None:
    for process in processes:
        assert PASSWORD not in process.out + process.err


@pytest.mark.process
@pytest.mark.timeout(120)
def test_no_command_no_port_and_no_process_list_tells_the_password(site: Site) -> None:
    health, metrics = free_port(), free_port()
    worker = site.worker(health_port=health).starts()
    exporter = site.queues("exporter", "--port", str(metrics)).says("exporter listens")
    for process in (worker, exporter):
        assert PASSWORD not in Path(f"/proc/{process.pid}/cmdline").read_text()
        assert PASSWORD in Path(f"/proc/{process.pid}/environ").read_text()  # else this test would look for nothing
    questions = []
    for at in range(0, len(QUESTIONS), 3):  # a few at a time
        some = [site.queues(*question.split()) for question in QUESTIONS[at : at + 3]]
        for process in some:
            process.ends()
        questions += some
    until("the task has failed", lambda: "no luck" in worker.err)
    assert "DEBUG" in worker.err
    pages = [get(health, path) for path in ("/live", "/facts", "/metrics")]
    pages += [get(metrics, path) for path in ("/healthz", "/metrics", "/queues.json")]
    assert [page for page in pages if PASSWORD in page] == []
    assert (worker.stops(), exporter.stops()) == (0, 0)
    tell_nothing(worker, exporter, *questions)


@pytest.mark.process
@pytest.mark.parametrize("wrong", FAILING)
def test_no_failure_tells_the_password(site: Site, url: str, wrong: str) -> None:
    before, after = FAILING[wrong]
    assert before in url
    site.set(queue_backend=url.replace(before, after))
    processes = [site.queues(*words.split()) for words in ("status", "run")]
    for process in processes:
        assert process.ends() == 1
        assert "Traceback" not in process.err
    tell_nothing(*processes)


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_no_value_of_ours_shows_the_password_and_no_traceback(postgres_server: Server, driver: str) -> None:
    url = address(postgres_server, driver)
    for wrong in (url, *(url.replace(*change) for change in FAILING.values())):
        config = QueueConfig(queue_backend=wrong, postgres_prefix=postgres_server.new_prefix())
        shown = [repr(config), str(config)]
        try:
            backend = create_backend(config)
            shown += [repr(backend), backend.describe(), repr(vars(backend))]
            async with QueueService(config, registry=TaskRegistry()) as service:
                shown += [repr(service), repr(vars(service))]
        except QueueError as error:
            shown += ["".join(traceback.format_exception(error)), repr(error)]
        assert [text for text in shown if PASSWORD in text] == []
