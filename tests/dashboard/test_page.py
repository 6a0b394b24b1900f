"""The overview as a function of what the store answers."""

from __future__ import annotations

from datetime import UTC, datetime

from litestar_queues.dashboard.page import overview
from litestar_queues.records import QueueDepth
from litestar_queues.ticks import ScheduleRow

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def schedule(name: str, *, paused: bool) -> ScheduleRow:
    return ScheduleRow(name=name, task="t", definition="d", next_at=NOON, paused=paused, seen_at=NOON)


def test_schedules_say_when_they_are_due_or_that_they_are_paused() -> None:
    page = overview("/q", [], [schedule("nightly", paused=False), schedule("held", paused=True)], None)
    assert '<th scope="row">nightly</th><td>2026-01-02 12:00:00 UTC</td>' in page
    assert '<th scope="row">held</th><td>paused</td>' in page
    assert "No queue holds a live record." in page
    assert "Canary last completed: never" in page


def test_ages_are_told_in_the_unit_that_fits() -> None:
    ages = (None, 5.0, 90.0, 5_400.0, 129_600.0)
    page = overview("/q", [QueueDepth("q", 1, 0, 0, age) for age in ages], [], NOON)
    for text in ("none", "5 s", "1.5 min", "1.5 h", "1.5 d"):
        assert f"<td>{text}</td></tr>" in page
    assert "Canary last completed: 2026-01-02 12:00:00 UTC" in page
