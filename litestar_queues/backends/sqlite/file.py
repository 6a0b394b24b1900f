"""In: a path. Out: connections to the very file that was opened, with the schema that this release needs."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from litestar_queues.backends.migrations import Migration, load_migrations, pending_after
from litestar_queues.backends.sqlite.errors import patiently
from litestar_queues.backends.statements import load_statements
from litestar_queues.clock import Clock
from litestar_queues.errors import BackendError, BackendUnavailableError, QueueConfigurationError, SchemaVersionError

__all__ = ("DatabaseFile",)

SQL = load_statements("sqlite")

_OLDEST_SQLITE = (3, 33, 0)  # the first with UPDATE FROM

Identity = tuple[int, int] | None


class DatabaseFile:
    """The file behind a backend.

    Args:
        path: Where it is.
        synchronous: ``"FULL"`` or ``"NORMAL"``.
        managed: Create and upgrade the schema where it is behind.
        clock: For the time at which migrations were applied.
    """

    def __init__(self, path: Path, *, synchronous: str, managed: bool, clock: Clock) -> None:
        self.path = path.absolute()
        self.name = str(path)
        self.log = self.path.with_name(f"{self.path.name}-wal")
        self._where = str(self.path)
        self._home = str(self.path.parent)
        self._synchronous = SQL[f"synchronous_{synchronous.lower()}"]
        self._managed = managed
        self._clock = clock
        self._folder: Identity = None

    def identity(self) -> Identity:
        """Which file bears the path now; ``None``: there is none."""
        return _identity(self._where)

    def connect(self) -> sqlite3.Connection:
        """Connect to the file and make sure of its schema.

        A file that went away under a running process is not lightly made anew: while it is elsewhere, its
        write-ahead log may hold committed records, and SQLite deletes such a log beside an empty file.
        """
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            msg = f"SQLite {sqlite3.sqlite_version} is too old: the sqlite backend needs 3.33 or newer"
            raise QueueConfigurationError(msg)
        create = self.identity() is None
        if create:
            self._check_creation()
        connection = self.connect_plainly(create=create)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._folder = _identity(self._home)
        return connection

    def connect_plainly(self, *, create: bool = False) -> sqlite3.Connection:
        """Connect to the file without a look at its schema.

        One that may not be written is refused: SQLite would open it for reading, share that among all connections of
        the process, and keep it so when the disk has long been writable again.
        """
        if not create and self.identity() is not None and not _may_write(self._where):
            msg = (
                f"sqlite file {self.name} cannot be used now (it is read-only): "
                "check that this user may write the file and its folder, and how its disk is mounted"
            )
            raise BackendUnavailableError(msg)
        address = f"{self.path.as_uri()}?mode={'rwc' if create else 'rw'}"
        connection = sqlite3.connect(address, uri=True, timeout=0, isolation_level=None, cached_statements=256)
        try:
            patiently(lambda: self._tune(connection))
        except BaseException:
            connection.close()
            raise
        return connection

    def migrate(self) -> Sequence[str]:
        """Apply what the schema lacks, whether managed or not; the names of what was applied."""
        connection = self.connect_plainly(create=self.identity() is None)
        try:
            return [item.name for item in _migrate(connection, self._clock, self._version(connection))]
        finally:
            connection.close()

    def pending(self) -> Sequence[str]:
        """Names of the migrations that the file lacks; nothing is created."""
        if self.identity() is None:
            return [item.name for item in load_migrations("sqlite")]
        connection = self.connect_plainly()
        try:
            return [item.name for item in pending_after("sqlite", self._version(connection))]
        finally:
            connection.close()

    def _check_creation(self) -> None:
        if self._folder is None:
            if not self._managed:
                msg = f"sqlite file {self.name} does not exist: run `litestar queues migrate`"
                raise SchemaVersionError(msg)
        elif not self._managed or self._folder != _identity(self._home):
            msg = f"sqlite file {self.name} was moved or deleted: put it back"
            raise BackendUnavailableError(msg)
        if _size(self.log):
            msg = (
                f"sqlite file {self.name} was moved or deleted, but its log {self.name}-wal is there and may hold "
                "records: put the file back, or delete the log too to begin anew"
            )
            raise BackendUnavailableError(msg)

    def _tune(self, connection: sqlite3.Connection) -> None:
        if connection.execute(SQL["journal_mode"]).fetchone()[0] != "wal":
            mode = connection.execute(SQL["wal"]).fetchone()[0]
            if mode != "wal":
                msg = f"sqlite file {self.name} cannot have a write-ahead log: its file system does not support one"
                raise QueueConfigurationError(msg)
        connection.execute(self._synchronous)
        connection.execute(SQL["journal_size_limit"])

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version = self._version(connection)
        lacking = pending_after("sqlite", version)
        if not lacking:
            return
        if not self._managed:
            msg = (
                f"sqlite file {self.name} has schema version {version} and this release needs "
                f"{lacking[-1].version}: run `litestar queues migrate`"
            )
            raise SchemaVersionError(msg)
        _migrate(connection, self._clock, version)

    def _version(self, connection: sqlite3.Connection) -> int:
        version = patiently(lambda: _version(connection))
        known = load_migrations("sqlite")[-1].version
        if version > known:
            msg = (
                f"sqlite file {self.name} has schema version {version}, newer than {known}, "
                "the latest that this release knows: upgrade litestar-queues"
            )
            raise SchemaVersionError(msg)
        return version


def _migrate(connection: sqlite3.Connection, clock: Clock, version: int) -> Sequence[Migration]:
    applied = []
    for migration in pending_after("sqlite", version):
        patiently(lambda: connection.execute(SQL["begin_immediate"]))
        try:
            # another process may have been here between the look and the lock
            if _version(connection) < migration.version:
                for statement in _statements(migration.sql):
                    connection.execute(statement)
                noted = {"version": migration.version, "name": migration.name, "now": clock.micros()}
                connection.execute(SQL["schema_applied"], noted)
                applied.append(migration)
            connection.execute(SQL["commit"])
        except BaseException:
            if connection.in_transaction:
                connection.execute(SQL["rollback"])
            raise
    return applied


def _version(connection: sqlite3.Connection) -> int:
    if connection.execute(SQL["schema_exists"]).fetchone() is None:
        return 0
    return connection.execute(SQL["schema_version"]).fetchone()[0] or 0


def _statements(script: str) -> list[str]:
    """Split a script; sqlite3's own ``executescript`` would commit first."""
    statements, lines = [], list[str]()
    for line in script.splitlines():
        lines.append(line)
        text = "\n".join(lines)
        if sqlite3.complete_statement(text):
            statements.append(text)
            lines.clear()
    if any(line.strip() and not line.startswith("--") for line in lines):
        msg = f"a migration ends in the middle of a statement: {' '.join(lines)}"
        raise BackendError(msg)
    return statements


def _identity(path: str) -> Identity:
    try:
        status = os.stat(path)  # noqa: PTH116 - a third of the time of Path.stat, before each transaction
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _may_write(path: str) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
