"""In: ``litestar queues exporter``. Out: scrapes of a real process that ends at once, and whose store may be away."""

from __future__ import annotations

import json
import signal
import socket
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.process.harness import Process, Site, free_port, until

pytestmark = pytest.mark.process

AT_ONCE = 5.0
"""Seconds; the machine may be busy."""


def start(site: Site, *arguments: str, env: dict[str, str] | None = None) -> tuple[Process, int]:
    """Start an exporter that listens."""
    port = free_port()
    process = site.queues("exporter", "--port", str(port), *arguments, env=env)
    return process.says(f"litestar queues exporter listens on 127.0.0.1:{port}"), port


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def scrape(port: int) -> list[str]:
    status, text = get(port, "/metrics")
    assert status == 200
    return text.splitlines()


def test_it_counts_what_other_processes_enqueue(site: Site) -> None:
    site.set(initialize_schedules="no")
    site.enqueue("greet", times=3)
    site.enqueue("greet", delay=3600, queue="later")
    _, port = start(site)
    lines = scrape(port)
    assert "litestar_queues_up 1.0" in lines
    assert 'litestar_queues_tasks{queue="default",status="pending"} 3.0' in lines
    assert 'litestar_queues_tasks{queue="later",status="scheduled"} 1.0' in lines
    status, text = get(port, "/queues.json")
    found: Any = json.loads(text)
    assert status == 200
    assert found["totals"]["demand"] == 3
    assert get(port, "/healthz") == (200, "ok\n")
    assert get(port, "/")[0] == 404


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_with_exit_code_0(site: Site, number: int) -> None:
    process, port = start(site)
    with socket.create_connection(("127.0.0.1", port)):  # a client that never says anything does not hold it up
        began = time.monotonic()
        answer = process.send(number).answer()
    assert time.monotonic() - began < AT_ONCE
    assert (answer.code, answer.out) == (0, "")
    assert "Traceback" not in answer.err


def test_a_signal_while_the_app_is_imported_ends_it_with_exit_code_0(empty_site: Site) -> None:
    empty_site.write("app.py", "import sys, time\nprint('importing', file=sys.stderr, flush=True)\ntime.sleep(3600)\n")
    process = empty_site.queues("exporter").says("importing")
    assert process.stops() == 0
    assert "Traceback" not in process.err


def test_a_store_that_is_not_there_is_up_0_until_it_comes(site: Site) -> None:
    env = {"LITESTAR_QUEUES_QUEUE_BACKEND": f"sqlite:///{site.folder / 'later' / 'queue.db'}"}
    process, port = start(site, env=env)
    lines = scrape(port)
    assert "litestar_queues_up 0.0" in lines
    assert not [line for line in lines if line.startswith("litestar_queues_tasks{")]
    assert get(port, "/queues.json") == (503, '{"up": false}\n')
    assert get(port, "/healthz") == (200, "ok\n")
    (site.folder / "later").mkdir()
    until("the store is up", lambda: "litestar_queues_up 1.0" in scrape(port), more=lambda: process.err)
    assert process.stops() == 0
    assert process.err.count("the store cannot be reached") == 1
    assert process.err.count("the store is reached again") == 1


def test_a_store_that_hangs_does_not_hold_up_the_end(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+asyncpg://user@127.0.0.1:{silent.getsockname()[1]}/database"
        process, port = start(site, env={"LITESTAR_QUEUES_QUEUE_BACKEND": url})
        with socket.create_connection(("127.0.0.1", port)) as scraper:
            scraper.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            asked, _ = silent.accept()  # the exporter asks, and hears nothing
            with asked:
                began = time.monotonic()
                assert process.stops() == 0
    assert time.monotonic() - began < AT_ONCE
    assert "Traceback" not in process.err


def test_a_worker_serves_its_own_metrics_on_the_health_port(site: Site) -> None:
    port = free_port()
    site.set(health_port=port)
    worker = site.worker().starts()
    site.enqueue("greet", times=2)
    finished = 'litestar_queues_tasks_finished_total{outcome="completed",queue="default",task="greet"} 2.0'
    until("the worker has told of both", lambda: finished in scrape(port), more=lambda: "\n".join(scrape(port)))
    lines = scrape(port)
    assert "litestar_queues_store_up 1.0" in lines
    assert any(line.startswith("process_cpu_seconds_total ") for line in lines)
    assert worker.stops() == 0


def test_wrong_calls_are_one_line(site: Site) -> None:
    port = free_port()
    calls = {
        ("--port", "65536"): (2, "Invalid value for '--port'"),
        ("--port", "soon"): (2, "Invalid value for '--port'"),
        ("--host", "no such host", "--port", "0"): (1, "the exporter cannot bind no such host:0"),
        ("--port", str(port)): (1, f"the exporter cannot bind 127.0.0.1:{port}"),
        ("surplus",): (2, "unexpected extra argument"),
    }
    with socket.create_server(("127.0.0.1", port)):
        running = {call: site.queues("exporter", *call) for call in calls}
        for call, (code, text) in calls.items():
            answer = running[call].answer()
            assert answer.code == code
            assert text in answer.error_line
            assert answer.error_line.startswith("Error: ")
