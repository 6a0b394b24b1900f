"""In: signals before the worker claims. Out: an end at once, with nothing on stderr that looks like a crash."""

from __future__ import annotations

import signal
import time

import pytest

from tests.process.apps import APP
from tests.process.harness import STARTED, Answer, Site

pytestmark = pytest.mark.process

MILLISECONDS = (0, 50, 100, 150, 200, 250, 300, 400, 600)
BEFORE_PYTHON_COULD_TAKE_IT = -signal.SIGTERM


def ended_quietly(answer: Answer) -> bool:
    return answer.code == 0 and "Traceback" not in answer.err and STARTED not in answer.err


@pytest.mark.parametrize("after", MILLISECONDS)
def test_a_signal_soon_after_the_start_of_the_process_ends_it(site: Site, after: int) -> None:
    worker = site.worker()
    time.sleep(after / 1000)  # the moment of the signal is what is tested
    answer = worker.terminate().answer()
    assert answer.code in {0, BEFORE_PYTHON_COULD_TAKE_IT}
    assert "Traceback" not in answer.err
    assert "Warning" not in answer.err


SLOW_IMPORT = """
import time
from pathlib import Path

with open("notes.txt", "a") as notes:
    notes.write("importing\\n")
while not Path("go").exists():
    time.sleep(0.02)
"""

ENDLESS_IMPORT = """
import time
from pathlib import Path

Path("notes.txt").write_text("importing\\n")
while True:
    try:
        time.sleep(0.02)
    except BaseException as error:
        Path("notes.txt").write_text("swallowed\\n")
"""


def test_a_signal_during_a_slow_import_of_the_app_ends_the_process(site: Site) -> None:
    site.write("app.py", SLOW_IMPORT + APP)
    workers = {signal.SIGTERM: site.worker(), signal.SIGINT: site.worker()}
    site.noted("importing", times=2)
    for number, worker in workers.items():
        answer = worker.send(number).answer()
        assert ended_quietly(answer)
        assert answer.err == ""


def test_an_import_that_swallows_every_exception_does_not_hold_the_process_up(site: Site) -> None:
    site.write("app.py", ENDLESS_IMPORT + APP)
    site.enqueue("greet")
    worker = site.worker()
    site.noted("importing")
    assert ended_quietly(worker.terminate().answer())
    assert site.record("greet").status == "pending"


LIFESPANS = """
import os
from contextlib import asynccontextmanager

@asynccontextmanager
async def lifespan(app):
    note("entering")
    match os.environ["HANGS"]:
        case "politely":
            await asyncio.sleep(3600)
        case "stubbornly":
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    note("swallowed")
        case "with the loop":
            time.sleep(3600)
        case "at the end":
            yield
            note("leaving")
            await asyncio.sleep(3600)

app = Litestar(plugins=[QueuePlugin()], lifespan=[lifespan])
"""


def test_a_lifespan_that_hangs_at_the_start_is_cancelled(site: Site) -> None:
    site.write("app.py", APP + LIFESPANS)
    site.environment["HANGS"] = "politely"
    worker = site.worker()
    site.noted("entering")
    assert ended_quietly(worker.terminate().answer())


def test_a_lifespan_that_cannot_be_cancelled_does_not_hold_the_process_up(site: Site) -> None:
    site.write("app.py", APP + LIFESPANS)
    site.set(worker_final_cancel_timeout=0, worker_graceful_shutdown_timeout=0)
    workers = {how: site.queues("run", env={"HANGS": how}) for how in ("stubbornly", "with the loop", "at the end")}
    site.noted("entering", times=3)
    workers["at the end"].starts()
    for worker in workers.values():
        worker.terminate()
    codes = {how: worker.ends() for how, worker in workers.items()}
    assert codes == {"stubbornly": 2, "with the loop": 2, "at the end": 0}
    assert not any("Traceback" in worker.err for worker in workers.values())
