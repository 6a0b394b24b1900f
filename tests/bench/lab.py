"""In: what the command line asks for. Out: a folder, child processes and samples taken in turns."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psutil

__all__ = ("ROOT", "Lab", "median", "rss", "until")

ROOT = Path(__file__).parents[2]
_PATIENCE = 120.0

_names = count()


@dataclass(frozen=True, slots=True)
class Lab:
    """Where and how much to measure."""

    folder: Path
    """A folder of this run, on the disk that is measured."""
    cache: Path
    """Where peers are installed, once."""
    repeats: int
    quick: bool = False
    peers: bool = False

    def size(self, full: int, quick: int) -> int:
        """One of two sizes of a workload."""
        return quick if self.quick else full

    def path(self, suffix: str) -> Path:
        """A new name in the folder."""
        return self.folder / f"{next(_names)}{suffix}"

    def in_turns(self, samples: Mapping[str, Callable[[], float | None]]) -> dict[str, list[float]]:
        """Take each sample so often, in turns and in changing order, so that a noisy minute hits all alike."""
        taken: dict[str, list[float]] = defaultdict(list)
        names = list(samples)
        for turn in range(self.repeats):
            for name in names if turn % 2 == 0 else reversed(names):
                value = samples[name]()
                if value is not None:
                    taken[name].append(value)
        return taken

    def ask(self, role: str, *arguments: object) -> Any:
        """Run a role of ``tests.bench.child`` in a fresh process and give what it answers."""
        done = subprocess.run(
            self.child(role, *arguments), cwd=ROOT, capture_output=True, text=True, timeout=_PATIENCE * 4, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{role} failed:\n{done.stderr[-2000:]}")
        return json.loads(done.stdout.splitlines()[-1])

    @contextmanager
    def worker(self, path: Path, counter: Path, concurrency: int = 100) -> Iterator[psutil.Process]:
        """A worker process on a database file."""
        with self.process(self.child("worker", path, counter, concurrency), cwd=ROOT) as process:
            yield process

    @staticmethod
    def child(role: str, *arguments: object) -> list[str]:
        """The command line of a role of ``tests.bench.child``."""
        return [sys.executable, "-m", "tests.bench.child", role, *map(str, arguments)]

    @contextmanager
    def process(
        self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None
    ) -> Iterator[psutil.Process]:
        """A process that is ended on leaving; its output goes to a log in the folder."""
        log = self.path(".log")
        with log.open("wb") as output:
            child = subprocess.Popen(
                command, cwd=cwd, env=os.environ | (env or {}), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            yield psutil.Process(child.pid)
            if child.poll() is not None:
                raise RuntimeError(f"process {child.pid} ended before its time")
        except Exception as error:
            error.add_note(f"{' '.join(command)} printed:\n{log.read_text('utf-8')[-2000:]}")
            raise
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def until(condition: Callable[[], bool], process: psutil.Process, *, within: float = _PATIENCE) -> bool:
    """Wait for a condition while the process lives; ``False`` where the time is over before."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            raise RuntimeError(f"process {process.pid} ended before its time")
        time.sleep(0.002)
    return True


def median(values: Sequence[float]) -> float:
    """The middle of some samples."""
    return statistics.median(values)


def rss(process: psutil.Process) -> float:
    """Resident memory in MiB."""
    return float(process.memory_info().rss) / 2**20
