"""In: a way to look at the store. Out: one look after another for all who watch, and none while nobody does.

Streams end after half a minute, and the browser opens another: past the guards, perhaps to another process. They end at
once where the app closes, or the server was told to stop, which shuts the app down only once every stream has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from litestar_queues.signals import server_is_leaving

__all__ = ("BEGIN", "LONGEST_STREAM", "Lookout")

LONGEST_STREAM: Final = 30.0
"""Seconds."""
BEGIN: Final = b"retry: 1000\n\n"
"""The first frame of a stream: when it ends, come back after a second."""
_GLANCE = 0.5
"""Seconds between two glances at the server."""


class Lookout:
    """Keeps one task that looks while there are watchers.

    Args:
        look: Looks once and gives the seconds until the next look; what fails is its own affair.
        wake: Wakes all watchers, when it is over.
        most: Watchers at a time.
        name: Of the task.
    """

    def __init__(self, look: Callable[[], Awaitable[float]], *, wake: Callable[[], None], most: int, name: str) -> None:
        self._look = look
        self._wake = wake
        self._most = most
        self._name = name
        self._attending: asyncio.Task[None] | None = None
        self.watchers = 0
        self.is_over = False

    @property
    def is_full(self) -> bool:
        """Whether nobody else may watch."""
        return self.is_over or self.watchers >= self._most

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Be one of the watchers."""
        self.watchers += 1
        try:
            if self._attending is None or self._attending.done():
                self._attending = asyncio.create_task(self._attend(), name=self._name)
            yield
        finally:
            self.watchers -= 1

    async def close(self) -> None:
        """Send all watchers away and look no more."""
        self._end()
        if self._attending is not None:
            self._attending.cancel()
            await asyncio.wait({self._attending})

    async def _attend(self) -> None:
        looking = asyncio.create_task(self._keep_looking(), name=self._name)
        try:
            while self.watchers and not (self.is_over or looking.done()):
                if server_is_leaving():
                    self._end()
                await asyncio.sleep(_GLANCE)
        finally:  # also a look that hangs in a store that is away
            looking.cancel()
            await asyncio.wait({looking})

    async def _keep_looking(self) -> None:
        while not self.is_over:
            pause = await self._look() if self.watchers else _GLANCE
            await asyncio.sleep(pause)

    def _end(self) -> None:
        self.is_over = True
        self._wake()
