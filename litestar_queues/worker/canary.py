"""In: the canary's last completion in the store. Out: its age as this worker sees it, at no cost to the store."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

from litestar_queues.rooms import Room

if TYPE_CHECKING:
    from litestar_queues.backends.base import QueueBackend
    from litestar_queues.clock import Clock
    from litestar_queues.events import EventBus
    from litestar_queues.rooms import StoreHealth

__all__ = ("CanaryWatch",)


class CanaryWatch(Room):
    """Looks at the canary now and then, so that probes cost the store nothing.

    Args:
        backend: Where the canary's records are.
        clock: For the age at the first look; from then on the age is counted by a clock that never jumps.
        interval: Seconds between two looks.
    """

    name = "canary-watch"

    def __init__(
        self, backend: QueueBackend, *, clock: Clock, interval: float, health: StoreHealth, bus: EventBus
    ) -> None:
        super().__init__(health, bus)
        self.interval = interval
        self._backend = backend
        self._clock = clock
        self._looked_at: float | None = None
        self._seen_at = 0.0
        self._age_at_sight = 0.0
        self.completed_at: datetime | None = None
        """The latest completion that was seen."""

    @property
    def age(self) -> float | None:
        """Seconds since that completion; ``None`` where none was seen."""
        if self.completed_at is None:
            return None
        return self._age_at_sight + time.monotonic() - self._seen_at

    async def run_once(self) -> None:
        """Look."""
        latest = await self._backend.canary_completed_at()
        now = time.monotonic()
        if latest is not None and latest != self.completed_at:
            age = max(0.0, (self._clock.now() - latest).total_seconds())
            # what was not there at the last look is younger than that, whatever this host's clock says
            self._age_at_sight = age if self._looked_at is None else min(age, now - self._looked_at)
            self.completed_at, self._seen_at = latest, now
        self._looked_at = now
