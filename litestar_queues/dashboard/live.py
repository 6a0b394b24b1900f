"""In: a way to look at the store. Out: streams that tell watchers when there is something new to see.

One task looks for all of them, only while there are any. A stream carries no content: whoever is told asks for its
page again, with its own cookies and guards. So nothing is kept for a slow watcher, who merely misses numbers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from litestar_queues.dashboard.snapshot import Snapshot
from litestar_queues.lookout import BEGIN, LONGEST_STREAM, Lookout

__all__ = ("Live",)

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
        self._latest: tuple[float, Snapshot] | None = None
        self._version = 0
        self._frame = b": hello\n\n"
        self._told = asyncio.Event()
        self.lookout = Lookout(self._look_for_all, wake=self._tell, most=most, name="litestar-queues-dashboard")

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
        if self.lookout.is_full:
            return
        with self.lookout.watch():
            yield BEGIN
            ends_at = time.monotonic() + LONGEST_STREAM
            while not self.lookout.is_over and time.monotonic() < ends_at:
                told = self._told  # taken first: what is told while the frame is on its way is not waited for
                yield self._frame
                await told.wait()

    async def _look_for_all(self) -> float:
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
        return self._interval

    def _tell(self) -> None:
        self._told.set()
        self._told = asyncio.Event()
