"""In: a snapshot and tallies. Out: what the overview says of each queue, and its pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from typing import NamedTuple

from litestar_queues.dashboard.pictures import Picture, columns, curves, percentile, throughput
from litestar_queues.dashboard.snapshot import Snapshot
from litestar_queues.fleet import QueuePause, Tally, add_up
from litestar_queues.records import QueueDepth
from litestar_queues.tallies import WAIT_BOUNDS

__all__ = ("Overview", "QueueLine", "overview_of")

_RATE_MINUTES = 5


class QueueLine(NamedTuple):
    """One row of the table of queues."""

    depth: QueueDepth
    pause: QueuePause | None
    rate: float
    """Runs that completed a minute, over the last minutes."""
    unsuccessful: int
    """Runs that failed within the span; also those that are tried again."""
    wait: float | None
    """Seconds that 95 of 100 runs waited at most."""


@dataclass(frozen=True, slots=True)
class Overview:
    """What the page shows beside the snapshot."""

    lines: Sequence[QueueLine]
    total: Tally | None
    """Of the span and of the chosen queue, where one is chosen."""
    throughput: Picture
    waits: Picture
    durations: Picture


def overview_of(snapshot: Snapshot, tallies: Sequence[Tally], hours: int, queue: str | None) -> Overview:
    """Draw the pictures of one queue or of all, and tell each queue's numbers."""
    shown = columns((one for one in tallies if queue in (None, one.queue)), snapshot.taken_at, hours)
    return Overview(
        lines=_lines(snapshot, tallies, queue),
        total=_sum(one.total for one in shown if one.total is not None),
        throughput=throughput(shown),
        waits=curves(shown, "waits"),
        durations=curves(shown, "durations"),
    )


def _lines(snapshot: Snapshot, tallies: Sequence[Tally], chosen: str | None) -> list[QueueLine]:
    pauses = {one.queue: one for one in snapshot.pauses}
    by_queue: dict[str, list[Tally]] = {one.queue: [] for one in snapshot.depths}
    if chosen is not None:  # one that is empty and that this process has never seen can be paused all the same
        by_queue.setdefault(chosen, [])
    for one in tallies:
        by_queue.setdefault(one.queue, []).append(one)
    depths = {one.queue: one for one in snapshot.depths}
    return [
        _line(depths.get(name) or QueueDepth(name, 0, 0, 0, None), pauses.get(name), ended, snapshot.taken_at)
        for name, ended in sorted(by_queue.items())
    ]


def _line(depth: QueueDepth, pause: QueuePause | None, tallies: Sequence[Tally], now: datetime) -> QueueLine:
    recent = now - timedelta(minutes=_RATE_MINUTES)
    total = _sum(tallies)
    return QueueLine(
        depth,
        pause,
        rate=sum(one.completed for one in tallies if one.minute > recent) / _RATE_MINUTES,
        unsuccessful=total.failed + total.retried if total else 0,
        wait=percentile(total.waits, WAIT_BOUNDS, 0.95) if total else None,
    )


def _sum(tallies: Iterable[Tally]) -> Tally | None:
    found = list(tallies)
    return reduce(add_up, found) if found else None
