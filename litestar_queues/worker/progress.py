"""In: progress that tasks publish, as often as they like. Out: the latest of each, stored twice a second at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar_queues.records import Claim, Held
from litestar_queues.rooms import Room

if TYPE_CHECKING:
    from litestar_queues.backends.base import QueueBackend
    from litestar_queues.events import EventBus
    from litestar_queues.rooms import StoreHealth

__all__ = ("ProgressKeeper",)


class ProgressKeeper(Room):
    """Keeps the latest progress per claim until it is written."""

    name = "progress"
    interval = 0.5

    def __init__(self, backend: QueueBackend, *, health: StoreHealth, bus: EventBus) -> None:
        super().__init__(health, bus)
        self._backend = backend
        self._latest: dict[Held, bytes] = {}

    def save(self, claim: Claim, progress: bytes) -> None:
        """Take the progress of a run."""
        self._latest[Held(claim.id, claim.token)] = progress

    async def flush(self) -> None:
        """Write what has gathered; where that fails it is dropped, since newer progress follows."""
        if self._latest:
            latest, self._latest = self._latest, {}
            await self._backend.save_progress(latest)

    @property
    def is_idle(self) -> bool:
        """Whether nothing has gathered."""
        return not self._latest

    async def run_once(self) -> None:
        """Flush."""
        await self.flush()
