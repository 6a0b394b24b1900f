"""In: leases that ran out. Out: their records, waiting again or ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar_queues.events import RecordsRescued
from litestar_queues.rooms import Room

if TYPE_CHECKING:
    from litestar_queues.backends.base import QueueBackend
    from litestar_queues.events import EventBus
    from litestar_queues.rooms import StoreHealth

__all__ = ("Rescuer",)

_BATCH = 500


class Rescuer(Room):
    """Takes records back from workers that vanished; harmless when several do it at once.

    Args:
        backend: Where the records are.
        worker_id: This worker.
        succeeds: Whether it bears a name that only one process has at a time, so that what its predecessor held can be
            taken back without waiting for the leases.
        max_lost_leases: A record fails once so many of its holders have vanished.
        interval: Seconds between two looks.
    """

    name = "rescuer"

    def __init__(
        self,
        backend: QueueBackend,
        *,
        worker_id: str,
        succeeds: bool,
        max_lost_leases: int,
        interval: float,
        health: StoreHealth,
        bus: EventBus,
    ) -> None:
        super().__init__(health, bus)
        self.interval = interval
        self._backend = backend
        self._worker_id = worker_id
        self._succeeds = succeeds
        self._max_lost_leases = max_lost_leases

    @property
    def is_idle(self) -> bool:
        """After an outage as long as a lease every lease has run out: living workers are let renew theirs first."""
        return self.health.fails_or_failed_within(self.interval)

    async def run_once(self) -> float | None:
        """Take back what is lost; a full batch means that there may be more."""
        if self._succeeds:
            rescued = await self._backend.rescue_predecessor(self._worker_id, max_lost_leases=self._max_lost_leases)
            self._succeeds = False
        else:
            rescued = await self._backend.rescue_many(limit=_BATCH, max_lost_leases=self._max_lost_leases)
        if rescued:
            self.bus.emit(RecordsRescued(rescued))
        return 0.0 if len(rescued) >= _BATCH else None
