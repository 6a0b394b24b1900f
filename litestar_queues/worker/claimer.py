"""In: free slots and wake-ups. Out: claims, handed to the executor; it knows queues, not tasks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from litestar_queues.errors import BackendError, QueueConfigurationError
from litestar_queues.rooms import StoreHealth, pause_after, sleep_until_set

if TYPE_CHECKING:
    from litestar_queues.backends.base import QueueBackend
    from litestar_queues.worker.completer import Completer
    from litestar_queues.worker.executor import Executor
    from litestar_queues.worker.slots import Slots

__all__ = ("Claimer", "ClaimerOptions")

_MOST_AT_ONCE = 500
"""Records that one claim asks for: while they run, the store looks for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimerOptions:
    """What a claimer claims, and how."""

    worker_id: str
    queues: Sequence[str]
    lease: float
    poll_interval: float
    follows_wakeups: bool = True
    """False: only polls, for a lane whose records may wait for the interval."""


class Claimer:
    """Claims exactly the idle slots; where some stay idle, sleeps until woken or until the next record is due."""

    def __init__(
        self,
        options: ClaimerOptions,
        *,
        backend: QueueBackend,
        slots: Slots,
        executor: Executor,
        completer: Completer,
        health: StoreHealth,
    ) -> None:
        self._options = options
        self._backend = backend
        self._slots = slots
        self._executor = executor
        self._completer = completer
        self._health = health
        self._signal = asyncio.Event()
        self._hungry = True
        self._failures = 0
        self.ready = asyncio.Event()
        """Set once a first claim got through."""
        self._ticked_at: float | None = time.monotonic()

    @property
    def idle_for(self) -> float:
        """Seconds since the loop last went round; 0 while the store is asked, whose silence is no fault of the loop."""
        return 0.0 if self._ticked_at is None else time.monotonic() - self._ticked_at

    async def run(self, stop: asyncio.Event) -> None:
        """Claim until told to stop; a claim under way is waited for, so that none is left behind."""
        self._slots.on_release = self._on_capacity
        self._completer.on_relief.append(self._on_capacity)
        unsubscribe = self._backend.subscribe(self.wake) if self._options.follows_wakeups else None
        try:
            while not stop.is_set():
                self._ticked_at = None
                pause = await self._round(stop)
                self._ticked_at = time.monotonic()
                if pause:
                    await self._rest(pause)
        finally:
            if unsubscribe is not None:
                unsubscribe()

    def wake(self) -> None:
        """Look for work now: there may be some."""
        self._hungry = True
        self._signal.set()

    def interrupt(self) -> None:
        """End the pause, so that a stop is seen at once."""
        self._signal.set()

    async def _round(self, stop: asyncio.Event) -> float:
        """Claim where there is room and reason to; give the seconds to rest."""
        self._signal.clear()
        if not self._hungry or not self._slots.free or self._completer.is_full:
            return self._options.poll_interval
        demand = min(self._slots.free, _MOST_AT_ONCE)
        self._hungry = False
        asked_at = time.monotonic()
        try:
            batch = await self._backend.claim_many(
                worker_id=self._options.worker_id,
                queues=self._options.queues,
                limit=demand,
                lease=self._options.lease,
            )
        except QueueConfigurationError:
            raise
        except BackendError as error:
            self._health.down("claimer", error)
            self._failures += 1
            self._hungry = True
            await sleep_until_set(stop, pause_after(self._failures))
            return 0.0
        self._health.up("claimer", asked_at=asked_at)
        self._failures = 0
        self.ready.set()
        for claim in batch.claims:
            if stop.is_set():
                self._executor.give_back(claim)
            else:
                self._executor.start(claim, self._slots)
        if len(batch.claims) == demand:
            self._hungry = True
            return self._options.poll_interval
        if batch.next_due_in is not None:
            return min(self._options.poll_interval, max(batch.next_due_in, 0.001))
        return self._options.poll_interval

    async def _rest(self, seconds: float) -> None:
        # a full batch leaves it hungry: nothing to wait for unless there is no room
        if self._hungry and self._slots.free and not self._completer.is_full:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._signal.wait()
        except TimeoutError:
            self._hungry = True

    def _on_capacity(self) -> None:
        if self._hungry:
            self._signal.set()
