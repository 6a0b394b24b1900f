"""In: what the sqlite3 module raised. Out: our own errors, with the file's name and what to do."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from litestar_queues.errors import (
    BackendError,
    BackendUnavailableError,
    InvalidArgumentError,
    QueueConfigurationError,
    QueueError,
    SchemaVersionError,
)

__all__ = ("BUSY_TIMEOUT", "patiently", "translate")

BUSY_TIMEOUT = 10.0
"""Seconds that an operation waits for another process' transaction."""

T = TypeVar("T")

_PRIMARY = 0xFF
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PROTOCOL})
_REMEDIES = {
    sqlite3.SQLITE_BUSY: "another program holds a transaction open for longer than this may wait",
    sqlite3.SQLITE_PROTOCOL: "another program keeps changing its locks",
    sqlite3.SQLITE_LOCKED: "it is locked inside this process",
    sqlite3.SQLITE_CANTOPEN: "check that its folder exists and that this user may write there",
    sqlite3.SQLITE_READONLY: "check that this user may write the file and its folder, and that it was not moved",
    sqlite3.SQLITE_PERM: "check that this user may write the file and its folder",
    sqlite3.SQLITE_IOERR: "check the disk",
    sqlite3.SQLITE_FULL: "the disk is full: make room",
}


def patiently(action: Callable[[], T]) -> T:
    """Try again while another process holds the lock.

    SQLite's own busy handler sleeps up to 100 ms between two tries; a queue's transactions take about one.
    """
    deadline = 0.0
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:
            if _code(error) not in _BUSY:
                raise
            now = time.monotonic()
            deadline = deadline or now + BUSY_TIMEOUT
            if now >= deadline:
                raise
        time.sleep(random.uniform(0.0005, 0.002))


def translate(error: Exception, name: str) -> Exception:
    """Give our error for a driver's; any other exception comes back as it is.

    Args:
        error: What was raised.
        name: The database file as messages call it.
    """
    if isinstance(error, (UnicodeError, OverflowError)):
        return InvalidArgumentError(f"a value cannot be stored: {error}")
    if isinstance(error, sqlite3.Error):
        return _translate(error, name)
    return error


def _translate(error: sqlite3.Error, name: str) -> QueueError:
    code = _code(error)
    if code in _REMEDIES:
        return BackendUnavailableError(f"sqlite file {name} cannot be used now ({error}): {_REMEDIES[code]}")
    if code == sqlite3.SQLITE_NOTADB:
        return QueueConfigurationError(f"{name} is not a SQLite database: give another file as queue_backend")
    if code == sqlite3.SQLITE_ERROR and str(error).startswith(("no such table", "no such column")):
        msg = f"sqlite file {name} lacks the queue's tables ({error}): run `litestar queues migrate`"
        return SchemaVersionError(msg)
    return BackendError(f"sqlite file {name}: {error}")


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY
