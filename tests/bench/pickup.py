"""In: an idle worker and a producer in another process. Out: how soon a task starts, and what idleness costs."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from tests.bench.counter import Counter
from tests.bench.lab import Lab, median, until
from tests.bench.report import Result

__all__ = ("run",)

_PAUSE = 0.31
"""Seconds between two tasks: longer than a worker stays alert after one, so that each finds it idle."""


def run(lab: Lab) -> list[Result]:
    """Measure."""
    waits, commits, idle = list[float](), list[float](), list[float]()
    for _ in range(lab.repeats):
        commits += lab.ask("plain", "commits", lab.path(".db"), 100)
        share, these = _one_worker(lab)
        idle.append(share)
        waits += these
    return [
        _latency("pick-up from another process, p50", waits, 0.5, commits, target=10.0),
        _latency("pick-up from another process, p99", waits, 0.99, commits, target=30.0),
        Result(
            what="CPU of an idle worker",
            value=median(idle) * 100,
            unit="% of a core",
            target=1.0,
            target_is="below 1 %",
            better="less",
        ),
    ]


def _one_worker(lab: Lab) -> tuple[float, list[float]]:
    """What a worker computes while it is idle, and how long each task then waits."""
    path, counter = lab.path(".db"), lab.path(".counter")
    seen = Counter(counter, create=True)
    with lab.worker(path, counter) as process:
        until(path.exists, process)
        lab.ask("fill", path, 1)
        until(lambda: seen.count > 0, process)
        time.sleep(1.5)
        share = _share_of_core(process, lab.size(10, 3))
        return share, _waits(lab, process, seen, path, lab.size(100, 25))


def _waits(lab: Lab, process: psutil.Process, seen: Counter, path: Path, number: int) -> list[float]:
    """Milliseconds from each enqueue call, its commit included, to the first line of the task."""
    calls = lab.ask("produce", path, number, _PAUSE)
    until(lambda: seen.count > number + 1, process)
    return [(seen.started_at(i) - called) * 1000 for i, called in enumerate(calls)]


def _share_of_core(process: psutil.Process, seconds: float) -> float:
    before, began = process.cpu_times(), time.monotonic()
    time.sleep(seconds)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / (time.monotonic() - began)


def _latency(what: str, waits: list[float], share: float, commits: list[float], *, target: float) -> Result:
    return Result(
        what=what,
        value=_quantile(waits, share),
        unit="ms",
        limit=_quantile(commits, share),
        limit_is="ms, a commit",
        target=target,
        target_is=f"below {target:g} ms",
        better="less",
    )


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
