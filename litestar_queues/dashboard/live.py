"""In: a way to look at the store. Out: streams that tell watchers when there is something new to see.

One task looks for all of them, only while there are any. A stream carries no content: whoever is told asks for its
page again, with its own cookies and guards. So nothing is kept for a slow watcher, who merely misses numbers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from litestar_queues.dashboard.snapshot import Snapshot
from litestar_queues.signals import server_is_leaving

__all__ = ("Live",)

_LONGEST_STREAM = 30.0
"""Seconds after which a stream ends and the browser opens another, past the guards and perhaps to another process."""
_BEGIN = b"retry: 1000\n\n"
_DOWN = b"event: down\ndata: the queue is not available\n\n"


class Live:
    """Looks at the store while somebody watches, and tells all of them.

    Args:
        look: Asks the store.
        interval: Seconds between two looks.
        most: Streams at a time.
    """

    def __init__(self, look: Callable[[], Awaitable[Snapshot]], *, interval: float, most: int) -> None:
        self._look = look
        self._interval = interval
        self._most = most
        self._watchers = 0
        self._polling: asyncio.Task[None] | None = None
        self._latest: tuple[float, Snapshot] | None = None
        self._version = 0
        self._frame = b": hello\n\n"
        self._told = asyncio.Event()
        self._closed = False

    @property
    def watchers(self) -> int:
        """Streams that are open."""
        return self._watchers

    @property
    def is_full(self) -> bool:
        """Whether no further stream is served."""
        return self._closed or self._watchers >= self._most

    async def current(self, *, fresh: bool) -> Snapshot:
        """The latest look where it is not older than an interval, else a new one.

        Args:
            fresh: Look anew in any case.

        Raises:
            BackendUnavailableError: The store cannot be reached.
        """
        if not fresh and self._latest is not None:
            taken, snapshot = self._latest
            if time.monotonic() - taken <= self._interval:
                return snapshot
        return await self._look()

    async def stream(self) -> AsyncIterator[bytes]:
        """Send the number of the state of things at each look, for half a minute or until the app shuts down."""
        if self.is_full:
            return
        self._watchers += 1
        try:
            yield _BEGIN
            self._keep_polling()
            ends_at = time.monotonic() + _LONGEST_STREAM
            while not self._closed and time.monotonic() < ends_at:
                told = self._told  # taken first: what is told while the frame is on its way is not waited for
                yield self._frame
                await told.wait()
        finally:
            self._watchers -= 1

    async def close(self) -> None:
        """End all streams and the looking."""
        self._end_streams()
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.wait({self._polling})

    def _keep_polling(self) -> None:
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll(), name="litestar-queues-dashboard")

    async def _poll(self) -> None:
        while self._watchers and not self._closed:
            try:
                snapshot = await self._look()
            except Exception:  # whatever it is, the page says it in words when it is asked for again
                self._frame = _DOWN
            else:
                if self._latest is None or snapshot != self._latest[1]:
                    self._version += 1
                self._latest = time.monotonic(), snapshot
                self._frame = f"data: {self._version}\n\n".encode()
            self._tell()
            await self._pause()

    async def _pause(self) -> None:
        ends_at = time.monotonic() + self._interval
        while (left := ends_at - time.monotonic()) > 0:
            if server_is_leaving():
                self._end_streams()
                return
            await asyncio.sleep(min(left, 0.5))

    def _end_streams(self) -> None:
        self._closed = True
        self._tell()

    def _tell(self) -> None:
        self._told.set()
        self._told = asyncio.Event()
