"""In: a database file. Out: how fast Python's sqlite3 alone does what a durable queue cannot do without."""

from __future__ import annotations

import asyncio
import sqlite3
import time

__all__ = ("commit_times", "connect", "drain", "insert_by_thread", "insert_groups", "insert_many", "insert_one_by_one")

_SCHEMA = """
create table if not exists job (n integer primary key, task text, payload text, state integer default 0, at real);
create index if not exists job_waiting on job (n) where state = 0;
"""
_INSERT = "insert into job (task, payload) values ('noop', ?)"
_CLAIM = """
update job set state = 1, at = ? where n in (select n from job where state = 0 order by n limit ?) returning n, payload
"""
_FINISH = "update job set state = 2, at = ? where n = ? and state = 1"
_BATCH = 100


def connect(path: str) -> sqlite3.Connection:
    """Connect as the library does by default: write-ahead log, each commit flushed to the disk."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.executescript(_SCHEMA)
    return connection


def insert_one_by_one(connection: sqlite3.Connection, seconds: float) -> float:
    """Rows a second, one commit each."""
    done, began = 0, time.perf_counter()
    while time.perf_counter() < began + seconds:
        connection.execute(_INSERT, (f"[[{done}], {{}}]",))
        done += 1
    return done / (time.perf_counter() - began)


async def insert_by_thread(connection: sqlite3.Connection, seconds: float) -> float:
    """The same from an event loop, which must not wait for a disk: each insert takes the way to a thread and back."""
    done, began = 0, time.perf_counter()
    while time.perf_counter() < began + seconds:
        await asyncio.to_thread(connection.execute, _INSERT, (f"[[{done}], {{}}]",))
        done += 1
    return done / (time.perf_counter() - began)


def insert_groups(connection: sqlite3.Connection, size: int, seconds: float) -> float:
    """Rows a second, so many to a transaction."""
    done, began = 0, time.perf_counter()
    while time.perf_counter() < began + seconds:
        insert_many(connection, size)
        done += size
    return done / (time.perf_counter() - began)


def insert_many(connection: sqlite3.Connection, number: int) -> float:
    """Rows a second in one transaction."""
    rows = [(f"[[{i}], {{}}]",) for i in range(number)]
    began = time.perf_counter()
    connection.execute("begin immediate")
    connection.executemany(_INSERT, rows)
    connection.execute("commit")
    return number / (time.perf_counter() - began)


def drain(path: str, number: int) -> float:
    """Rows a second, claimed and finished a hundred at a time."""
    connection = connect(path)
    insert_many(connection, number)
    began, done = time.perf_counter(), 0
    while done < number:
        claimed = connection.execute(_CLAIM, (time.time(), _BATCH)).fetchall()
        connection.execute("begin immediate")
        connection.executemany(_FINISH, [(time.time(), n) for n, _ in claimed])
        connection.execute("commit")
        done += len(claimed)
    return number / (time.perf_counter() - began)


def commit_times(path: str, number: int) -> list[float]:
    """Milliseconds of single inserts, each with its commit, with pauses between."""
    connection = connect(path)
    taken = []
    for i in range(number):
        time.sleep(0.01)
        began = time.perf_counter()
        connection.execute(_INSERT, (f"[[{i}], {{}}]",))
        taken.append((time.perf_counter() - began) * 1000)
    return taken
