"""In: what the store says of its wake-ups. Out: an event once they break off, and once they arrive again."""

from __future__ import annotations

import time

from litestar_queues.events import EventBus, ListenerDown, ListenerUp

__all__ = ("WakeUpWatch",)


class WakeUpWatch:
    """Knows for how long wake-ups have been away."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._down_since: float | None = None

    def tell(self, error: Exception | None) -> None:
        """Take what the store says: why wake-ups do not arrive, or ``None``: they do."""
        if error is not None:
            self._down_since = time.monotonic()
            self._bus.emit(ListenerDown(error))
        elif self._down_since is not None:
            self._bus.emit(ListenerUp(time.monotonic() - self._down_since))
            self._down_since = None
