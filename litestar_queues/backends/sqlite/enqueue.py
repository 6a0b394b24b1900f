"""In: new records. Out: the statements that insert them, carried out on our connection or on the caller's."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import msgspec

from litestar_queues.backends.laws import due_at, later, text_of
from litestar_queues.backends.sqlite.calls import Work
from litestar_queues.backends.sqlite.errors import translate
from litestar_queues.backends.sqlite.file import DatabaseFile
from litestar_queues.backends.statements import load_statements
from litestar_queues.errors import InvalidArgumentError
from litestar_queues.records import Enqueued, NewRecord

__all__ = ("enqueue", "enqueue_on")

SQL = load_statements("sqlite")

_MOST_ALIKE = 500
_MOST_BYTES = 4 * 1_048_576

Parameters = Mapping[str, Any]


Rows = Sequence[Any]
Plan = Generator[tuple[str, Parameters], Rows, list[Enqueued]]
"""Yields statements, is sent their rows and returns the answers."""


def enqueue(work: Work, records: Sequence[NewRecord]) -> list[Enqueued]:
    """Insert records in our own transaction."""
    if len(records) == 1 and records[0].key is None:
        work.execute(SQL["insert_record"], _parameters(records[0], work.now))
        return [Enqueued(records[0].id, created=True)]
    plan = _plan(records, work.now)
    try:
        statement = next(plan)
        while True:
            statement = plan.send(work.execute(*statement).fetchall())
    except StopIteration as done:
        answers: list[Enqueued] = done.value
        return answers


async def enqueue_on(connection: Any, records: Sequence[NewRecord], now: int, file: DatabaseFile) -> Sequence[Enqueued]:
    """Insert records through the caller's connection, and leave the commit to the caller."""
    driver = _driver(connection)
    try:
        await _check_same_file(driver, file)
        return await _in_savepoint(driver, records, now)
    except InvalidArgumentError:
        raise
    except (ValueError, sqlite3.ProgrammingError) as error:  # closed, or bound to another thread
        msg = f"the connection cannot be used here: {error}"
        raise InvalidArgumentError(msg) from error
    except Exception as error:
        ours = translate(error, file.name)
        if ours is error:
            raise
        raise ours from error


def _plan(records: Sequence[NewRecord], now: int) -> Plan:
    answers: list[Enqueued] = []
    alike: dict[tuple[Any, ...], list[NewRecord]] = {}
    for record in records:
        if record.key is not None:
            answers.append((yield from _insert_keyed(record, now)))
            continue
        answers.append(Enqueued(record.id, created=True))
        alike.setdefault(record[3:] + record[1:2], []).append(record)
    for group in alike.values():
        if len(group) == 1:
            yield SQL["insert_record"], _parameters(group[0], now)
        else:
            yield from _insert_alike(group, now)
    return answers


def _insert_keyed(record: NewRecord, now: int) -> Generator[tuple[str, Parameters], Rows, Enqueued]:
    rows = yield SQL["find_holder"], {"key": record.key, "now": now}
    if rows:
        holder = UUID(bytes=rows[0][0])
        return Enqueued(holder, created=holder == record.id)
    yield SQL["insert_record"], _parameters(record, now)
    return Enqueued(record.id, created=True)


def _insert_alike(group: Sequence[NewRecord], now: int) -> Generator[tuple[str, Parameters], Rows, None]:
    """Insert many in few steps: for each step of a statement Python lets go of its lock and may wait for it."""
    parameters = _parameters(group[0], now)
    for name in ("id", "payload", "key", "unique_until"):
        del parameters[name]
    for chunk in _chunks(group):
        payloads = msgspec.json.encode([record.payload.decode() for record in chunk]).decode()
        ids = b"".join([record.id.bytes for record in chunk])
        yield SQL["insert_alike"], {**parameters, "ids": ids, "payloads": payloads}


def _chunks(records: Sequence[NewRecord]) -> Generator[Sequence[NewRecord], None, None]:
    chunk: list[NewRecord] = []
    size = 0
    for record in records:
        chunk.append(record)
        size += len(record.payload)
        if len(chunk) == _MOST_ALIKE or size >= _MOST_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _parameters(record: NewRecord, now: int) -> dict[str, Any]:
    due = due_at(record, now)
    return {
        "id": record.id.bytes,
        "task": record.task,
        "payload": record.payload.decode(),
        "queue": record.queue,
        "status": "scheduled" if due > now else "pending",
        "priority": record.priority,
        "due_at": due,
        "now": now,
        "max_attempts": record.max_attempts,
        "timeout": record.timeout,
        "key": record.key,
        "unique_until": _after(now, record.unique_for) if record.key is not None else None,
        "expires_at": _after(now, record.expires_in),
        "metadata": text_of(record.metadata),
        "backoff": text_of(record.backoff),
        "execution_backend": record.execution_backend,
        "execution_profile": record.execution_profile,
        "schedule": record.schedule,
        "at_most_once": record.at_most_once,
    }


def _after(now: int, seconds: float | None) -> int | None:
    return None if seconds is None else later(now, seconds)


class _Sync:
    """The caller's sqlite3 connection; it blocks for as long as its own statements would."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.raw = connection

    async def run(self, sql: str, parameters: Parameters | None = None) -> Rows:
        cursor = self.raw.cursor()
        try:
            cursor.row_factory = None
            cursor.execute(sql, parameters or {})
            return cursor.fetchall()
        finally:
            cursor.close()


class _Async:
    """The caller's aiosqlite connection."""

    def __init__(self, connection: Any) -> None:
        self.raw = connection

    async def run(self, sql: str, parameters: Parameters | None = None) -> Rows:
        async with self.raw.cursor() as cursor:
            cursor.row_factory = None
            await cursor.execute(sql, parameters or {})
            return list(await cursor.fetchall())


def _driver(connection: Any) -> _Sync | _Async:
    """Find the driver's connection in what the caller gave: itself, or inside a sqlspec session."""
    for candidate in (connection, getattr(connection, "connection", None)):
        if isinstance(candidate, sqlite3.Connection):
            return _Sync(candidate)
        if type(candidate).__module__.partition(".")[0] == "aiosqlite":
            return _Async(candidate)
    msg = (
        f"connection={type(connection).__name__} is not accepted: use a sqlite3 or aiosqlite connection, "
        "or a sqlspec session of one"
    )
    raise InvalidArgumentError(msg)


async def _check_same_file(driver: _Sync | _Async, file: DatabaseFile) -> None:
    rows = await driver.run(SQL["database_list"])
    path = next((row[2] for row in rows if row[1] == "main"), "")
    with suppress(OSError):
        if path and file.path.samefile(path):
            return
    msg = f"the connection is not on the queue's database, sqlite file {file.name}: pass one that is, or none"
    raise InvalidArgumentError(msg)


async def _in_savepoint(driver: _Sync | _Async, records: Sequence[NewRecord], now: int) -> Sequence[Enqueued]:
    """All or none, inside the caller's transaction."""
    if not driver.raw.in_transaction and not _commits_by_itself(driver.raw):
        await driver.run(SQL["begin"])
    await driver.run(SQL["savepoint"])
    try:
        answers = await _carry_out(driver, records, now)
    except BaseException:
        await driver.run(SQL["savepoint_rollback"])
        await driver.run(SQL["savepoint_release"])
        raise
    await driver.run(SQL["savepoint_release"])
    return answers


def _commits_by_itself(raw: Any) -> bool:
    """Whether the driver opens no transaction on its own; the savepoint then is the transaction."""
    return raw.isolation_level is None or getattr(raw, "autocommit", None) is True


async def _carry_out(driver: _Sync | _Async, records: Sequence[NewRecord], now: int) -> Sequence[Enqueued]:
    plan = _plan(records, now)
    try:
        statement = next(plan)
        while True:
            statement = plan.send(await driver.run(*statement))
    except StopIteration as done:
        answers: list[Enqueued] = done.value
        return answers
