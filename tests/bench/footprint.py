"""In: a worker process, idle and busy. Out: the memory that it holds, and whether that grows."""

from __future__ import annotations

import sqlite3
import sys
import time
from pathlib import Path

import psutil

from tests.bench.counter import Counter
from tests.bench.lab import Lab, median, rss, until
from tests.bench.report import Result
from tests.bench.startup import PHOTOS

__all__ = ("run",)

_STARTED = "litestar queues worker started"
_LEFT = "select count(*) from lq_record where status in ('pending', 'scheduled', 'running')"
_IMPORT_AND_WAIT = "import app, time; app.create_app(); time.sleep(60)"
_WARM_UP = 20_000
_CHUNK = 20_000


def run(lab: Lab) -> list[Result]:
    """Measure."""
    taken = lab.in_turns({"app": lambda: _of_app(lab), "idle": lambda: _of_idle_worker(lab)})
    number = lab.size(200_000, 40_000)
    warm, after = _of_busy_worker(lab, number)
    return [
        Result(
            what="memory of an idle worker with the example app",
            value=median(taken["idle"]),
            unit="MiB",
            limit=median(taken["app"]),
            limit_is="MiB, the app without a worker",
            target=80.0,
            target_is="below 80 MiB",
            better="less",
        ),
        Result(
            what=f"memory after {number:,} tasks",
            value=after,
            unit="MiB",
            limit=warm,
            limit_is=f"MiB, after {_WARM_UP:,}",
            target=5.0,
            judged=max((after / warm - 1) * 100, 0.01),
            target_is="below 5 % more",
            better="less",
        ),
    ]


def _of_app(lab: Lab) -> float:
    with lab.process([sys.executable, "-c", _IMPORT_AND_WAIT], cwd=PHOTOS) as process:
        time.sleep(2)
        return rss(process)


def _of_idle_worker(lab: Lab) -> float:
    data = lab.path("")
    env = {"LITESTAR_QUEUES_QUEUE_BACKEND": f"sqlite:///{lab.path('.db')}", "PHOTOS_DATA": str(data)}
    litestar = str(Path(sys.executable).parent / "litestar")
    with lab.process([litestar, "queues", "run"], cwd=PHOTOS, env=env) as process:
        time.sleep(lab.size(5, 3))
        return rss(process)


def _of_busy_worker(lab: Lab, number: int) -> tuple[float, float]:
    """MiB after the warm-up, and after the rest; records come in chunks, as they do in life."""
    path, counter = lab.path(".db"), lab.path(".counter")
    seen = Counter(counter, create=True)
    done = 0
    with lab.worker(path, counter) as process:
        until(path.exists, process)
        time.sleep(1)
        held = [0.0]
        for size in (_WARM_UP, *[_CHUNK] * (number // _CHUNK)):
            lab.ask("fill", path, done + size, done)
            done += size
            _drained(process, seen, path, done)
            held.append(rss(process))
        return held[1], held[-1]


def _drained(process: psutil.Process, seen: Counter, path: Path, number: int) -> None:
    until(lambda: seen.count >= number, process)
    connection = sqlite3.connect(path, timeout=30)
    until(lambda: not connection.execute(_LEFT).fetchone()[0], process)
    connection.close()
