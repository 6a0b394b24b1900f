"""In: a store. Out: worker and producer processes on it that a fault may hurt, and what they said."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.ledger.sidelog import SideLog
from tests.ledger.stores import Store
from tests.process.harness import SCRIPTS, Process, until

__all__ = ("HEARTBEAT", "LEASE", "Crew", "Stage")

ROOT = Path(__file__).parents[2]
LEASE, HEARTBEAT = 3.0, 1.0
"""Seconds: short, so that a scenario takes half a minute."""
_LONGEST = 100.0


class Crew:
    """Worker processes on a database.

    Args:
        folder: For side logs and what the processes print.
        seed: Of every random choice.
        app: Where Litestar finds the app of the workers.
        settings: Of the queue.
    """

    def __init__(self, folder: Path, *, seed: int, app: str, **settings: object) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.workers: list[Process] = []
        self.all: list[Process] = []
        self._ports: dict[int, int] = {}
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("LITESTAR_", "PYTHON"))}
        self.environment = plain | {"LITESTAR_APP": app, "LEDGER_FOLDER": str(folder)}
        self.set(**settings)

    @property
    def url(self) -> str:
        """The database."""
        raise NotImplementedError

    def set(self, **settings: object) -> None:
        """Settings of every process that is started from now on."""
        for name, value in settings.items():
            self.environment[f"LITESTAR_QUEUES_{name.upper()}"] = str(value)

    def worker(self, **environment: str) -> Process:
        """Start a worker."""
        port = _free_port()
        environment = {"LITESTAR_QUEUES_HEALTH_PORT": str(port), **environment}
        process = self._start([str(SCRIPTS / "litestar"), "queues", "run"], environment)
        self._ports[process.pid] = port
        self.workers.append(process)
        return process

    def _start(self, command: list[str], environment: dict[str, str]) -> Process:
        log = self.folder / f"process-{len(self.all)}"
        env = self.environment | {"LITESTAR_QUEUES_QUEUE_BACKEND": self.url} | environment
        process = Process(command, ROOT, env, log)
        self.all.append(process)
        return process

    def close(self) -> None:
        """Kill what is left."""
        for process in self.all:
            process.kill()

    def said(self) -> str:
        """What all workers printed."""
        return "\n".join(process.err for process in self.all)

    def metric(self, name: str) -> float:
        """The sum over the living workers."""
        total = 0.0
        for process in self.workers:
            if process.is_running:
                url = f"http://127.0.0.1:{self._ports[process.starts().pid]}/metrics"
                with urllib.request.urlopen(url, timeout=10) as answer:
                    lines = answer.read().decode()
                found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", lines, re.MULTILINE)
                total += sum(float(value) for value in found)
        return total


class Stage(Crew):
    """The processes of one scenario.

    Args:
        store: Where the records are.
    """

    def __init__(self, folder: Path, store: Store, *, seed: int, **settings: object) -> None:
        short = {"worker_stale_after": LEASE, "worker_heartbeat_interval": HEARTBEAT, "worker_poll_interval": 0.5}
        plain = {"worker_max_concurrency": 20, "worker_graceful_shutdown_timeout": 5, "worker_final_cancel_timeout": 1}
        given = short | plain | settings | store.settings
        super().__init__(folder, seed=seed, app="tests.ledger.app:app", **given)
        self.store = store
        self.disk = folder
        """The disk that the store lies on."""
        self.producers: list[Process] = []

    @property
    def url(self) -> str:
        return self.store.url

    def producer(self) -> Process:
        """Start a producer."""
        seed = str(self.random.randrange(2**32))
        process = self._start([sys.executable, "-m", "tests.ledger.producer", seed], {})
        self.producers.append(process)
        return process

    def send_worker(self, number: int) -> Process:
        """Send one of the workers a signal; it stays."""
        return self.random.choice(self.workers).send(number)

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
        log = SideLog(self.folder, "stage")
        for record_id in self.store.cancel("ledger.endless"):  # whoever would have done it was killed
            log.write("cancel", id=record_id)
        self.until("every record has ended", lambda: self.store.waiting() == 0)

    def leave(self) -> None:
        """Stop the workers; a clean end."""
        for process in self.workers:
            process.terminate()
        codes = [process.ends(30) for process in self.workers]
        assert not any(codes), f"workers ended with {codes}:\n{self.said()}"

    def until(self, what: str, check: Callable[[], object]) -> None:
        """Wait, but not for ever; a store that cannot be asked has not got there."""

        def checked() -> object:
            try:
                return check()
            except Exception:
                return False

        until(what, checked, within=_LONGEST, more=lambda: f"{self.store.kind}: {self.said()[-3000:]}")


def _free_port() -> int:
    """One that the kernel does not give to the end of some connection in the next moment."""
    while True:
        port = random.randrange(20_000, 32_000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port


_ENDED = "select distinct status from ledger_audit where status = 'completed'"
