"""In: commits of other connections and processes. Out: wake-ups on the event loops of the subscribers."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from threading import Event, Thread

from litestar_queues.backends.sqlite_file import DatabaseFile, Identity
from litestar_queues.backends.statements import load_statements

__all__ = ("Watcher",)

SQL = load_statements("sqlite")

_INTERVAL = 0.004
_LOOKS_PER_IDENTITY_CHECK = 250  # about one second


class Subscription:
    """One function to call, and the loop to call it on."""

    __slots__ = ("_loop", "_outstanding", "_wake", "active")

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._outstanding = False
        self.active = True

    def fire(self) -> None:
        """Wake the subscriber; on its loop."""
        self._outstanding = False
        if self.active:
            self._wake()

    def fire_from_thread(self) -> None:
        """Have the subscriber woken; wake-ups that would pile up are one."""
        if self._outstanding:
            return
        self._outstanding = True
        try:
            self._loop.call_soon_threadsafe(self.fire)
        except RuntimeError:  # its loop is closed
            self.active = False


class Watcher:
    """Polls the file's version number (2 us a look) while anybody wants to know.

    Args:
        file: Which file.
    """

    def __init__(self, file: DatabaseFile) -> None:
        self._file = file
        self._subscriptions: tuple[Subscription, ...] = ()
        self._wanted = Event()
        self._stopped = Event()
        self._thread: Thread | None = None
        self._connection: sqlite3.Connection | None = None
        self._identity: Identity = None

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call the function on this loop when something was committed; gives the function that ends it."""
        subscription = Subscription(wake)
        # replaced, never changed: the thread reads it without a lock
        self._subscriptions = (*self._subscriptions, subscription)

        def unsubscribe() -> None:
            subscription.active = False
            self._subscriptions = tuple(one for one in self._subscriptions if one is not subscription)
            if not self._subscriptions:
                self._wanted.clear()

        if self._thread is None:
            self._thread = Thread(target=self._run, name="litestar-queues-watcher", daemon=True)
            self._thread.start()
        self._wanted.set()
        return unsubscribe

    def notify(self) -> None:
        """Wake the subscribers at once; on the event loop, after a commit of this process."""
        for subscription in self._subscriptions:
            subscription.fire_from_thread()

    def stop(self) -> None:
        """End the thread; a look takes microseconds, so this does not block."""
        self._stopped.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def _run(self) -> None:
        seen: int | None = None
        looks = 0
        while not self._stopped.is_set():
            if not self._wanted.is_set():
                self._disconnect()
                seen = None
                self._wanted.wait()
            looks += 1
            if self._connection is None or looks % _LOOKS_PER_IDENTITY_CHECK == 0:
                self._check_identity()
            version = self._look()
            if version is None:
                seen = None
                self._stopped.wait(_INTERVAL * _LOOKS_PER_IDENTITY_CHECK)
                continue
            if version != seen:
                seen = version
                self.notify()
            time.sleep(_INTERVAL)
        self._disconnect()

    def _look(self) -> int | None:
        """The version number; ``None`` while the file cannot be read."""
        if self._connection is None:
            return None
        try:
            version: int = self._connection.execute(SQL["data_version"]).fetchone()[0]
        except sqlite3.Error:
            self._disconnect()
            return None
        return version

    def _check_identity(self) -> None:
        """Connect anew where the file was moved, deleted or replaced; a new connection counts versions anew."""
        if self._connection is not None and self._file.identity() == self._identity:
            return
        self._disconnect()
        try:
            self._connection = self._file.connect_plainly()
        except Exception:  # the operations report it; here it is tried again in a second
            return
        self._identity = self._file.identity()

    def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()
