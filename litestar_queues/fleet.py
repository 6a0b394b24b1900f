"""In: what workers tell and operators ask. Out: workers, pauses and tallies as values; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

__all__ = ("QueuePause", "Tally", "WorkerReport", "WorkerRow")


class WorkerReport(NamedTuple):
    """What a worker tells of itself."""

    worker_id: str
    """``name:nonce``."""
    host: str
    pid: int
    version: str
    """Of litestar-queues."""
    queues: tuple[str, ...]
    """None at all: every queue."""
    max_concurrency: int
    running: int
    """Runs under way."""
    draining: bool
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """A worker as it is stored: what it told last, and whether it still tells."""

    worker_id: str
    host: str
    pid: int
    version: str
    queues: tuple[str, ...]
    max_concurrency: int
    running: int
    draining: bool
    started_at: datetime
    seen_at: datetime
    """When it last told, by the store's clock."""
    alive: bool
    """Whether its lease lasts, by the store's clock."""

    @property
    def state(self) -> str:
        """``working``, ``draining`` or ``lost``: it left without a word."""
        if not self.alive:
            return "lost"
        return "draining" if self.draining else "working"


class QueuePause(NamedTuple):
    """A queue that claims pass over."""

    queue: str
    paused_at: datetime
    until: datetime | None
    """``None``: until it is resumed."""


class Tally(NamedTuple):
    """What ended within one minute in one queue."""

    minute: datetime
    """Its start, by the store's clock; what is reported counts for the minute in which it arrives."""
    queue: str
    completed: int
    failed: int
    retried: int
    cancelled: int
    waits: tuple[int, ...]
    """How many runs waited for how long, by :data:`~litestar_queues.tallies.WAIT_BOUNDS`."""
    durations: tuple[int, ...]
    """How many runs took how long, by :data:`~litestar_queues.tallies.DURATION_BOUNDS`."""
