"""In: a server's socket. Out: a socket before it that a test can cut, silence, slow down and turn to another server."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Literal

__all__ = ("Proxy", "Weather")

Weather = Literal["fair", "cut", "silent", "slow", "shuffled", "forgetful"]
"""``silent``: nothing is answered and nothing is refused. ``shuffled``: each piece waits for a time of its own, so that
what different connections say overtakes each other; within one connection TCP keeps the order, and so does this.
``forgetful``: the server hears and does what it is asked, and now and then its answer is lost, with the connection."""

_PIECE = 65_536
_FORGOTTEN = 0.05


class Proxy:
    """A proxy in a thread of its own.

    Args:
        folder: Where its socket lies, under the name of PostgreSQL's.
        target: The folder of the server's socket.
    """

    def __init__(self, folder: Path, target: str, seed: int) -> None:
        self._path = str(folder / ".s.PGSQL.5432")
        self.target = target
        self._weather: Weather = "fair"
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._links: set[asyncio.Task[None]] = set()
        self._doomed: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._call(self._open())

    def set(self, weather: Weather) -> None:
        """Change the weather. What was connected in silence stays silent for ever, as after a host has vanished."""
        self._call(self._set(weather))

    def close(self) -> None:
        """Cut everything."""
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _call(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _set(self, weather: Weather) -> None:
        self._weather = weather
        if weather == "silent":
            self._doomed |= self._links
        if weather == "cut":
            for link in self._links - self._doomed:
                link.cancel()
            await asyncio.sleep(0)

    async def _end(self) -> None:
        self._server.close()
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _open(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self._path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.current_task()
        assert link is not None
        if self._weather == "cut":
            writer.transport.abort()
            return
        self._links.add(link)
        if self._weather == "silent":
            self._doomed.add(link)
        end: asyncio.StreamWriter | None = None
        try:
            while link in self._doomed:  # noqa: ASYNC110 - it never ends
                await asyncio.sleep(0.1)
            far, end = await asyncio.open_unix_connection(f"{self.target}/.s.PGSQL.5432")
            is_dead: Callable[[], bool] = lambda: link in self._doomed  # noqa: E731
            asks, answers = self._pump(reader, end, is_dead), self._pump(far, writer, is_dead, forgets=True)
            ways = [asyncio.ensure_future(asks), asyncio.ensure_future(answers)]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.wait(ways)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._links.discard(link)
            self._doomed.discard(link)
            for side in (writer, end):
                if side is not None:
                    side.transport.abort()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        is_dead: Callable[[], bool],
        *,
        forgets: bool = False,
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(_PIECE):
                while is_dead():  # noqa: ASYNC110 - it never ends
                    await asyncio.sleep(0.1)
                if forgets and self._weather == "forgetful" and self._random.random() < _FORGOTTEN:
                    return
                if self._weather == "slow":
                    await asyncio.sleep(self._random.uniform(0.05, 0.15))
                elif self._weather == "shuffled":
                    await asyncio.sleep(self._random.expovariate(1 / 0.03))
                writer.write(piece)
                await writer.drain()
