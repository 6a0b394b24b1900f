"""In: numbers of worker processes. Out: what they drain together from one PostgreSQL server, and who has the cores."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from tests.bench.counter import Counter
from tests.bench.lab import ROOT, Lab, median, until
from tests.bench.postgres import Databases, databases

_CONCURRENCY = 500
_LEFT = "select count(*) from lq_live"


def measure(lab: Lab, made: Databases, workers: int, number: int) -> tuple[float, float, float]:
    """Tasks a second, and how many cores the workers and the server had."""
    url = made.new()
    lab.ask("fill", url, number)
    paths = [lab.path(".counter") for _ in range(workers)]
    counters = [Counter(path, create=True) for path in paths]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(lab.process(lab.child("worker", url, path, _CONCURRENCY), cwd=ROOT)) for path in paths
        ]
        look = stack.enter_context(import_module("psycopg").connect(made.plain(url), autocommit=True))
        until(lambda: all(one.count > 0 for one in counters), processes[0])
        began, ahead = time.monotonic(), sum(one.count for one in counters)
        before = _seconds(processes), _seconds(_servers())
        until(lambda: sum(one.count for one in counters) >= number, processes[0])
        while look.execute(_LEFT).fetchone()[0]:
            time.sleep(0.005)
        took = time.monotonic() - began
        after = _seconds(processes), _seconds(_servers())
    return (number - ahead) / took, (after[0] - before[0]) / took, (after[1] - before[1]) / took


def _servers() -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["name"]) if one.info["name"] == "postgres"]


def _seconds(processes: Sequence[psutil.Process]) -> float:
    total = 0.0
    for one in processes:
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def main() -> None:
    """Take the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--number", type=int, default=100_000)
    options = parser.parse_args()
    taken: dict[int, list[tuple[float, float, float]]] = {workers: [] for workers in options.workers}
    with TemporaryDirectory() as folder, databases() as made:
        lab = Lab(Path(folder), Path(folder), options.repeats)
        for turn in range(options.repeats):
            for workers in options.workers if turn % 2 == 0 else reversed(options.workers):
                taken[workers].append(measure(lab, made, workers, options.number))
    print("| worker processes | tasks a second | cores of the workers | cores of the server |\n|---|---|---|---|")
    for workers, samples in taken.items():
        rate, ours, servers = (median([sample[at] for sample in samples]) for at in range(3))
        print(f"| {workers} | {rate:,.0f} | {ours:.2f} | {servers:.2f} |")


if __name__ == "__main__":
    main()
