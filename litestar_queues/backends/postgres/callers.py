"""In: a caller's own connection, in whatever wrapping. Out: one that speaks our statements inside its transaction."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from litestar_queues.backends.postgres.drivers import Row, Runner
from litestar_queues.errors import InvalidArgumentError

if TYPE_CHECKING:
    from litestar_queues.backends.postgres.statements import Statements

__all__ = ("Borrowed", "in_part", "of_caller")

T = TypeVar("T")

_REFUSAL = (
    "connection={0} is not accepted: use an asyncpg or async psycopg connection, a sqlspec session of one, "
    "or an async SQLAlchemy session or connection"
)

_WHOLE = ("begin", "commit", ("rollback",))
_PART = ("savepoint", "savepoint_release", ("savepoint_rollback", "savepoint_release"))


async def of_caller(given: Any, sql: Statements) -> Borrowed:
    """Find the driver's connection in what the caller gave.

    Raises:
        InvalidArgumentError: There is none of a driver that is known here.
    """
    raw = await _raw(given, sql)
    if _is_of("asyncpg", raw) and hasattr(raw, "is_in_transaction"):  # which a pool has not
        return _CallersAsyncpg(raw)
    if _is_of("psycopg", raw) and inspect.iscoroutinefunction(getattr(type(raw), "set_autocommit", None)):
        return _CallersPsycopg(raw)
    raise InvalidArgumentError(_REFUSAL.format(type(given).__name__))


async def in_part(connection: Borrowed, sql: Statements, operation: Callable[[], Awaitable[T]]) -> T:
    """Run an operation in a part of the caller's transaction that is undone alone, so that their work stays as it was.

    A connection that commits by itself commits all of the operation or nothing.
    """
    begin, keep, undo = _PART if connection.in_transaction else _WHOLE
    await connection.run(sql[begin])
    try:
        answer = await operation()
    except BaseException:
        with suppress(Exception):  # a connection that is lost has undone it
            for name in undo:
                await connection.run(sql[name])
        raise
    await connection.run(sql[keep])
    return answer


async def _raw(given: Any, sql: Statements) -> Any:
    if _is_of("sqlalchemy", given):
        return await _of_sqlalchemy(given, sql)
    inner = getattr(given, "connection", None)
    return inner if _is_of("sqlspec", given) and inner is not None else given


async def _of_sqlalchemy(given: Any, sql: Statements) -> Any:
    if inspect.iscoroutinefunction(getattr(type(given), "connection", None)):
        given = await given.connection()
    if not hasattr(given, "get_raw_connection"):
        return None
    # neither SQLAlchemy nor its asyncpg begins a transaction before the first statement that goes through them
    await given.exec_driver_sql(sql["begin_of_caller"])
    return (await given.get_raw_connection()).driver_connection


def _is_of(package: str, value: Any) -> bool:
    """Whether its class, or one that it was made of, comes from the package, which need not be installed."""
    return any(kind.__module__.partition(".")[0] == package for kind in type(value).__mro__)


class Borrowed(Runner):
    """A connection that is not ours to close."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    @property
    @abstractmethod
    def in_transaction(self) -> bool:
        """Whether what it runs is committed by the caller."""


class _CallersAsyncpg(Borrowed):
    @property
    def in_transaction(self) -> bool:
        return bool(self.raw.is_in_transaction())

    async def run(self, sql: str, *arguments: Any) -> Sequence[Row]:
        rows: Sequence[Row] = await self.raw.fetch(sql, *arguments)
        return rows


class _CallersPsycopg(Borrowed):
    @property
    def in_transaction(self) -> bool:
        return not self.raw.autocommit or self.raw.info.transaction_status != self.raw.info.transaction_status.IDLE

    async def run(self, sql: str, *arguments: Any) -> Sequence[Row]:
        from psycopg import AsyncRawCursor
        from psycopg.rows import tuple_row

        async with AsyncRawCursor(self.raw, row_factory=tuple_row) as cursor:
            await cursor.execute(sql, arguments or None, prepare=False, binary=True)
            return () if cursor.description is None else await cursor.fetchall()
