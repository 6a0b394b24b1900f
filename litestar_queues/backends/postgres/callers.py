"""In: a caller's own connection, in whatever wrapping. Out: one that speaks our statements inside its transaction."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from litestar_queues.backends.postgres.drivers import Connection, Row
from litestar_queues.errors import InvalidArgumentError

__all__ = ("of_caller",)

_REFUSAL = (
    "connection={0} is not accepted: use an asyncpg or async psycopg connection, a sqlspec session of one, "
    "or an async SQLAlchemy session or connection"
)


async def of_caller(given: Any) -> Connection:
    """Find the driver's connection in what the caller gave.

    Raises:
        InvalidArgumentError: There is none of a driver that is known here.
    """
    raw = await _raw(given)
    match _package(raw):
        case "asyncpg":
            return _CallersAsyncpg(raw)
        case "psycopg" if hasattr(type(raw), "notifies") and inspect.iscoroutinefunction(type(raw).execute):
            return _CallersPsycopg(raw)
    raise InvalidArgumentError(_REFUSAL.format(type(given).__name__))


async def _raw(given: Any) -> Any:
    if _package(given) == "sqlalchemy":
        return await _of_sqlalchemy(given)
    inner = getattr(given, "connection", None)
    return inner if _package(given) == "sqlspec" and inner is not None else given


async def _of_sqlalchemy(given: Any) -> Any:
    connection = given.connection() if hasattr(given, "sync_session") else given
    if inspect.isawaitable(connection):
        connection = await connection
    pooled = await connection.get_raw_connection()
    return pooled.driver_connection


def _package(value: Any) -> str:
    return type(value).__module__.partition(".")[0]


class _Borrowed(Connection):
    """A connection that is not ours to close."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    async def run_script(self, sql: str) -> None:
        raise NotImplementedError

    async def listen(self, channel: str, heard: Callable[[str], None]) -> None:
        raise NotImplementedError

    @property
    def is_closed(self) -> bool:
        return False

    async def close(self) -> None:
        """Leave it as it is."""

    def cut(self) -> None:
        """Leave it as it is."""


class _CallersAsyncpg(_Borrowed):
    async def run(self, sql: str, *arguments: Any) -> Sequence[Row]:
        rows: Sequence[Row] = await self.raw.fetch(sql, *arguments)
        return rows


class _CallersPsycopg(_Borrowed):
    async def run(self, sql: str, *arguments: Any) -> Sequence[Row]:
        from psycopg import AsyncRawCursor
        from psycopg.rows import tuple_row

        async with AsyncRawCursor(self.raw, row_factory=tuple_row) as cursor:
            await cursor.execute(sql, arguments or None, prepare=False)
            return () if cursor.description is None else await cursor.fetchall()
