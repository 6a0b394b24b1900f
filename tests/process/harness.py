"""In: a folder with an app. Out: real processes that work on it, and what became of its records."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from litestar_queues import QueueConfig
from litestar_queues.backends import create_backend
from litestar_queues.backends.base import QueueBackend
from litestar_queues.records import QueuedTaskRecord, RecordFilter
from tests.builders import make_record

__all__ = ("PATIENCE", "STARTED", "Answer", "Process", "Site", "free_port", "until")

SCRIPTS = Path(sys.executable).parent
PATIENCE = 40.0
"""Seconds after which whatever was waited for will not happen any more; below pytest's own limit."""
STARTED = "litestar queues worker started"


def until(what: str, check: Callable[[], Any], *, within: float = PATIENCE, more: Callable[[], str] = str) -> None:
    """Ask again and again, for a limited time."""
    deadline = time.monotonic() + within
    while not check():
        assert time.monotonic() < deadline, f"in vain waited until {what}\n{more()}"
        time.sleep(0.02)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass(frozen=True)
class Answer:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def error_line(self) -> str:
        """The one line on stderr."""
        assert "Traceback" not in self.err
        assert self.err.count("\n") == 1, f"one line expected:\n{self.err}"
        return self.err.strip()


class Process:
    """One process of a site."""

    def __init__(self, command: Sequence[str], folder: Path, environment: dict[str, str], log: Path) -> None:
        self.began = time.monotonic()
        self._out, self._err = log.with_suffix(".out"), log.with_suffix(".err")
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._popen = subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )
        self.pid = self._popen.pid

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    @property
    def is_running(self) -> bool:
        return self._popen.poll() is None

    def starts(self) -> Process:
        """Wait until it says that it claims."""
        return self.says(STARTED)

    def says(self, text: str) -> Process:
        """Wait until the text is on stderr."""
        until(f"stderr has {text!r}", lambda: text in self.err or not self.is_running, more=lambda: self.err)
        assert text in self.err, f"it ended with {self._popen.returncode} and never said {text!r}:\n{self.err}"
        return self

    def send(self, *signals: int) -> Process:
        for number in signals:
            self._popen.send_signal(number)
        return self

    def terminate(self) -> Process:
        return self.send(signal.SIGTERM)

    def ends(self, within: float = PATIENCE) -> int:
        """Wait for the exit code."""
        try:
            return self._popen.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it has not ended within {within} s:\n{self.err}") from None

    def stops(self) -> int:
        """Send SIGTERM and wait for the exit code."""
        return self.terminate().ends()

    def answer(self, within: float = PATIENCE) -> Answer:
        """Wait for its end."""
        return Answer(self.ends(within), self.out, self.err)

    def cpu_seconds(self) -> float:
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        self._popen.kill()
        self._popen.wait()


class Site:
    """A folder with an app and a database file, and the processes started in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "queue.db"
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("LITESTAR_", "PYTHON"))
        }
        self.environment["LITESTAR_QUEUES_QUEUE_BACKEND"] = f"sqlite:///{self.database}"
        self._processes: list[Process] = []

    # processes

    def write(self, name: str, text: str) -> None:
        """Write a file of the app."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def set(self, **settings: Any) -> Site:
        """Give settings to every process from now on: ``worker_name="a"``."""
        for name, value in settings.items():
            self.environment[f"LITESTAR_QUEUES_{name.upper()}"] = str(value)
        return self

    def start(self, *command: str, env: dict[str, str] | None = None) -> Process:
        """Start a script of the virtual environment."""
        script, *arguments = command
        log = self.folder / f"process-{len(self._processes)}"
        process = Process([str(SCRIPTS / script), *arguments], self.folder, self.environment | (env or {}), log)
        self._processes.append(process)
        return process

    def queues(self, *arguments: str, env: dict[str, str] | None = None) -> Process:
        """Start ``litestar queues ...``."""
        return self.start("litestar", "queues", *arguments, env=env)

    def worker(self, *arguments: str, **settings: Any) -> Process:
        """Start a worker, which need not be ready yet."""
        env = {f"LITESTAR_QUEUES_{name.upper()}": str(value) for name, value in settings.items()}
        return self.queues("run", *arguments, env=env)

    def probe(self, *arguments: str) -> Answer:
        """Run the probe to its end."""
        return self.start("litestar-queues-probe", *arguments).answer()

    def close(self) -> None:
        """Kill what still runs."""
        for process in self._processes:
            process.kill()

    # what tasks and tests tell each other

    def go(self) -> None:
        """Let the tasks go on that wait for it."""
        (self.folder / "go").touch()

    def notes(self) -> list[str]:
        """What tasks have noted."""
        path = self.folder / "notes.txt"
        return path.read_text().splitlines() if path.exists() else []

    def noted(self, line: str, times: int = 1) -> None:
        """Wait until a task has noted it."""

        def logs() -> str:
            return "\n".join([*self.notes(), *(process.err for process in self._processes)])

        until(f"the notes have {line!r}", lambda: self.notes().count(line) >= times, more=logs)

    # records

    def enqueue(self, task: str, *arguments: Any, times: int = 1, **options: Any) -> None:
        """Store records, as a producer in another process would."""
        payload = json.dumps([arguments, {}]).encode()
        records = [make_record(task=task, payload=payload, **options) for _ in range(times)]
        self._ask(lambda backend: backend.enqueue_many(records))

    def records(self, task: str | None = None) -> Sequence[QueuedTaskRecord]:
        """All records, newest first, or those of one task."""
        records: Sequence[QueuedTaskRecord] = self._ask(lambda backend: backend.list_records(RecordFilter(limit=1000)))
        return [record for record in records if task in (None, record.task_name)]

    def record(self, task: str) -> QueuedTaskRecord:
        """The only record of the task."""
        [record] = self.records(task)
        return record

    def becomes(self, task: str, status: str) -> QueuedTaskRecord:
        """Wait until every record of the task is in this state, and give one."""

        def logs() -> str:
            return "\n".join([str(self.records()), *(process.err for process in self._processes)])

        until(
            f"{task} is {status}",
            lambda: (records := self.records(task)) and all(record.status == status for record in records),
            more=logs,
        )
        return self.records(task)[0]

    def sql(self, statement: str) -> None:
        """Change the file as no part of the library would."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute(statement)

    def _ask(self, question: Callable[[QueueBackend], Any]) -> Any:
        async def ask() -> Any:
            backend = create_backend(QueueConfig(queue_backend=f"sqlite:///{self.database}"))
            await backend.open()
            try:
                return await question(backend)
            finally:
                await backend.close()

        return asyncio.run(ask())
