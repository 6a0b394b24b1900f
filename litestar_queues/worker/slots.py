"""In: starts and ends of runs. Out: how many more may start."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ("Slots",)


class Slots:
    """A counter of free places, and a signal when one becomes free."""

    __slots__ = ("free", "limit", "on_release")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.free = limit
        self.on_release: Callable[[], None] | None = None

    def take(self) -> None:
        """A run starts."""
        self.free -= 1

    def release(self) -> None:
        """A run ended."""
        self.free += 1
        if self.on_release is not None:
            self.on_release()
