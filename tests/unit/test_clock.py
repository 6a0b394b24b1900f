"""In: times and microseconds. Out: the same, exactly, after turning one into the other."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from litestar_queues.clock import MICROSECONDS, Clock, from_micros, to_micros

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
LATEST = to_micros(datetime(9999, 1, 1, tzinfo=UTC))


@given(micros=st.integers(-LATEST // 8, LATEST))
def test_microseconds_come_back_exactly(micros: int) -> None:
    moment = from_micros(micros)
    assert moment.utcoffset() == timedelta()
    assert to_micros(moment) == micros


@given(moment=st.datetimes(datetime(1900, 1, 1), datetime(9000, 1, 1), timezones=ZONES))  # noqa: DTZ001 - bounds are naive
def test_times_of_any_zone_come_back_as_the_same_moment(moment: datetime) -> None:
    assert from_micros(to_micros(moment)) == moment


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone; use an aware datetime"):
        to_micros(datetime(2026, 1, 1))  # noqa: DTZ001 - the point


def test_the_clock_shows_the_time_of_this_host() -> None:
    clock = Clock()
    before = time.time()
    shown = (clock.micros() / MICROSECONDS, clock.now().timestamp())
    after = time.time()
    assert all(before - 0.001 <= each <= after + 0.001 for each in shown)
    assert clock.now().tzinfo is UTC


def test_monotonic_time_never_runs_back() -> None:
    clock = Clock()
    assert clock.monotonic() <= clock.monotonic()
