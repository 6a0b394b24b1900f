"""In: operations on a connection. Out: their answers, one after another, on one connection that is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from litestar_queues.backends.postgres.drivers import Address, Connection, connect
from litestar_queues.backends.postgres.errors import is_broken, is_transient, translate
from litestar_queues.errors import BackendUnavailableError, QueueError

__all__ = ("Lane", "Operation")

T = TypeVar("T")
Operation = Callable[[Connection], Awaitable[T]]

_LAST_PATIENCE = 30.0
"""Seconds for what has begun when the lane is closed."""

_TRIES = 3
"""How often an operation is tried that a deadlock or a serialization error undid."""


class Lane:
    """A connection for one kind of work.

    An operation that has begun is never cancelled: its caller may go, its statements run to their end, and neither
    driver nor server is left in the middle of something.

    Args:
        address: Which server.
        name: For ``application_name``, so that an administrator sees who is who.
        on_connect: Called when it has reached the server with a new connection.
    """

    def __init__(self, address: Address, name: str, on_connect: Callable[[], None] = lambda: None) -> None:
        self._address = address
        self.patience = address.patience
        """Seconds for one operation."""
        self._name = name
        self._on_connect = on_connect
        self._turn = asyncio.Lock()
        self._connection: Connection | None = None
        self._running: set[asyncio.Task[object]] = set()
        self._closed = False

    async def run(self, operation: Operation[T]) -> T:
        """Run the operation when its turn comes.

        Raises:
            BackendUnavailableError: The server cannot be reached now.
        """
        task = asyncio.ensure_future(self.serve(operation))
        task.add_done_callback(_look_at)
        return await asyncio.shield(task)

    async def serve(self, operation: Operation[T]) -> T:
        """The same within the task that calls, which nobody may cancel; it saves a task and three turns of the loop.

        Raises:
            BackendUnavailableError: The server cannot be reached now.
        """
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            async with self._turn:
                return await self._persistently(operation)
        finally:
            self._running.discard(task)

    async def close(self) -> None:
        """Let what has begun end, then leave."""
        self._closed = True
        if self._running:
            await asyncio.wait(set(self._running), timeout=_LAST_PATIENCE)
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed:
            try:
                async with asyncio.timeout(2.0):
                    await connection.close()
            except Exception:
                connection.cut()

    async def _persistently(self, operation: Operation[T]) -> T:
        for left in reversed(range(_TRIES)):
            try:
                return await self._patiently(operation)
            except Exception as error:
                await self._clean_up(error)
                if left and is_transient(error):
                    continue
                ours = translate(error, self._address.label)
                if ours is error:
                    raise
                raise ours from error
        raise AssertionError

    async def _patiently(self, operation: Operation[T]) -> T:
        # cut before it is cancelled: psycopg would ask the server to cancel, and wait for its answer
        cut = asyncio.get_running_loop().call_later(self.patience, self._drop)
        try:
            async with asyncio.timeout(self.patience):
                return await operation(await self._connected())
        finally:
            cut.cancel()

    async def _clean_up(self, error: Exception) -> None:
        """Leave a broken connection behind; on a whole one, no transaction."""
        if is_broken(error) and not isinstance(error, QueueError):
            self._drop()
            return
        try:
            if self._connection is not None:
                async with asyncio.timeout(2.0):
                    await self._connection.run("rollback")
        except Exception:
            self._drop()

    async def _connected(self) -> Connection:
        if self._closed:
            msg = f"the backend of {self._address.label} is not open: await open() first"
            raise BackendUnavailableError(msg)
        if self._connection is None or self._connection.is_closed:
            self._connection = await connect(self._address, application=self._name)
            self._on_connect()
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.cut()


def _look_at(task: asyncio.Task[object]) -> None:
    """Look at the error of an operation whose caller has gone, so that asyncio does not warn about it."""
    if not task.cancelled():
        task.exception()
