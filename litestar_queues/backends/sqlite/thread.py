"""In: operations from an event loop. Out: their answers; each thread owns one connection to the file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby, islice
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from litestar_queues.backends.sqlite.calls import Call, Operation, Together, Work
from litestar_queues.backends.sqlite.errors import patiently, translate
from litestar_queues.backends.sqlite.file import DatabaseFile, Identity
from litestar_queues.backends.statements import load_statements
from litestar_queues.clock import Clock
from litestar_queues.errors import BackendUnavailableError

__all__ = ("ReaderThread", "WriterThread")

SQL = load_statements("sqlite")

T = TypeVar("T")

_MOST_TOGETHER = 256
"""Operations that may share one transaction: it must end before other processes grow impatient."""
_PATIENCE = 15.0
"""Seconds that a close waits for a thread: longer than an operation waits for a lock."""


Answer = tuple[Call[Any], Any, Exception | None]


class SQLiteThread(Thread):
    """Runs operations on its own connection, in the order in which they came.

    Args:
        file: Which file.
        clock: The store's time.
        notify: Told on the event loop that records have changed.
    """

    def __init__(self, name: str, file: DatabaseFile, clock: Clock, notify: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._file = file
        self._clock = clock
        self._notify = notify
        self._calls: SimpleQueue[Call[Any] | None] = SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._identity: Identity = None
        self._last: Call[None] | None = None
        self._going = True

    def submit(
        self, operation: Operation[T], *, peek: Operation[T | None] | None = None, wakes: bool = False
    ) -> asyncio.Future[T]:
        """Queue an operation; it runs even when nobody waits for it any more.

        Args:
            operation: What to do.
            peek: A read that gives the answer where there is nothing to do, so that idleness takes no lock.
            wakes: Subscribers are told once it is committed.
        """
        call = Call(operation, peek=peek, wakes=wakes)
        self._calls.put(call)
        return call.future

    def submit_together(self, together: Together, items: Sequence[Any]) -> asyncio.Future[Sequence[Any]]:
        """Queue an operation that is carried out in one go with others of its kind; it wakes the subscribers."""
        call = Call(lambda work: together(work, items), together=together, items=items, wakes=True)
        self._calls.put(call)
        return call.future

    async def finish(self) -> None:
        """End the thread once everything queued so far is done; a thread that hangs in the disk is left behind."""
        call: Call[None] = Call(_nothing)
        self._last = call
        self._calls.put(None)
        try:
            async with asyncio.timeout(_PATIENCE):
                await call.future
        except TimeoutError:
            return
        self.join(_PATIENCE)

    def run(self) -> None:
        """Serve until told to finish."""
        while self._going:
            call = self._calls.get()
            if call is None:
                break
            calls = [call]
            self._take_more(calls)
            _post(self._serve(calls), self._notify)
        self._disconnect()
        if self._last is not None:
            _post([(self._last, None, None)], self._notify)

    def _take_more(self, calls: list[Call[Any]]) -> bool:
        """Add what has queued up meanwhile; whether there was anything."""
        before = len(calls)
        with suppress(Empty):
            while len(calls) < _MOST_TOGETHER:
                call = self._calls.get_nowait()
                if call is None:
                    self._going = False
                    break
                calls.append(call)
        return len(calls) > before

    def _serve(self, calls: list[Call[Any]]) -> list[Answer]:
        raise NotImplementedError

    def _connected(self) -> sqlite3.Connection:
        """The connection, made anew where the file was moved, deleted or replaced (a look costs a microsecond)."""
        if self._connection is not None:
            if self._file.identity() == self._identity:
                return self._connection
            self._disconnect()
        connection = self._open()
        self._connection, self._identity = connection, self._file.identity()
        return connection

    def _open(self) -> sqlite3.Connection:
        return self._file.connect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    def _failed(self, error: Exception) -> Exception:
        """Translate, and leave a connection behind that may be broken."""
        ours = translate(error, self._file.name)
        if isinstance(ours, BackendUnavailableError):
            self._disconnect()
        return ours

    def _answer(self, call: Call[Any], operation: Operation[Any]) -> Answer:
        """Run one read."""
        try:
            work = Work(self._connected(), self._clock.micros())
            return call, patiently(lambda: operation(work)), None
        except Exception as error:
            ours = self._failed(error)
            if ours is not error:
                ours.__cause__ = error
            return call, None, ours


class ReaderThread(SQLiteThread):
    """Reads, so that a long list never holds up a claim."""

    def _serve(self, calls: list[Call[Any]]) -> list[Answer]:
        return [self._answer(call, call.operation) for call in calls]

    def _open(self) -> sqlite3.Connection:
        connection = self._file.connect()
        connection.execute(SQL["query_only"])
        return connection


class WriterThread(SQLiteThread):
    """Writes; whatever has queued up shares one transaction and one flush to the disk."""

    def _serve(self, calls: list[Call[Any]]) -> list[Answer]:
        answers: list[Answer] = []
        if all(call.peek for call in calls):
            answers, calls = self._peek(calls)
        if not calls:
            return answers
        try:
            return answers + self._together(calls)
        except BackendUnavailableError as error:
            return answers + [(call, None, _again(error)) for call in calls]
        except Exception as error:
            if len(calls) == 1:
                return [*answers, (calls[0], None, error)]
            return answers + [self._alone(call) for call in calls]

    def _peek(self, calls: list[Call[Any]]) -> tuple[list[Answer], list[Call[Any]]]:
        """Answer the calls that have nothing to do; the others are left over."""
        answers, left = [], []
        for call in calls:
            assert call.peek is not None
            answer = self._answer(call, call.peek)
            if answer[1] is None and answer[2] is None:
                left.append(call)
            else:
                answers.append(answer)
        return answers, left

    def _alone(self, call: Call[Any]) -> Answer:
        try:
            return self._together([call], join=False)[0]
        except Exception as error:
            return call, None, error

    def _together(self, calls: list[Call[Any]], *, join: bool = True) -> list[Answer]:
        """Run the calls in one transaction, all or none; those that come while it is open may join."""
        try:
            connection = self._connected()
            patiently(lambda: connection.execute(SQL["begin_immediate"]))
            try:
                work = Work(connection, self._clock.micros())
                answers = _carry_out(work, calls)
                # a caller that was just answered asks again in microseconds; a flush takes hundreds
                while join and self._going and self._take_more(calls):
                    answers += _carry_out(work, calls[len(answers) :])
                if work.counts:
                    work.write_counts()
                connection.execute(SQL["commit"])
            except BaseException:
                if connection.in_transaction:  # some errors have rolled back already
                    connection.execute(SQL["rollback"])
                raise
        except Exception as error:
            ours = self._failed(error)
            if ours is error:
                raise
            raise ours from error
        return answers


def _carry_out(work: Work, calls: Sequence[Call[Any]]) -> list[Answer]:
    """Run the calls in their order; neighbours that can be one operation are one."""
    answers: list[Answer] = []
    for together, group in groupby(calls, key=_together_with):
        if together is None:
            answers += [(call, call.operation(work), None) for call in group]
            continue
        neighbours = list(group)
        results = iter(together(work, [item for call in neighbours for item in call.items]))
        answers += [(call, list(islice(results, len(call.items))), None) for call in neighbours]
    return answers


def _together_with(call: Call[Any]) -> Together | None:
    return call.together


def _nothing(_: Work) -> None:
    """Do nothing."""


def _again(error: BackendUnavailableError) -> BackendUnavailableError:
    """Copy an error, since each waiter's traceback is added to the one it raises."""
    copy = BackendUnavailableError(str(error))
    copy.__cause__ = error.__cause__
    return copy


def _post(answers: Sequence[Answer], notify: Callable[[], None]) -> None:
    """Hand the answers to the loops that wait for them; a loop that is closed has nobody left."""
    loops = {answer[0].loop for answer in answers}
    for loop in loops:
        mine = answers if len(loops) == 1 else [answer for answer in answers if answer[0].loop is loop]
        try:
            loop.call_soon_threadsafe(_deliver, mine, notify)
        except RuntimeError:
            continue


def _deliver(answers: Sequence[Answer], notify: Callable[[], None]) -> None:
    changed = False
    for call, value, error in answers:
        changed = changed or (call.wakes and error is None)
        if call.future.done():
            continue
        if error is None:
            call.future.set_result(value)
        else:
            call.future.set_exception(error)
    if changed:
        notify()
