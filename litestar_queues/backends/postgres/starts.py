"""In: how long claims took and how far they came. Out: where the next one begins."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

__all__ = ("Starts",)

_SLOW = 0.02
"""Seconds from which a claim is thought to wade through dead rows."""
_SLOW_IN_A_ROW = 3
_MANY_DEAD = 20_000
"""Dead rows from which they are held to be the reason, not the disk or a busy machine; vacuum comes far earlier."""
_PATIENCE, _LONGEST = 100, 30.0
"""So many of them are followed by claims that begin where the last one ended, for this many times their length, so that
one in a hundred tasks waits for such a look; and for so many seconds at most."""


@dataclass(slots=True)
class Starts:
    """Where claims begin in each queue.

    A transaction that is left open somewhere on the server keeps dead rows from being removed, and a claim from the
    front of the queue wades through all that was ever claimed since. Then most claims begin where the last one ended,
    and only now and then one looks at the front, for records that came back or are more urgent.
    """

    _positions: dict[str, tuple[int, datetime, UUID]] = field(default_factory=dict)
    _until: float = 0.0
    _slow: int = 0
    _took: float = 0.0

    @property
    def suspicious(self) -> bool:
        """Whether it is time to ask for the number of dead rows."""
        return self._slow >= _SLOW_IN_A_ROW and time.monotonic() >= self._until

    def decide(self, dead: int) -> None:
        """Take their number."""
        if dead >= _MANY_DEAD:
            self._until = time.monotonic() + min(_LONGEST, _PATIENCE * self._took)
        else:
            self._slow = 0

    @property
    def left(self) -> float:
        """Seconds for which claims may pass over what is at the front; 0 as a rule."""
        return max(0.0, self._until - time.monotonic())

    def now(self) -> tuple[list[Any], ...]:
        """The arguments of a claim."""
        if time.monotonic() >= self._until or not self._positions:
            return [], [], [], []
        positions = self._positions.items()
        return tuple(map(list, zip(*((queue, *position) for queue, position in positions), strict=True)))

    def learn(self, row: Sequence[Any], seconds: float) -> None:
        """Note how far a claim came, and whether it was slow."""
        now = time.monotonic()
        from_front = now >= self._until
        if row[4] is not None:
            for queue, rank, due_at, record_id in zip(row[6], row[17], row[18], row[4], strict=True):
                self._positions[queue] = (rank, due_at, record_id)
        if not from_front:
            return
        self._slow, self._took = self._slow + 1 if seconds > _SLOW else 0, seconds
        if not self._slow:
            self._positions.clear()
