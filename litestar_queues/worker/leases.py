"""In: the claims that this worker holds. Out: renewed leases, and the runs that must stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from litestar_queues.events import ClaimsLost, EventBus, LoopLagged
from litestar_queues.records import Held
from litestar_queues.rooms import Room, StoreHealth, sleep_until_set

if TYPE_CHECKING:
    from litestar_queues.backends.base import QueueBackend
    from litestar_queues.worker.executor import Executor

__all__ = ("CancelWatch", "LagWatch", "LeaseKeeper")


class LeaseKeeper(Room):
    """Renews every held claim in one statement, and stops the runs of those that were lost."""

    name = "leases"

    def __init__(
        self,
        backend: QueueBackend,
        executor: Executor,
        held: Callable[[], Sequence[Held]],
        *,
        interval: float,
        lease: float,
        health: StoreHealth,
        bus: EventBus,
    ) -> None:
        super().__init__(health, bus)
        self.interval = interval
        self._backend = backend
        self._executor = executor
        self._held = held
        self._lease = lease

    @property
    def is_idle(self) -> bool:
        """Whether nothing is held."""
        return not self._held()

    async def run_once(self) -> None:
        """Renew."""
        held = self._held()
        renewal = await self._backend.renew_many(held, lease=self._lease)
        named, still_held = set(renewal.lost), set(self._held())
        # an outcome that was stored while the renewal was under way is not a loss, even where the record runs anew
        lost = self._executor.cancel([one.id for one in held if one.id in named and one in still_held], "lost")
        if lost:
            self.bus.emit(ClaimsLost(lost))
        self._executor.cancel(renewal.cancelled, "requested")


class CancelWatch(Room):
    """Stops runs that somebody asked to cancel."""

    name = "cancel-watch"
    interval = 1.0

    def __init__(
        self, backend: QueueBackend, executor: Executor, worker_id: str, *, health: StoreHealth, bus: EventBus
    ) -> None:
        super().__init__(health, bus)
        self._backend = backend
        self._executor = executor
        self._worker_id = worker_id

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs."""
        return not self._executor.running_count

    async def run_once(self) -> None:
        """Ask the store."""
        self._executor.cancel(await self._backend.cancel_requests(self._worker_id), "requested")


class LagWatch:
    """Notices when something blocked the event loop: then leases, health and every other task stood still."""

    _INTERVAL = 0.5

    def __init__(self, bus: EventBus, *, warn_after: float) -> None:
        self._bus = bus
        self._warn_after = warn_after

    async def run(self, stop: asyncio.Event) -> None:
        """Compare how long a short sleep takes with how long it should."""
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            began = loop.time()
            await sleep_until_set(stop, self._INTERVAL)
            lag = loop.time() - began - self._INTERVAL
            if lag > self._warn_after:
                self._bus.emit(LoopLagged(lag))
