"""In: what workers tell and operators ask. Out: workers, pauses and tallies as values; no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import NamedTuple

__all__ = ("WORKER_STATES", "QueuePause", "Tally", "WorkerReport", "WorkerRow", "add_up", "by_queue")

WORKER_STATES = ("working", "draining", "lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReport:
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
class WorkerRow(WorkerReport):
    """A worker as it is stored: what it told last, and whether it still tells."""

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


def by_queue(tallies: Iterable[Tally]) -> list[Tally]:
    """One tally for each queue, in the order of their names: two workers that write them do not wait for each other."""
    summed: dict[str, Tally] = {}
    for one in tallies:
        summed[one.queue] = add_up(summed[one.queue], one) if one.queue in summed else one
    return [summed[queue] for queue in sorted(summed)]


def add_up(one: Tally, other: Tally) -> Tally:
    """Both together, as the first one's; another release may know more bounds."""
    return Tally(
        one.minute,
        one.queue,
        one.completed + other.completed,
        one.failed + other.failed,
        one.retried + other.retried,
        one.cancelled + other.cancelled,
        tuple(map(sum, zip_longest(one.waits, other.waits, fillvalue=0))),
        tuple(map(sum, zip_longest(one.durations, other.durations, fillvalue=0))),
    )
