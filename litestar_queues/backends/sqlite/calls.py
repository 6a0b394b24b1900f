"""In: what a coroutine wants done in the file. Out: the call that a thread carries out, and the transaction it sees.

An operation is a function of the database alone, so that it can be run again when its neighbour in the same
transaction fails.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from litestar_queues.backends.statements import load_statements

__all__ = ("Call", "Operation", "Together", "Work")

SQL = load_statements("sqlite")

T = TypeVar("T")


class Work:
    """One transaction, or one read, as an operation sees it."""

    __slots__ = ("counts", "execute", "now")

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        self.execute: Callable[..., sqlite3.Cursor] = connection.execute
        self.now = now
        """The store's time in microseconds."""
        self.counts: defaultdict[tuple[str, str], int] = defaultdict(int)
        """What to add to the counts of (queue, status); written once, before the commit."""

    def write_counts(self) -> None:
        """Store the counts."""
        for (queue, status), number in self.counts.items():
            if number:
                self.execute(SQL["count"], {"queue": queue, "status": status, "n": number})


Operation = Callable[[Work], T]


Together = Callable[[Work, Sequence[Any]], Sequence[Any]]
"""An operation on a sequence that gives one answer for each element, so that several calls can be one."""


class Call(Generic[T]):
    """An operation under way, and who waits for it."""

    __slots__ = ("future", "items", "loop", "operation", "peek", "together", "wakes")

    def __init__(
        self,
        operation: Operation[T],
        *,
        together: Together | None = None,
        items: Sequence[Any] = (),
        peek: Operation[T | None] | None = None,
        wakes: bool = False,
    ) -> None:
        self.operation = operation
        self.together = together
        self.items = items
        self.peek = peek
        self.wakes = wakes
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()
