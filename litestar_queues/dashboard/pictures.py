"""In: tallies by minute. Out: the geometry of pictures: throughput, and percentiles of waits and durations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from litestar_queues.fleet import Tally, add_up
from litestar_queues.tallies import DURATION_BOUNDS, WAIT_BOUNDS

__all__ = ("HEIGHT", "WIDTH", "Bar", "Column", "Curve", "Picture", "columns", "curves", "percentile", "throughput")

WIDTH: Final = 360
HEIGHT: Final = 120
_COLUMNS = 60
_GAP = 1.5
_SECOND_LINES = (0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3_600.0)
"""Where a scale of seconds may begin, end and have lines."""
_SHARES = ((0.5, "p50"), (0.95, "p95"))


class Column(NamedTuple):
    """What ended within one of the equal spans that a picture shows."""

    start: datetime
    minutes: int
    total: Tally | None
    """``None``: nothing ended."""


class Bar(NamedTuple):
    """One part of a column."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Curve:
    """One percentile over time."""

    kind: str
    path: str
    """Of SVG; broken where nothing ended."""
    dots: Sequence[tuple[float, float]]
    """Points that stand alone, which a path would not show."""
    latest: float | None
    """Seconds; the last value that there is."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that a template draws."""

    lines: Sequence[tuple[float, float]]
    """Height in the picture and value of each line of the scale."""
    bars: Sequence[Bar] = ()
    curves: Sequence[Curve] = ()
    hints: Sequence[tuple[float, float, Column]] = ()
    """Left end and width of each column, to point at."""
    is_empty: bool = False


def columns(tallies: Iterable[Tally], now: datetime, hours: int) -> list[Column]:
    """Put the tallies into columns, the last of which holds the minute of ``now``."""
    minutes = hours * 60 // _COLUMNS
    span = timedelta(minutes=minutes)
    begin = now.replace(second=0, microsecond=0) - span * _COLUMNS + timedelta(minutes=1)
    totals: list[Tally | None] = [None] * _COLUMNS
    for one in tallies:
        place = (one.minute - begin) // span
        if 0 <= place < _COLUMNS:
            known = totals[place]
            totals[place] = one if known is None else add_up(known, one)
    return [Column(begin + span * place, minutes, total) for place, total in enumerate(totals)]


def throughput(shown: Sequence[Column]) -> Picture:
    """Runs a minute: what completed, and above it what did not."""
    counts = [(0, 0) if one.total is None else (one.total.completed, _unsuccessful(one.total)) for one in shown]
    top = _round_up(max((sum(count) / one.minutes for count, one in zip(counts, shown, strict=True)), default=0.0))
    step, bars = WIDTH / len(shown), []
    for place, (count, one) in enumerate(zip(counts, shown, strict=True)):
        floor = float(HEIGHT)
        for kind, number in zip(("completed", "failed"), count, strict=True):
            height = number / one.minutes / top * HEIGHT
            floor -= height
            if number:
                bars.append(Bar(kind, _round(place * step + _GAP / 2), _round(floor), step - _GAP, _round(height)))
    lines = [(_round(HEIGHT * (1 - share)), top * share) for share in (0.5, 1.0)]
    return Picture(lines, bars=bars, hints=_hints(shown), is_empty=not bars)


def curves(shown: Sequence[Column], field: str) -> Picture:
    """Percentiles of ``waits`` or ``durations`` on a scale on which each line is a multiple of the one below."""
    values = [[_share_of(one.total, field, share) for one in shown] for share, _ in _SHARES]
    known = [value for row in values for value in row if value is not None]
    if not known:
        return Picture(lines=(), is_empty=True)
    floor = max((line for line in _SECOND_LINES if line <= min(known)), default=_SECOND_LINES[0])
    top = min((line for line in _SECOND_LINES if line >= max(known) and line > floor), default=_SECOND_LINES[-1])

    def height(seconds: float) -> float:
        share = math.log(max(seconds, floor) / floor) / math.log(top / floor)
        return _round(HEIGHT * (1 - min(share, 1.0)))

    lines = [(height(line), line) for line in _SECOND_LINES if floor <= line <= top]
    drawn = [
        _curve(kind, [None if value is None else height(value) for value in row], row)
        for (_, kind), row in zip(_SHARES, values, strict=True)
    ]
    return Picture(lines, curves=drawn, hints=_hints(shown))


def percentile(counts: Sequence[int], bounds: Sequence[float], share: float) -> float | None:
    """Estimate a percentile from counts by bounds, evenly within each; what exceeds all bounds counts as the last."""
    wanted = sum(counts) * share
    if not wanted:
        return None
    below = 0
    for count, (low, high) in zip(counts, pairwise((0.0, *bounds)), strict=False):
        if count and below + count >= wanted:
            return low + (high - low) * (wanted - below) / count
        below += count
    return bounds[-1]


def _unsuccessful(total: Tally) -> int:
    return total.failed + total.retried + total.cancelled


def _share_of(total: Tally | None, field: str, share: float) -> float | None:
    if total is None:
        return None
    counts, bounds = (total.waits, WAIT_BOUNDS) if field == "waits" else (total.durations, DURATION_BOUNDS)
    return percentile(counts, bounds, share)


def _curve(kind: str, heights: Sequence[float | None], values: Sequence[float | None]) -> Curve:
    """Draw straight lines from middle to middle of neighbouring columns."""
    step = WIDTH / len(heights)
    points = [None if y is None else (_round((place + 0.5) * step), y) for place, y in enumerate(heights)]
    path, dots = [], []
    for before, point, after in zip([None, *points], points, [*points[1:], None], strict=False):
        if point is not None:
            path.append(f"{'M' if before is None else 'L'}{point[0]} {point[1]}")
            if before is None and after is None:
                dots.append(point)
    latest = next((value for value in reversed(values) if value is not None), None)
    return Curve(kind, " ".join(path), dots, latest)


def _hints(shown: Sequence[Column]) -> list[tuple[float, float, Column]]:
    step = WIDTH / len(shown)
    return [(_round(place * step), step, one) for place, one in enumerate(shown) if one.total is not None]


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, ...: a scale that can be read."""
    if value <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= value)


def _round(value: float) -> float:
    return round(value, 1)
