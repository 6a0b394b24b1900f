"""In: new records, one call or many at once. Out: few statements and one commit, and each call's own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from litestar_queues.backends.laws import due_at, text_of
from litestar_queues.backends.postgres.callers import in_part, of_caller
from litestar_queues.backends.postgres.errors import translate
from litestar_queues.clock import Clock, to_micros
from litestar_queues.errors import BackendUnavailableError, InvalidArgumentError
from litestar_queues.records import Enqueued, NewRecord

if TYPE_CHECKING:
    from uuid import UUID

    from litestar_queues.backends.postgres.drivers import Connection, Runner
    from litestar_queues.backends.postgres.lane import Lane
    from litestar_queues.backends.postgres.statements import Statements

__all__ = ("EnqueueDesk", "insert")

T = TypeVar("T")

_MOST_TOGETHER = 1_000
"""Calls that may share one commit."""
_MOST_ALIKE = 10_000
"""Records that one statement inserts."""
_PART = 1_000
"""Records that are minted while so many others are inserted; a statement of its own for more would gain nothing."""
_MANY = 500
"""From so many on it pays to ask once whether any of the ids can be there already."""
_TRIES = 5


async def insert(
    connection: Runner, sql: Statements, records: Sequence[NewRecord], *, now: datetime | None, channel: str | None
) -> list[Enqueued]:
    """Insert records inside the transaction that is open, or in one statement.

    Args:
        connection: Ours or the caller's.
        sql: The statements.
        records: New ones.
        now: The time of a test; ``None``: the server's.
        channel: Where listeners are told; ``None``: nowhere.
    """
    return await _insert_groups(connection, sql, records, _alike(records), now=now, channel=channel)


async def _insert_groups(
    connection: Runner,
    sql: Statements,
    records: Sequence[NewRecord],
    groups: Sequence[Sequence[NewRecord]],
    *,
    now: datetime | None,
    channel: str | None,
) -> list[Enqueued]:
    holders: dict[UUID, UUID] = {}
    for group in groups:
        shared = _shared(group[0], now, channel)
        if group[0].key is not None:
            holders |= await _insert_keyed(connection, sql, group, shared, now)
        elif len(group) == 1:
            (_, ids, payloads, *rest) = shared(group)
            await connection.run(sql["insert_one"], now, *ids, *payloads, *rest)
        else:
            name = "insert_alike" if len(group) < _MANY else "insert_many_alike"
            await connection.run(sql[name], *shared(group))
    if not holders:
        return [Enqueued(record.id, True) for record in records]  # noqa: FBT003 - by keyword it takes a third longer
    return [Enqueued(holders.get(record.id, record.id), record.id not in holders) for record in records]


def _alike(records: Sequence[NewRecord]) -> list[Sequence[NewRecord]]:
    """Part the records into groups that differ in id, payload and key alone."""
    if _are_alike(records):  # as a rule
        return [records[at : at + _MOST_ALIKE] for at in range(0, len(records), _MOST_ALIKE)]
    groups: dict[Any, list[NewRecord]] = {}
    for record in {record.id: record for record in records}.values():  # of two with one id one is a mistake
        alike = (record.key is None, *record[1:2], *record[3:7], *record[9:])
        groups.setdefault(alike, []).append(record)
    return [group[at : at + _MOST_ALIKE] for group in groups.values() for at in range(0, len(group), _MOST_ALIKE)]


def _are_alike(records: Sequence[NewRecord]) -> bool:
    """Whether they differ in id and payload alone, and none is there twice."""
    first = records[0]
    task, rest = first.task, first[3:]
    if len(records) == 1:
        return True
    if first.key is not None or not all(record[3:] == rest and record.task == task for record in records):
        return False
    return len({record.id.int for record in records}) == len(records)


def _shared(first: NewRecord, now: datetime | None, channel: str | None) -> Any:
    """Give the function that makes the arguments of an insert."""
    # refuses a naive time, which a driver would take for one of its own zone, and one that nobody could read again
    due_at(first, Clock().micros() if now is None else to_micros(now))
    rest = (
        first.task,
        first.queue,
        -first.priority,
        first.max_attempts,
        first.timeout,
        first.scheduled_at,
        float(first.delay),
        first.expires_in,
        text_of(first.metadata),
        text_of(first.backoff),
        first.execution_backend,
        first.execution_profile,
        first.schedule,
        first.at_most_once,
        channel,
    )

    def arguments(group: Sequence[NewRecord]) -> tuple[Any, ...]:
        return now, [record.id for record in group], [record.payload.decode() for record in group], *rest

    return arguments


async def _insert_keyed(
    connection: Runner, sql: Statements, group: Sequence[NewRecord], arguments: Any, now: datetime | None
) -> dict[UUID, UUID]:
    """Insert records with keys; gives the holder of the key for each that was not made."""
    holders: dict[UUID, UUID] = {}
    left = group
    for _ in range(_TRIES):
        keys = [record.key for record in left]
        windows = [record.unique_for for record in left]
        made = {row[0] for row in await connection.run(sql["insert_keyed"], *arguments(left), keys, windows)}
        if made:  # a statement of its own, since it must see what has ended while the insert waited
            made -= {row[0] for row in await connection.run(sql["withdraw_keyed"], now, list(made))}
        left = [record for record in left if record.id not in made]
        if not left:
            return holders
        keys, ids = [record.key for record in left], [record.id for record in left]
        rows = await connection.run(sql["find_holders"], now, keys, ids)
        found = {row[0]: row[1] for row in rows}
        holders |= {
            record.id: found[record.key] for record in left if record.key in found and found[record.key] != record.id
        }
        # a holder that ended between the two statements makes room: try again
        left = [record for record in left if record.key not in found]
        if not left:
            return holders
    msg = "a key changed hands too often while a record with it was enqueued: try again"
    raise BackendUnavailableError(msg)


class EnqueueDesk:
    """Gathers the calls that come while a commit is under way into the next one.

    Each call still returns only after its own record is durable, and fails only by its own fault.
    """

    def __init__(self, lane: Lane, sql: Statements, *, channel: str | None) -> None:
        self._lane = lane
        self._sql = sql
        self._channel = channel
        self._waiting: list[tuple[Sequence[NewRecord], datetime | None, asyncio.Future[Sequence[Enqueued]]]] = []
        self._serving: asyncio.Task[None] | None = None

    async def enqueue(self, records: Sequence[NewRecord], now: datetime | None) -> Sequence[Enqueued]:
        """Insert the records, all or none."""
        if len(records) > _PART and records[0].key is None:  # keys of one call go in one order, or two calls deadlock
            return await self._lane.run(lambda connection: self._in_parts(connection, records, now))
        future: asyncio.Future[Sequence[Enqueued]] = asyncio.get_running_loop().create_future()
        self._waiting.append((records, now, future))
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())
        return await future

    async def enqueue_on(
        self, given: Any, records: Sequence[NewRecord], now: datetime | None, label: str
    ) -> Sequence[Enqueued]:
        """Insert the records on the caller's own connection; errors name the server by its label."""
        sql, channel = self._sql, self._channel
        try:
            connection = await of_caller(given, sql)

            async def operation() -> list[Enqueued]:
                if any(record.unique_for for record in records):
                    _refuse_old_sight((await connection.run(sql["isolation"]))[0][0])
                return await insert(connection, sql, records, now=now, channel=channel)

            return await in_part(connection, sql, operation)
        except Exception as error:
            ours = translate(error, label)
            if ours is error:
                raise
            raise ours from error

    async def _serve(self) -> None:
        try:
            while self._waiting:
                calls, self._waiting = self._waiting[:_MOST_TOGETHER], self._waiting[_MOST_TOGETHER:]
                calls = [call for call in calls if not call[2].done()]  # others were cancelled before their turn
                if not calls:
                    continue
                try:
                    await self._together(calls)
                except BackendUnavailableError as error:
                    for _, _, future in calls:
                        _fail(future, BackendUnavailableError(str(error)), error)
                except Exception as error:
                    await self._apart(calls, error)
        finally:
            self._serving = None

    async def _in_parts(
        self, connection: Connection, records: Sequence[NewRecord], now: datetime | None
    ) -> list[Enqueued]:
        """Insert very many: while the server takes a part of them, the next one is minted."""

        async def mint(start: int) -> Sequence[NewRecord]:
            await asyncio.sleep(0)  # by then the part before is on its way
            return records[start : start + _PART]

        await connection.run(self._sql["begin"])
        answers: list[Enqueued] = []
        part = records[:_PART]
        for following in range(_PART, len(records) + _PART, _PART):
            inserting = insert(connection, self._sql, part, now=now, channel=self._channel)
            # not raised at once: nothing else may use the connection until the insert has ended
            inserted, minted = await asyncio.gather(inserting, mint(following), return_exceptions=True)
            answers += _checked(inserted)
            part = _checked(minted)
        await connection.run(self._sql["commit"])
        return answers

    async def _apart(self, calls: Sequence[Any], error: Exception) -> None:
        """One of the calls is at fault: find it, and let the others through."""
        if len(calls) == 1:
            _fail(calls[0][2], error, None)
            return
        for call in calls:
            try:
                await self._together([call])
            except Exception as fault:
                _fail(call[2], fault, None)

    async def _together(self, calls: Sequence[Any]) -> None:
        records = [record for call in calls for record in call[0]]
        groups = _alike(records)
        now = calls[0][1]

        async def operation(connection: Connection) -> list[Enqueued]:
            at_once = len(groups) == 1 and records[0].key is None
            if not at_once:
                await connection.run(self._sql["begin"])
            answers = await _insert_groups(connection, self._sql, records, groups, now=now, channel=self._channel)
            if not at_once:
                await connection.run(self._sql["commit"])
            return answers

        answers = await self._lane.serve(operation)
        at = 0
        for call in calls:
            mine = answers[at : at + len(call[0])]
            at += len(call[0])
            if not call[2].done():
                call[2].set_result(mine)


def _checked(answer: T | BaseException) -> T:
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _refuse_old_sight(isolation: str) -> None:
    """A transaction that sees only what was there when it began does not see who holds a key by its window since."""
    if isolation not in {"read committed", "read uncommitted"}:
        msg = (
            f"a record with unique_for cannot be enqueued on a connection whose transaction is {isolation.upper()}: it "
            "does not see whose key was taken since it began; use READ COMMITTED, or enqueue after the commit"
        )
        raise InvalidArgumentError(msg)


def _fail(future: asyncio.Future[Any], error: BaseException, cause: BaseException | None) -> None:
    if not future.done():
        error.__cause__ = cause
        future.set_exception(error)
