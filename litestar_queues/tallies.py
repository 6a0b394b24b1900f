"""In: values and names, as they come. Out: numbers that take little to add to and little room, however many come."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

__all__ = ("DURATION_BOUNDS", "MOST_QUEUES", "OTHER", "WAIT_BOUNDS", "Histogram", "Names")

DURATION_BOUNDS = (0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Seconds that runs take."""
WAIT_BOUNDS = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0)
"""Seconds between due and claimed."""
MOST_QUEUES = 100
"""Queues that a worker counts apart."""

OTHER = "other"
"""What stands for every name beyond those that are told apart."""


class Histogram:
    """Counts values by the bounds that they do not exceed.

    Args:
        bounds: In rising order.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """Of each bound alone; the last is of what exceeds them all."""
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Each bound and how many values are at or below it."""
        below, buckets = 0, []
        for bound, count in zip((*self.bounds, "+Inf"), self.counts, strict=True):
            below += count
            buckets.append((str(bound), float(below)))
        return buckets


class Names:
    """Keeps the first names apart and folds all others into one.

    Args:
        most: How many are kept apart.
    """

    __slots__ = ("_known", "_most")

    def __init__(self, most: int) -> None:
        self._known: set[str] = set()
        self._most = most

    def fold(self, name: str) -> str:
        """The name itself, or what stands for it."""
        if name not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(name)
        return name
