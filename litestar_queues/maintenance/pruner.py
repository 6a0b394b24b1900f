"""In: retention times. Out: old records, ticks, workers and tallies, deleted in bounded batches."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from litestar_queues.events import Pruned
from litestar_queues.rooms import Room
from litestar_queues.status import TaskStatus

if TYPE_CHECKING:
    from litestar_queues.backends.base import QueueBackend
    from litestar_queues.events import EventBus
    from litestar_queues.rooms import StoreHealth

__all__ = ("Pruner",)

_BATCH = 1_000
_REST = 4.0
"""Between two batches it rests so many times as long as one took, so that claims get through, and yet it deletes faster
than one worker works."""
_TICK_RETENTION = 30 * 86_400.0
_FLEET_RETENTION = 86_400.0
"""Seconds for which lost workers are shown, and what ended in each minute."""


class Pruner(Room):
    """Deletes what is older than its retention; harmless when several workers do it at once.

    Args:
        backend: Where the records are.
        retention: Seconds by terminal state; ``None`` keeps for ever.
    """

    name = "pruner"
    interval = 60.0

    def __init__(
        self, backend: QueueBackend, retention: Mapping[str, float | None], *, health: StoreHealth, bus: EventBus
    ) -> None:
        super().__init__(health, bus)
        self._backend = backend
        self._retention = retention

    async def run_once(self) -> float | None:
        """Delete one batch of each kind; where one was full, go on soon."""
        began, full = time.monotonic(), False
        for status, older_than in self._retention.items():
            if older_than is None:
                continue
            count = await self._backend.prune_many(TaskStatus(status), older_than=older_than, limit=_BATCH)
            if count:
                self.bus.emit(Pruned(status, count))
            full = full or count >= _BATCH
        counts = (
            await self._backend.prune_ticks(older_than=_TICK_RETENTION, limit=_BATCH),
            await self._backend.prune_workers(older_than=_FLEET_RETENTION, limit=_BATCH),
            await self._backend.prune_tallies(older_than=_FLEET_RETENTION, limit=_BATCH),
        )
        full = full or max(counts) >= _BATCH
        return _REST * (time.monotonic() - began) if full else None
