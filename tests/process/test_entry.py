"""In: ``litestar-queues-worker``, process 1 of a container. Out: a worker that hears signals before all its imports."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.process.apps import APP
from tests.process.harness import STARTED, Process, Site, until

pytestmark = pytest.mark.process

ENDLESS_LITESTAR = """
import time
while True:
    try:
        time.sleep(0.02)
    except BaseException:
        pass
"""


def hears_sigterm(process: Process) -> bool:
    status = Path(f"/proc/{process.pid}/status").read_text()
    [caught] = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.skipif(sys.platform != "linux", reason="it is /proc that tells which signals a process takes")
def test_it_takes_signals_within_a_tenth_of_a_second_of_cpu(site: Site) -> None:
    worker = site.start("litestar-queues-worker")
    until("it takes SIGTERM", lambda: hears_sigterm(worker) or not worker.is_running)
    assert worker.cpu_seconds() < 0.1
    answer = worker.terminate().answer()
    assert (answer.code, answer.err) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="as above")
def test_a_signal_ends_it_whatever_an_import_of_litestar_swallows(empty_site: Site) -> None:
    empty_site.write("endless/litestar/__init__.py", ENDLESS_LITESTAR)
    worker = empty_site.start("litestar-queues-worker", env={"PYTHONPATH": str(empty_site.folder / "endless")})
    until("it takes SIGTERM", lambda: hears_sigterm(worker) or not worker.is_running)
    assert worker.stops() == 0


def test_it_is_a_worker_with_the_options_of_litestar_queues_run(site: Site) -> None:
    site.write("app.py", APP)
    site.enqueue("greet", queue="mail")
    site.enqueue("greet", queue="other")
    worker = site.start("litestar-queues-worker", "--queue", "mail", "--max-concurrency", "1").starts()
    site.noted("greet you")
    assert worker.stops() == 0
    assert sorted(record.status for record in site.records("greet")) == ["completed", "pending"]


def test_a_wrong_option_is_told_as_the_command_tells_it(site: Site) -> None:
    answer = site.start("litestar-queues-worker", "--max-concurrency", "0").answer()
    assert answer.code == 2
    assert "max-concurrency" in answer.error_line
    assert STARTED not in answer.err
