"""In: a method that does one round of work. Out: a loop around it that paces, survives outages and stops when told."""

from __future__ import annotations

import asyncio
import math
import random
import time
from abc import ABC, abstractmethod

from litestar_queues.errors import BackendUnavailableError, QueueConfigurationError
from litestar_queues.events import BackendDown, BackendUp, EventBus, RoomFailed

__all__ = ("Room", "StoreHealth", "pause_after", "sleep_until_set", "wait_for_any")

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_QUIET = 7.0
"""Seconds without a failure after which nobody doubts the store any more: every room has tried again by then."""


class StoreHealth:
    """Whether this worker reaches its store; tells each change once, whichever room saw it first.

    A store may take reads and no writes: a full disk, a standby. Then one room's success says nothing of another's, nor
    of its own next statement. So an outage that comes back at once lasts until each room that failed has succeeded,
    and where one of them then fails again, until none has failed for a while.
    """

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._down_since: float | None = None
        self._came_back_at = -math.inf
        self._answers_since: float | None = -math.inf
        self._failed_at = 0.0
        self._is_back_again = self._relapsed = False
        self._failing: set[str] = set()
        self._recovered: set[str] = set()

    @property
    def ok(self) -> bool:
        """Whether no outage is under way."""
        return self._down_since is None

    def fails_or_failed_within(self, seconds: float) -> bool:
        """Whether statements fail now, or have got through again for less than so many seconds."""
        return self._answers_since is None or time.monotonic() - self._answers_since < seconds

    def down(self, room: str, error: Exception) -> None:
        """A room could not reach the store."""
        self._failed_at = time.monotonic()
        self._answers_since = None
        if self._down_since is None:
            self._is_back_again = self._failed_at - self._came_back_at < _QUIET
            if not self._is_back_again:
                self._recovered.clear()
            self._down_since, self._relapsed = self._failed_at, False
            self._failing.clear()
            self._bus.emit(BackendDown(room, error))
        self._failing.add(room)
        self._relapsed = self._relapsed or room in self._recovered

    def up(self, room: str, *, asked_at: float | None = None) -> None:
        """A room reached the store; what it had asked before the outage began is no sign that this is over."""
        if self._down_since is None or (asked_at is not None and asked_at < self._down_since):
            return
        now = time.monotonic()
        self._answers_since = now if self._answers_since is None else self._answers_since
        self._failing.discard(room)
        if self._is_back_again:
            self._recovered.add(room)
        doubtful = self._relapsed or (self._is_back_again and self._failing)
        if doubtful and now - self._failed_at < _QUIET:
            return
        seconds = now - self._down_since
        self._came_back_at, self._down_since = now, None
        self._bus.emit(BackendUp(room, seconds))


class Room(ABC):
    """One loop of a worker.

    Args:
        health: Told of outages.
        bus: Told of errors that nobody expected.
    """

    name: str
    interval: float
    """Seconds between two rounds, with a tenth of jitter so that a fleet does not step in time."""

    def __init__(self, health: StoreHealth, bus: EventBus) -> None:
        self.health = health
        self.bus = bus

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to ask the store for; then a round is left out, which tells nothing of the store."""
        return False

    @abstractmethod
    async def run_once(self) -> float | None:
        """Do one round and give the seconds until the next, or ``None`` for the interval."""

    async def run(self, stop: asyncio.Event) -> None:
        """Go round until told to stop; a round that has begun is finished, never cancelled.

        Raises:
            QueueConfigurationError: What no waiting can mend.
        """
        failures, told = 0, ""
        while not stop.is_set():
            if self.is_idle:
                await sleep_until_set(stop, self._usual_pause())
                continue
            began = time.monotonic()
            try:
                pause = await self.run_once()
            except QueueConfigurationError:
                raise
            except BackendUnavailableError as error:
                self.health.down(self.name, error)
                failures += 1
            except Exception as error:  # a room outlives its bugs: the others depend on it
                if told != (told := repr(error)):  # the same error each few seconds is told once
                    self.bus.emit(RoomFailed(self.name, error))
                failures += 1
            else:
                self.health.up(self.name, asked_at=began)
                failures, told = 0, ""
            if failures:
                pause = pause_after(failures)
            await sleep_until_set(stop, self._usual_pause() if pause is None else pause)

    def _usual_pause(self) -> float:
        return self.interval * random.uniform(0.9, 1.1)


def pause_after(failures: int) -> float:
    """Seconds to wait after so many failures in a row: 0.1 s, doubled each time up to 5 s, with jitter."""
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failures - 1, 16)) * random.uniform(0.75, 1.25)


async def sleep_until_set(event: asyncio.Event, seconds: float) -> None:
    """Return once the event is set or the seconds are over."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


async def wait_for_any(*events: asyncio.Event, timeout: float | None = None) -> bool:
    """Return once one of the events is set; ``False`` where the seconds are over before."""
    if any(event.is_set() for event in events):
        return True
    waiters = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        done, _ = await asyncio.wait(waiters, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()
    return bool(done)
