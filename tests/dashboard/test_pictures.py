"""Pictures as functions of tallies."""

from __future__ import annotations

from datetime import timedelta

import pytest

from litestar_queues.dashboard.pictures import HEIGHT, WIDTH, columns, curves, percentile, throughput
from litestar_queues.fleet import Tally
from tests.builders import NOON, make_tally

NOW = NOON + timedelta(seconds=42)


def at(minutes: int, **tally: int) -> Tally:
    return make_tally(**tally)._replace(minute=NOON - timedelta(minutes=minutes))  # type: ignore[arg-type]


def test_each_minute_of_an_hour_has_a_column_and_the_last_is_now() -> None:
    shown = columns([at(0, completed=3), at(59, completed=1), at(60, completed=9), at(0, failed=2)], NOW, 1)
    assert len(shown) == 60
    assert (shown[-1].start, shown[0].start) == (NOON, NOON - timedelta(minutes=59))
    assert shown[-1].total is not None
    assert (shown[-1].total.completed, shown[-1].total.failed) == (3, 2)
    assert shown[0].total is not None
    assert sum(one.total is not None for one in shown) == 2


def test_a_day_is_told_in_columns_of_24_minutes() -> None:
    shown = columns([at(minute, completed=1) for minute in range(24 * 60)], NOW, 24)
    assert [one.total.completed for one in shown if one.total] == [24] * 60


def test_bars_stand_on_each_other_within_the_picture() -> None:
    picture = throughput(columns([at(0, completed=30, failed=10, retried=5, cancelled=1), at(7, completed=46)], NOW, 1))
    older, completed, failed = picture.bars
    assert (completed.kind, failed.kind) == ("completed", "failed")
    assert completed.y + completed.height == HEIGHT
    assert failed.y + failed.height == pytest.approx(completed.y, abs=0.2)
    assert failed.y == older.y
    assert completed.x + completed.width <= WIDTH
    assert picture.lines == [(60.0, 25.0), (0.0, 50.0)]


def test_nothing_that_ended_is_an_empty_picture() -> None:
    assert throughput(columns([], NOW, 1)).is_empty
    assert curves(columns([], NOW, 1), "waits").is_empty


def test_curves_break_where_nothing_ended_and_single_points_are_dots() -> None:
    picture = curves(columns([at(0, completed=4), at(10, completed=4), at(11, completed=4)], NOW, 1), "durations")
    p50, p95 = picture.curves
    assert p50.path.count("M") == 2
    assert p50.path.count("L") == 1
    assert len(p95.dots) == 1
    assert p50.latest is not None
    assert 0 < p50.latest <= 0.005


def test_longer_is_higher_and_what_exceeds_the_scale_stays_within() -> None:
    for place in range(13):
        picture = curves(columns([at(0, completed=4, duration=place)], NOW, 1), "durations")
        ((_, y),) = picture.curves[1].dots
        assert 0 <= y <= HEIGHT
        assert len(picture.lines) >= 2


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ((0, 0, 0), 0.5, None),
        ((10, 0, 0), 0.5, 0.5),
        ((10, 10, 0), 0.5, 1.0),
        ((10, 10, 0), 0.95, 2.8),
        ((0, 0, 4), 0.5, 3.0),
        ((1, 1, 2, 9), 0.95, 3.0),
    ],
)
def test_percentiles(counts: tuple[int, ...], share: float, expected: float | None) -> None:
    assert percentile(counts, (1.0, 3.0), share) == (None if expected is None else pytest.approx(expected))
