"""In: a scenario's folder. Out: a real store with triggers that keep account, and the ways to break it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from litestar_queues import QueueConfig
from litestar_queues.backends import create_backend
from litestar_queues.backends.base import QueueBackend
from litestar_queues.records import RecordFilter
from tests.ledger.proxy import Proxy
from tests.postgres.pooler import Pooler, running_pooler
from tests.postgres.server import Server, running_server

__all__ = ("Postgres", "SQLite", "Store", "small_disk")

_HERE = Path(__file__).parent
_one_at_a_time = threading.Lock()
"""The wheel's own lock is for processes, and breaks where two threads start servers."""
_CHANGES = (
    "select id, what, at, was, status, old_token, token, overdue, attempt, max_attempts, lost_leases, key, schedule, "
    "error from ledger_audit order by seq"
)
_COLUMNS = "select id, status, attempt, max_attempts, lost_leases from "


class Store(ABC):
    """A store that a scenario plays on."""

    kind: str
    rows: Sequence[str]
    """Statements that give every record."""
    left = "select count(*) from {} where status in ('pending', 'scheduled', 'running') and schedule is null"

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.settings: dict[str, str] = {}
        """Of the processes."""

    @property
    @abstractmethod
    def url(self) -> str:
        """What processes are given as ``queue_backend``."""

    @property
    def inner_url(self) -> str:
        """The same past whatever stands between."""
        return self.url

    @abstractmethod
    def ask(self, sql: str) -> list[Any]:
        """Look from outside, past whatever stands between."""

    @abstractmethod
    def install(self) -> None:
        """Make the schema and the triggers."""

    @abstractmethod
    def waiting(self) -> int:
        """Records that have not ended, but for those of schedules."""

    def changes(self) -> list[Any]:
        """The triggers' account."""
        return self.ask(_CHANGES)

    def all_rows(self) -> list[Any]:
        """Every record."""
        return [row for table in self.rows for row in self.ask(_COLUMNS + table)]

    def ticks(self) -> int:
        """Ticks that were ever fired."""
        return int(self.ask("select count(*) from lq_tick")[0][0])

    def balance(self) -> dict[str, int]:
        """What the library says."""
        return dict(self._call(lambda backend: backend.ledger()))

    def cancel(self, task: str) -> list[UUID]:
        """Cancel every record of the task that has not ended."""

        async def cancel(backend: QueueBackend) -> list[UUID]:
            records = await backend.list_records(RecordFilter(task=task, limit=1000))
            ids = [record.id for record in records if not record.status.is_terminal]
            await backend.cancel_many(ids, include_running=True)
            return ids

        return list(self._call(cancel))

    def _call(self, work: Callable[[QueueBackend], Coroutine[Any, Any, Any]]) -> Any:
        async def call() -> Any:
            backend = create_backend(QueueConfig(queue_backend=self.inner_url))
            await backend.open()
            try:
                return await work(backend)
            finally:
                await backend.close()

        return asyncio.run(call())

    def close(self) -> None:
        """End it."""
        with _one_at_a_time:
            self._stack.close()


class SQLite(Store):
    """A file."""

    kind = "sqlite"
    rows = ("lq_record",)

    def __init__(self, folder: Path, *, on: Path | None = None) -> None:
        super().__init__()
        self._file = (on or folder) / "queue.db"

    @property
    def url(self) -> str:
        return f"sqlite:///{self._file}"

    def ask(self, sql: str) -> list[Any]:
        with closing(sqlite3.connect(self._file, timeout=20)) as connection:
            return connection.execute(sql).fetchall()

    def install(self) -> None:
        self.balance()
        with closing(sqlite3.connect(self._file)) as connection:
            connection.executescript((_HERE / "audit_sqlite.sql").read_text("utf-8"))

    def waiting(self) -> int:
        return int(self.ask(self.left.format("lq_record"))[0][0])


class Postgres(Store):
    """A server, with a proxy before it."""

    kind = "postgres"
    rows = ("lq_live", "lq_done")

    def __init__(self, *, seed: int, driver: str = "asyncpg", on: Path | None = None) -> None:
        super().__init__()
        self.driver = driver
        with _one_at_a_time:
            self.server: Server = self._stack.enter_context(running_server(on))
        self._sockets = Path(tempfile.mkdtemp(prefix="lq-proxy-"))
        self._stack.callback(shutil.rmtree, self._sockets, ignore_errors=True)
        self.proxy = Proxy(self._sockets, self.server.socket_folder, seed)
        self._stack.callback(self.proxy.close)
        self.front = str(self._sockets)
        """What stands in the URL as host, and behind it."""

    @property
    def url(self) -> str:
        return f"postgresql+{self.driver}://postgres@/postgres?host={self.front}"

    @property
    def inner_url(self) -> str:
        return f"postgresql+{self.driver}://postgres@/postgres?host={self.proxy.target}"

    def add_pooler(self) -> Pooler:
        """Put pgbouncer before the server, in transaction mode."""
        self.pooler = self._stack.enter_context(running_pooler(self.server))
        self.front = self.pooler.address.partition("=")[2]
        self.settings["postgres_pooler"] = "yes"
        return self.pooler

    def ask(self, sql: str) -> list[Any]:
        with psycopg.connect(f"host={self.proxy.target} user=postgres dbname=postgres", autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def install(self) -> None:
        self.balance()
        self.ask((_HERE / "audit_postgres.sql").read_text("utf-8"))

    def waiting(self) -> int:
        return int(self.ask(self.left.format("lq_live"))[0][0])

    def restart(self, mode: str, away: float) -> None:
        """Stop it, and start it after a while."""
        self.server.stop(mode)
        time.sleep(away)
        self.server.start()

    def start_again(self) -> None:
        """Start it where it has gone down by itself."""
        for _ in range(20):
            with contextlib.suppress(psycopg.Error):
                self.ask("select 1")
                return
            with contextlib.suppress(subprocess.SubprocessError):
                self.server.start()
            time.sleep(0.5)
        raise AssertionError("the server does not come back")

    def add_standby(self) -> Server:
        """A synchronous standby: what was acknowledged is on both."""
        standby = self._stack.enter_context(self.server.standby())
        self.server.run("alter system set synchronous_standby_names = '*'")
        self.server.run("select pg_reload_conf()")
        for _ in range(100):
            if self.ask("select 1 from pg_stat_replication where sync_state = 'sync'"):
                return standby
            time.sleep(0.1)
        raise AssertionError("the standby does not follow")


@contextlib.contextmanager
def small_disk(mebibytes: int) -> Any:
    """A file system of its own in memory, where this user may mount one."""
    folder = Path(tempfile.mkdtemp(prefix="lq-disk-"))
    try:
        options = ["-t", "tmpfs", "-o", f"size={mebibytes}m,mode=0777"]
        subprocess.run(["mount", *options, "tmpfs", str(folder)], check=True, capture_output=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fill(folder: Path) -> Path:
    """Leave no byte free; gives the file that takes the room."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65_536))
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(512))
    os.sync()
    return ballast
