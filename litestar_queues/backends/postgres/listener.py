"""In: notifications of producers. Out: wake-ups of the claimers; while the server is away, polling goes on alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from litestar_queues.backends.postgres.drivers import Connection, connect
from litestar_queues.backends.postgres.errors import translate

if TYPE_CHECKING:
    from litestar_queues.backends.postgres.drivers import Address

__all__ = ("Listener",)

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 10.0
_CALM = 5.0
"""Seconds after which a connection counts as one that holds."""


class Listener:
    """Keeps one connection that listens, for as long as anybody wants to be woken.

    Args:
        address: Which server; ``None``: nobody listens, and only this process' own changes wake.
        channel: What is listened to.
    """

    def __init__(self, address: Address | None, channel: str) -> None:
        self._address = address
        self._channel = channel
        self._wakes: tuple[Callable[[], None], ...] = ()
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told = False
        self._reached = asyncio.Event()
        self.on_change: Callable[[Exception | None], None] | None = None
        """Told once when listening breaks off (with the reason), and once when it works again."""

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call the function when something may have changed; gives the function that ends it."""
        self._loop = asyncio.get_running_loop()
        self._wakes = (*self._wakes, wake)
        if self._task is None and self._address is not None:
            self._reached = asyncio.Event()
            self._task = asyncio.create_task(self._listen(), name="litestar-queues-listener")

        def unsubscribe() -> None:
            self._wakes = tuple(one for one in self._wakes if one is not wake)

        return unsubscribe

    def notify(self) -> None:
        """Wake the subscribers after a change of this process."""
        for wake in self._wakes:
            assert self._loop is not None
            self._loop.call_soon(self._wake, wake)

    def _wake(self, wake: Callable[[], None]) -> None:
        if wake in self._wakes:  # a subscription may have ended since
            wake()

    def try_again(self) -> None:
        """Another connection has reached the server: where this one waits to try again, it need not."""
        self._reached.set()

    async def close(self) -> None:
        """Stop listening, and let the subscribers go."""
        self._wakes, self._told = (), False
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=2.0)

    async def _listen(self) -> None:
        assert self._address is not None
        pause = _FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while True:
            connection: Connection | None = None
            self._reached.clear()
            began = loop.time()
            try:
                connection = await connect(self._address, application="litestar-queues listener")
                await connection.listen(self._channel, self._heard)
            except Exception as error:
                self._tell(translate(error, self._address.label))
            finally:
                if connection is not None:
                    connection.cut()
            pause = _FIRST_PAUSE if loop.time() - began > _CALM else min(_LONGEST_PAUSE, pause * 2)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._reached.wait()

    def _heard(self) -> None:
        """It listens, be it for the first time: something may have been said while nobody did."""
        self._tell(None)
        self.notify()

    def _tell(self, error: Exception | None) -> None:
        if (error is not None) != self._told:
            self._told = error is not None
            if self.on_change is not None:
                self.on_change(error)
