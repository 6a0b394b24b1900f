"""In: a store. Out: worker and producer processes on it that a fault may hurt, and what they said."""

from __future__ import annotations

import os
import random
import re
import signal
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.ledger.stores import Store
from tests.process.harness import SCRIPTS, Process, free_port, until

__all__ = ("HEARTBEAT", "LEASE", "Stage")

ROOT = Path(__file__).parents[2]
LEASE, HEARTBEAT = 3.0, 1.0
"""Seconds: short, so that a scenario takes half a minute."""
_LONGEST = 100.0


class Stage:
    """The processes of one scenario.

    Args:
        folder: For side logs and what the processes print.
        store: Where the records are.
        seed: Of every random choice.
    """

    def __init__(self, folder: Path, store: Store, seed: int, **settings: object) -> None:
        self.folder = folder
        self.store = store
        self.random = random.Random(seed)
        self.workers: list[Process] = []
        self.producers: list[Process] = []
        self.all: list[Process] = []
        self.disk = folder
        """The disk that the store lies on."""
        self._ports: dict[int, int] = {}
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("LITESTAR_", "PYTHON"))}
        self.environment = plain | {"LITESTAR_APP": "tests.ledger.app:app", "LEDGER_FOLDER": str(folder)}
        self.set(worker_stale_after=LEASE, worker_heartbeat_interval=HEARTBEAT, worker_poll_interval=0.5)
        self.set(worker_max_concurrency=20, worker_graceful_shutdown_timeout=5, worker_final_cancel_timeout=1)
        self.set(**settings)
        self.set(**store.settings)

    def set(self, **settings: object) -> None:
        """Settings of every process that is started from now on."""
        for name, value in settings.items():
            self.environment[f"LITESTAR_QUEUES_{name.upper()}"] = str(value)

    # processes

    def worker(self, **environment: str) -> Process:
        """Start a worker."""
        port = free_port()
        environment = {"LITESTAR_QUEUES_HEALTH_PORT": str(port), **environment}
        process = self._start([str(SCRIPTS / "litestar"), "queues", "run"], environment)
        self._ports[process.pid] = port
        self.workers.append(process)
        return process

    def producer(self) -> Process:
        """Start a producer."""
        seed = str(self.random.randrange(2**32))
        process = self._start([sys.executable, "-m", "tests.ledger.producer", seed], {})
        self.producers.append(process)
        return process

    def _start(self, command: list[str], environment: dict[str, str]) -> Process:
        log = self.folder / f"process-{len(self.all)}"
        env = self.environment | {"LITESTAR_QUEUES_QUEUE_BACKEND": self.store.url} | environment
        process = Process(command, ROOT, env, log)
        self.all.append(process)
        return process

    def pick(self, among: list[Process]) -> Process:
        """Take one away."""
        return among.pop(self.random.randrange(len(among)))

    def pause(self, low: float, high: float | None = None) -> None:
        """Let time pass."""
        time.sleep(low if high is None else self.random.uniform(low, high))

    # the acts

    def open(self, workers: int, producers: int) -> None:
        """Start everybody, and wait until records end."""
        self.store.install()
        for _ in range(workers):
            self.worker()
        for _ in range(producers):
            self.producer()
        for process in self.workers:
            process.starts()
        self.until("first records have ended", lambda: "completed" in str(self.store.ask(_ENDED)))

    def finish(self) -> None:
        """Let producers stop, let every record end, let the workers leave."""
        for process in self.producers:
            process.terminate()
        for process in self.producers:
            assert process.ends(60) in {0, -signal.SIGTERM}, process.err
        self.until("every record has ended", lambda: self.store.waiting() == 0)

    def leave(self) -> None:
        """Stop the workers; a clean end."""
        for process in self.workers:
            process.terminate()
        codes = [process.ends(30) for process in self.workers]
        assert not any(codes), f"workers ended with {codes}:\n{self.said()}"

    def close(self) -> None:
        """Kill what is left."""
        for process in self.all:
            process.kill()

    def until(self, what: str, check: Callable[[], object]) -> None:
        """Wait, but not for ever; a store that cannot be asked has not got there."""

        def checked() -> object:
            try:
                return check()
            except Exception:
                return False

        until(what, checked, within=_LONGEST, more=lambda: f"{self.store.kind}: {self.said()}")

    # what they said

    def said(self) -> str:
        """What all workers printed."""
        return "\n".join(process.err for process in self.all)

    def metric(self, name: str) -> float:
        """The sum over the living workers."""
        total = 0.0
        for process in self.workers:
            if process.is_running:
                url = f"http://127.0.0.1:{self._ports[process.pid]}/metrics"
                with urllib.request.urlopen(url, timeout=10) as answer:
                    lines = answer.read().decode()
                found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", lines, re.MULTILINE)
                total += sum(float(value) for value in found)
        return total

    def send_worker(self, number: int) -> Process:
        """Send one of the workers a signal; it stays."""
        return self.random.choice(self.workers).send(number)


_ENDED = "select distinct status from ledger_audit where status = 'completed'"
STOP, GO, KILL = signal.SIGSTOP, signal.SIGCONT, signal.SIGKILL
