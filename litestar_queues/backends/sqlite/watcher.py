"""In: commits of other connections and processes. Out: wake-ups on the event loops of the subscribers."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from threading import Event, Thread

from litestar_queues.backends.sqlite.file import DatabaseFile, Identity
from litestar_queues.backends.sqlite.log_events import LogEvents
from litestar_queues.backends.statements import load_statements

__all__ = ("Watcher",)

SQL = load_statements("sqlite")

_INTERVAL = 0.010
"""Between two looks where the kernel tells nothing: a look wakes an idle core, which costs it 0.1 ms, and 250 of them
a second took 2 % of a core."""
_SOON = 0.001
"""From a write to the log to the look: a commit is to be seen once the write is flushed."""
_QUIET = 0.25
"""Longest time without a look, whatever the kernel tells."""
_IDENTITY_INTERVAL = 1.0


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
    """Looks at the file's version number while anybody wants to know, and after its log was written to.

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
        self._check_at = 0.0
        self._events: LogEvents | None = None
        self._pause = self._patience = _SOON

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
            self._events = LogEvents()
            self._thread = Thread(target=self._run, args=(self._events,), name="litestar-queues-watcher", daemon=True)
            self._thread.start()
        self._wanted.set()
        return unsubscribe

    def notify(self) -> None:
        """Wake the subscribers at once; on the event loop, after a commit of this process."""
        for subscription in self._subscriptions:
            subscription.fire_from_thread()

    def stop(self) -> None:
        """End the thread; it pauses for milliseconds at most, so this does not block."""
        self._stopped.set()
        self._wanted.set()
        if self._thread is not None and self._events is not None:
            self._events.wake()
            self._thread.join(1.0)
            # not by the thread itself: the wake above would meet a closed descriptor, or one that is another's by then
            if not self._thread.is_alive():
                self._events.close()

    def _run(self, events: LogEvents) -> None:
        seen: int | None = None
        while not self._stopped.is_set():
            if not self._wanted.is_set():
                self._disconnect(events)
                seen = None
                self._wanted.wait()
            if self._connection is None or time.monotonic() >= self._check_at:
                self._check_identity(events)
            version = self._look(events)
            if version is None:
                seen = None
                self._stopped.wait(_IDENTITY_INTERVAL)
                continue
            if version != seen:
                seen = version
                self.notify()
            self._rest(events)
        self._disconnect(events)

    def _rest(self, events: LogEvents) -> None:
        """Wait until a look is worth its cost."""
        if not events.following:
            time.sleep(_INTERVAL)
        elif events.wait(self._patience):
            time.sleep(self._pause)
            self._pause = min(self._pause * 2, _INTERVAL)  # writes that go on do not make for more and more looks
            self._patience = _SOON
        else:
            self._pause = _SOON
            self._patience = min(self._patience * 2, _QUIET)  # a slow flush is seen after its own time again at most

    def _look(self, events: LogEvents) -> int | None:
        """The version number; ``None`` while the file cannot be read."""
        if self._connection is None:
            return None
        try:
            version: int = self._connection.execute(SQL["data_version"]).fetchone()[0]
        except sqlite3.Error:
            self._disconnect(events)
            return None
        return version

    def _check_identity(self, events: LogEvents) -> None:
        """Connect anew where the file was moved, deleted or replaced; a new connection counts versions anew."""
        self._check_at = time.monotonic() + _IDENTITY_INTERVAL
        if self._connection is not None and self._file.identity() == self._identity:
            if not events.following:
                events.follow(self._file.log)
            return
        self._disconnect(events)
        try:
            self._connection = self._file.connect_plainly()
        except Exception:  # the operations report it; here it is tried again in a second
            return
        self._identity = self._file.identity()
        events.follow(self._file.log)

    def _disconnect(self, events: LogEvents) -> None:
        events.unfollow()
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()
