"""In: schedules, zones, clocks that change. Out: the ticks that the rule in the module docstring promises."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise
from typing import Any, NamedTuple, get_args
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from litestar_queues.errors import InvalidArgumentError, QueueConfigurationError
from litestar_queues.schedules import MAX_TICKS, MISSED_GRACE, MissedPolicy, ScheduleConfig
from tests.properties import examples

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
ZONES = sorted(zone for zone in available_timezones() if "/" in zone)


def cron(line: str, zone: str = "UTC", **options: Any) -> ScheduleConfig:
    return ScheduleConfig("report", cron=line, timezone=zone, **options)


def every(seconds: float | timedelta, **options: Any) -> ScheduleConfig:
    return ScheduleConfig("report", interval=seconds, **options)


def ticks(schedule: ScheduleConfig, after: datetime) -> Iterator[datetime]:
    while True:
        after = schedule.next_after(after)
        yield after


def on_clock(moment: datetime, zone: str) -> str:
    return moment.astimezone(ZoneInfo(zone)).strftime("%d %H:%M %z")


# the rule, line by line: each case begins a little before the clocks change


class Change(NamedTuple):
    line: str
    zone: str
    after: str
    """Aware time from which ticks are counted."""
    expected: list[str]
    """Day, time and offset on the clock of the zone."""


BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
CHANGES = {
    "Berlin forward, a fixed time in the gap fires at its end": Change(
        "30 2 * * *", BERLIN, "2026-03-28T12:00+01:00", ["29 03:00 +0200", "30 02:30 +0200"]
    ),
    "Berlin forward, two fixed times in the gap are one tick": Change(
        "0,30 2 * * *", BERLIN, "2026-03-28T12:00+01:00", ["29 03:00 +0200", "30 02:00 +0200", "30 02:30 +0200"]
    ),
    "Berlin forward, a fixed time in the gap and one at its end are one tick": Change(
        "0 2,3 * * *", BERLIN, "2026-03-28T12:00+01:00", ["29 03:00 +0200", "30 02:00 +0200", "30 03:00 +0200"]
    ),
    "Berlin forward, a wildcard leaves the gap out": Change(
        "*/30 2 * * *", BERLIN, "2026-03-28T12:00+01:00", ["30 02:00 +0200", "30 02:30 +0200"]
    ),
    "Berlin forward, every hour stays an hour of real time": Change(
        "0 * * * *", BERLIN, "2026-03-29T00:30+01:00", ["29 01:00 +0100", "29 03:00 +0200", "29 04:00 +0200"]
    ),
    "Berlin back, a fixed time fires at its first coming": Change(
        "30 2 * * *", BERLIN, "2026-10-25T01:00+02:00", ["25 02:30 +0200", "26 02:30 +0100"]
    ),
    "Berlin back, a fixed time that is over does not come again": Change(
        "30 2 * * *", BERLIN, "2026-10-25T02:10+01:00", ["26 02:30 +0100"]
    ),
    "Berlin back, a range of hours is a fixed time too": Change(
        "0 1-3 * * *",
        BERLIN,
        "2026-10-25T00:30+02:00",
        ["25 01:00 +0200", "25 02:00 +0200", "25 03:00 +0100", "26 01:00 +0100"],
    ),
    "Berlin back, a wildcard fires at both comings": Change(
        "*/30 2 * * *",
        BERLIN,
        "2026-10-25T01:00+02:00",
        ["25 02:00 +0200", "25 02:30 +0200", "25 02:00 +0100", "25 02:30 +0100", "26 02:00 +0100"],
    ),
    "Berlin back, every hour stays an hour of real time": Change(
        "0 * * * *", BERLIN, "2026-10-25T01:30+02:00", ["25 02:00 +0200", "25 02:00 +0100", "25 03:00 +0100"]
    ),
    "Berlin back, a wildcard of that one day fires at both comings": Change(
        "*/30 2 25 10 *", BERLIN, "2026-10-25T02:30+02:00", ["25 02:00 +0100", "25 02:30 +0100", "25 02:00 +0200"]
    ),
    "New York forward, a fixed time in the gap fires at its end": Change(
        "15 2 * * *", NEW_YORK, "2026-03-07T12:00-05:00", ["08 03:00 -0400", "09 02:15 -0400"]
    ),
    "New York forward, a wildcard leaves the gap out": Change(
        "*/20 1-3 * * *",
        NEW_YORK,
        "2026-03-08T01:30-05:00",
        ["08 01:40 -0500", "08 03:00 -0400", "08 03:20 -0400"],
    ),
    "New York back, a fixed time fires at its first coming": Change(
        "30 1 * * *", NEW_YORK, "2026-11-01T00:00-04:00", ["01 01:30 -0400", "02 01:30 -0500"]
    ),
    "New York back, a wildcard fires at both comings": Change(
        "*/30 1 * * *",
        NEW_YORK,
        "2026-11-01T01:10-04:00",
        ["01 01:30 -0400", "01 01:00 -0500", "01 01:30 -0500", "02 01:00 -0500"],
    ),
    "Lord Howe forward by half an hour, a fixed time in the gap fires at its end": Change(
        "15 2 * * *", LORD_HOWE, "2026-10-03T12:00+10:30", ["04 02:30 +1100", "05 02:15 +1100"]
    ),
    "Lord Howe forward by half an hour, a wildcard leaves the gap out": Change(
        "*/15 2 * * *", LORD_HOWE, "2026-10-03T12:00+10:30", ["04 02:30 +1100", "04 02:45 +1100", "05 02:00 +1100"]
    ),
    "Lord Howe back by half an hour, a fixed time fires at its first coming": Change(
        "45 1 * * *", LORD_HOWE, "2026-04-05T01:00+11:00", ["05 01:45 +1100", "06 01:45 +1030"]
    ),
    "Lord Howe back by half an hour, a wildcard fires at both comings": Change(
        "*/15 1 * * *",
        LORD_HOWE,
        "2026-04-05T01:20+11:00",
        ["05 01:30 +1100", "05 01:45 +1100", "05 01:30 +1030", "05 01:45 +1030", "06 01:00 +1030"],
    ),
    "Lord Howe back by half an hour, nothing after it is left out": Change(
        "*/15 2 * * *", LORD_HOWE, "2026-04-05T01:45+10:30", ["05 02:00 +1030", "05 02:15 +1030"]
    ),
    "Santiago forward at midnight, a fixed midnight fires at one": Change(
        "0 0 * * *", "America/Santiago", "2026-09-05T12:00-04:00", ["06 01:00 -0300", "07 00:00 -0300"]
    ),
    "Santiago back at midnight, a fixed time of the evening before fires once": Change(
        "30 23 * * *", "America/Santiago", "2026-04-04T23:00-03:00", ["04 23:30 -0300", "05 23:30 -0400"]
    ),
    "Apia left out a whole day, a fixed time of it fires when it is over": Change(
        "0 12 30 12 *", "Pacific/Apia", "2011-12-29T00:00-10:00", ["31 00:00 +1400", "30 12:00 +1400"]
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_when_the_clocks_change(name: str) -> None:
    line, zone, after, expected = CHANGES[name]
    found = islice(ticks(cron(line, zone), datetime.fromisoformat(after)), len(expected))
    assert [on_clock(tick, zone) for tick in found] == expected


# the rule, against the plainest reading of it: look at every minute


@cache
def changes(zone: str, year: int) -> tuple[datetime, ...]:
    """Times of a year, up to a quarter of a day after the offset has changed."""
    times = [datetime(year, 1, 1, tzinfo=UTC) + at * 6 * HOUR for at in range(366 * 4)]
    offsets = [moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in times]
    return tuple(times[at] for at in range(1, len(times)) if offsets[at] != offsets[at - 1])


@st.composite
def moments(draw: st.DrawFn, zone: str) -> datetime:
    """Any moment, most of them near a change of the clocks where the zone has some."""
    year = draw(st.integers(1995, 2036))
    near = [*changes(zone, year), datetime(year, 2, 28, tzinfo=UTC)]
    return draw(st.sampled_from(near)) + draw(st.integers(-12 * 3600, 3 * 3600)) * SECOND


@st.composite
def fields(draw: st.DrawFn, most: int) -> tuple[str, set[int]]:
    """A field of a cron line, and the values that it means."""
    step, values = draw(st.integers(1, most)), draw(st.sets(st.integers(0, most), min_size=1, max_size=4))
    return draw(
        st.sampled_from(
            [
                ("*", set(range(most + 1))),
                (f"*/{step}", set(range(0, most + 1, step))),
                (",".join(map(str, values)), values),
                (f"{min(values)}-{max(values)}", set(range(min(values), max(values) + 1))),
            ]
        )
    )


def plainest_reading(minutes: set[int], hours: set[int], zone: str, moment: datetime, *, fixed: bool) -> list[datetime]:
    """The ticks of the next days, by looking at every minute."""

    def fits(wall: datetime) -> bool:
        return wall.minute in minutes and wall.hour in hours

    start = moment.replace(second=0, microsecond=0)
    every_minute = [start + at * MINUTE for at in range(2 * 24 * 60)]
    shown = [minute.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for minute in every_minute]
    if not fixed:
        return [at for at, wall in zip(every_minute, shown, strict=True) if fits(wall)]
    seen, found = {shown[0]}, []
    for at, (before, wall) in zip(every_minute[1:], pairwise(shown), strict=True):
        # the times of a gap belong to the first minute after it
        passed = [before + step * MINUTE for step in range(1, (wall - before) // MINUTE + 1)]
        if any(fits(each) and each not in seen for each in passed):
            found.append(at)
        seen.update(passed)
    return found


@given(data=st.data(), zone=st.sampled_from(ZONES), minute=fields(59), hour=fields(23))
@examples(100, 500)
def test_a_cron_line_means_the_same_as_looking_at_every_minute(
    data: st.DataObject, zone: str, minute: tuple[str, set[int]], hour: tuple[str, set[int]]
) -> None:
    moment = data.draw(moments(zone))
    fixed = not minute[0].startswith("*") and not hour[0].startswith("*")
    # a fixed time may have come for the first time before the moment, so look from a day earlier on
    expected = plainest_reading(minute[1], hour[1], zone, moment - DAY, fixed=fixed)
    expected = [tick for tick in expected if tick > moment][:20]
    found = list(islice(ticks(cron(f"{minute[0]} {hour[0]} * * *", zone), moment), len(expected)))
    assert found == expected


@given(
    data=st.data(),
    zone=st.sampled_from(ZONES),
    line=st.sampled_from(["*/7 * * * *", "30 2 * * *", "0 0 1 * *", "59 23 L * *", "0 12 * * MON#2", "5 4 * * SUN"]),
)
@examples(50, 250)
def test_ticks_are_aware_utc_and_strictly_increase(data: st.DataObject, zone: str, line: str) -> None:
    moment = data.draw(moments(zone))
    found = [moment, *islice(ticks(cron(line, zone), moment), 10)]
    assert all(earlier < later for earlier, later in pairwise(found))
    assert all(tick.tzinfo is UTC for tick in found)


# what a line may look like


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0 3 * * *", "2026-07-02 03:00"),
        ("0 0 4 JUL *", "2026-07-04 00:00"),
        ("0 0 * jan-mar *", "2027-01-01 00:00"),
        ("0 12 * * WED", "2026-07-08 12:00"),
        ("0 0 * * FRI-SUN", "2026-07-03 00:00"),
        ("0 0 * * 5-7", "2026-07-03 00:00"),
        ("0 0 * * SUN", "2026-07-05 00:00"),
        ("0 0 * * 0", "2026-07-05 00:00"),
        ("0 0 * * 7", "2026-07-05 00:00"),
        ("0 0 13 * FRI", "2026-07-03 00:00"),  # either of the two days
        ("0 0 L * *", "2026-07-31 00:00"),
        ("  0   0 1 *\t* ", "2026-08-01 00:00"),
        ("@hourly", "2026-07-01 13:00"),
        ("@daily", "2026-07-02 00:00"),
        ("@midnight", "2026-07-02 00:00"),
        ("@weekly", "2026-07-05 00:00"),
        ("@monthly", "2026-08-01 00:00"),
        ("@yearly", "2027-01-01 00:00"),
        ("@Annually", "2027-01-01 00:00"),
        ("0 0 29 2 *", "2028-02-29 00:00"),
    ],
)
def test_a_cron_line_is_read(line: str, expected: str) -> None:
    assert cron(line).next_after(NOON) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_friday_to_sunday_is_three_days_and_sunday_alone_is_one() -> None:
    assert [tick.weekday() for tick in islice(ticks(cron("0 0 * * FRI-SUN"), NOON), 4)] == [4, 5, 6, 4]
    assert [tick.weekday() for tick in islice(ticks(cron("0 0 * * SUN-SUN"), NOON), 2)] == [6, 6]
    assert [tick.weekday() for tick in islice(ticks(cron("0 0 * * 0-SUN"), NOON), 2)] == [6, 6]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "neither cron nor interval"),
        ({"cron": "@daily", "interval": 60}, "both cron and interval"),
        ({"cron": "@reboot"}, "cron='@reboot' is not accepted: use five fields"),
        ({"cron": "0 0 0 * * *"}, "for seconds use interval="),
        ({"cron": "* * *"}, "use five fields"),
        ({"cron": ""}, "use five fields"),
        ({"cron": 5}, "cron=5 is not a text"),
        ({"cron": "0 0 30 2 *"}, "cron='0 0 30 2 \\*' is wrong or never comes true: bad day-of-month"),
        ({"cron": "0 0 31 4,6,9,11 *"}, "never comes true"),
        ({"cron": "60 * * * *"}, "bad minute"),
        ({"cron": "* 24 * * *"}, "bad hour"),
        ({"cron": "* * * 13 *"}, "bad month"),
        ({"cron": "* * * * 8"}, "bad day-of-week"),
        ({"cron": "*/0 * * * *"}, "bad minute"),
        ({"cron": "9" * 5000 + " * * * *"}, "never comes true"),
        ({"cron": "@daily", "timezone": "Europe/Berln"}, "timezone='Europe/Berln' is not known .* 'Europe/Berlin'"),
        ({"cron": "@daily", "timezone": "Europe"}, "timezone='Europe' is not known"),
        ({"cron": "@daily", "timezone": ""}, "timezone='' is not known"),
        ({"cron": "@daily", "timezone": "../etc/passwd"}, "timezone="),
        ({"cron": "@daily", "timezone": "a\0b"}, "timezone="),
        ({"cron": "@daily", "timezone": None}, "timezone=None"),
        ({"interval": 60, "timezone": "Mars/Base"}, "timezone='Mars/Base'"),
        ({"interval": 0}, "interval=0 is not accepted"),
        ({"interval": -1}, "interval=-1"),
        ({"interval": float("nan")}, "interval=nan"),
        ({"interval": float("inf")}, "interval=inf"),
        ({"interval": 10**400}, "interval=1000"),
        ({"interval": True}, "interval=True"),
        ({"interval": "60"}, "interval='60'"),
        ({"interval": timedelta(0)}, "interval=datetime.timedelta"),
        ({"interval": 60, "initial_delay": -1}, "initial_delay=-1"),
        ({"interval": 60, "initial_delay": float("nan")}, "initial_delay=nan"),
        ({"interval": 60, "jitter": -0.5}, "jitter=-0.5"),
        ({"interval": 60, "jitter": float("inf")}, "jitter=inf"),
        ({"interval": 60, "missed": "some"}, "missed='some' is not accepted, use 'skip', 'one' or 'all'"),
        ({"interval": 60, "missed": []}, r"missed=\[\]"),
        ({"interval": 60, "overlap": 1}, "overlap=1"),
    ],
)
def test_a_wrong_schedule_is_refused_by_task_and_argument(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(QueueConfigurationError, match=expected) as refused:
        ScheduleConfig("nightly", **options)
    assert "task 'nightly'" in str(refused.value)


@pytest.mark.parametrize("name", ["", None, 5])
def test_a_schedule_needs_a_task_name(name: Any) -> None:
    with pytest.raises(QueueConfigurationError, match="task_name"):
        ScheduleConfig(name, interval=60)


@given(line=st.text(alphabet="*/,-#LW0123456789@ SUNMOJAFER\t²ß", max_size=24) | st.text(max_size=20))
@examples(300, 1000)
def test_any_text_is_a_schedule_or_refused_with_a_sentence(line: str) -> None:
    try:
        schedule = cron(line, "Europe/Berlin")
    except QueueConfigurationError as error:
        assert "cron=" in str(error)  # noqa: PT017 - either ending is right
    else:
        assert schedule.next_after(NOON) > NOON


# the first tick, and the definition


def test_a_new_interval_begins_after_its_initial_delay() -> None:
    assert every(60).first_at(NOON) == NOON
    assert every(60, initial_delay=5).first_at(NOON) == NOON + 5 * SECOND


def test_a_new_cron_line_begins_at_the_first_slot_after_its_initial_delay() -> None:
    assert cron("0 * * * *").first_at(NOON) == NOON + HOUR
    assert cron("0 * * * *", initial_delay=3599.5).first_at(NOON) == NOON + HOUR
    assert cron("0 * * * *", initial_delay=3600).first_at(NOON) == NOON + 2 * HOUR


def test_the_next_run_counts_from_now_or_from_a_given_time() -> None:
    before = datetime.now(UTC)
    assert before + 60 * SECOND <= every(60).get_next_run() <= datetime.now(UTC) + 60 * SECOND
    assert every(60, initial_delay=5).get_next_run(NOON) == NOON + 60 * SECOND
    assert every(60, initial_delay=5).get_next_run(NOON, use_initial_delay=True) == NOON + 5 * SECOND
    in_berlin = NOON.astimezone(ZoneInfo("Europe/Berlin"))
    assert cron("0 3 * * *", "Europe/Berlin").get_next_run(in_berlin).isoformat() == "2026-07-02T01:00:00+00:00"


def test_a_naive_time_is_refused() -> None:
    for call in (every(60).first_at, every(60).next_after, cron("@daily").next_after, every(60).get_next_run):
        with pytest.raises(InvalidArgumentError, match="has no time zone"):
            call(NOON.replace(tzinfo=None))


def test_the_definition_is_the_same_for_what_gives_the_same_ticks() -> None:
    assert cron("@daily").definition == cron(" 0 0  * * *").definition == "cron 0 0 * * * UTC"
    assert cron("0 0 * * fri-sun").definition == cron("0 0 * * FRI-7").definition
    assert (
        every(60).definition
        == every(timedelta(minutes=1)).definition
        == every(60.0, timezone="Europe/Berlin").definition
    )
    assert ScheduleConfig("other", interval=60).definition == every(60).definition
    assert every(60, initial_delay=9, jitter=5, missed="all", overlap=True).definition == every(60).definition


def test_the_definition_changes_with_the_ticks() -> None:
    schedules = [every(60), every(61), every(60.5), cron("@daily"), cron("@daily", "Europe/Berlin"), cron("@hourly")]
    assert len({schedule.definition for schedule in schedules}) == len(schedules)


# what is due


def test_nothing_is_due_before_its_time() -> None:
    assert every(60).due(NOON, NOON - SECOND) == ([], NOON)


def test_a_tick_is_due_at_its_time() -> None:
    for missed in get_args(MissedPolicy):
        assert every(60, missed=missed).due(NOON, NOON) == ([NOON], NOON + MINUTE)
        assert cron("* * * * *", missed=missed).due(NOON, NOON + SECOND) == ([NOON], NOON + MINUTE)


@pytest.mark.parametrize("schedule", [every(60), cron("* * * * *", "Europe/Berlin")])
def test_one_fires_the_latest_missed_tick(schedule: ScheduleConfig) -> None:
    assert schedule.due(NOON, NOON + 10.5 * MINUTE) == ([NOON + 10 * MINUTE], NOON + 11 * MINUTE)


@pytest.mark.parametrize("schedule", [every(60, missed="all"), cron("* * * * *", missed="all")])
def test_all_fires_every_missed_tick(schedule: ScheduleConfig) -> None:
    assert schedule.due(NOON, NOON + 2.5 * MINUTE) == ([NOON, NOON + MINUTE, NOON + 2 * MINUTE], NOON + 3 * MINUTE)


@pytest.mark.parametrize("schedule", [every(3600, missed="skip"), cron("0 * * * *", missed="skip")])
def test_skip_fires_only_what_is_at_most_a_minute_late(schedule: ScheduleConfig) -> None:
    grace = timedelta(seconds=MISSED_GRACE)
    assert schedule.due(NOON, NOON + grace) == ([NOON], NOON + HOUR)
    assert schedule.due(NOON, NOON + grace + SECOND) == ([], NOON + HOUR)
    assert schedule.due(NOON, NOON + 5 * HOUR + grace) == ([NOON + 5 * HOUR], NOON + 6 * HOUR)
    assert schedule.due(NOON, NOON + 5 * HOUR + grace + SECOND) == ([], NOON + 6 * HOUR)


@pytest.mark.parametrize("schedule", [every(60, missed="all"), cron("* * * * *", missed="all")])
def test_all_gives_a_long_outage_in_several_calls(schedule: ScheduleConfig) -> None:
    now = NOON + (MAX_TICKS + 4) * MINUTE
    first, next_at = schedule.due(NOON, now)
    rest, after = schedule.due(next_at, now)
    assert len(first) == MAX_TICKS
    assert next_at <= now < after
    assert first + rest == [NOON + at * MINUTE for at in range(MAX_TICKS + 5)]


@pytest.mark.parametrize(
    "schedule",
    [every(0.001), cron("* * * * *", "Europe/Berlin"), cron("* * * 1 *"), cron("* 3 * * *"), cron("0 3 1 1 *")],
    ids=lambda schedule: schedule.definition,
)
def test_an_outage_of_ten_years_costs_nothing(schedule: ScheduleConfig) -> None:
    first = schedule.next_after(NOON)
    now = NOON + 3652.5 * DAY
    began = time.process_time()
    (latest,), next_at = schedule.due(first, now)
    assert time.process_time() - began < 0.5  # counting every tick takes minutes
    assert latest <= now < next_at == schedule.next_after(latest)


@st.composite
def schedules(draw: st.DrawFn) -> ScheduleConfig:
    missed = draw(st.sampled_from(get_args(MissedPolicy)))
    if draw(st.booleans()):
        return every(draw(st.floats(0.5, 100_000)), missed=missed)
    line = draw(
        st.sampled_from(["*/5 * * * *", "0 * * * *", "30 2 * * *", "15,45 1-3 * * *", "*/10 2 * * *", "0 0 * * 1"])
    )
    return cron(line, draw(st.sampled_from(ZONES)), missed=missed)


@given(data=st.data(), schedule=schedules())
@examples(100, 500)
def test_due_gives_each_tick_at_most_once_and_never_one_of_the_future(
    data: st.DataObject, schedule: ScheduleConfig
) -> None:
    now = data.draw(moments(schedule.timezone if schedule.cron else BERLIN))
    next_at = schedule.first_at(now)
    fired = [now - SECOND]
    for pause in data.draw(st.lists(st.integers(0, 100_000), min_size=1, max_size=8)):
        now += pause * SECOND
        due, next_at = schedule.due(next_at, now)
        assert all(tick <= now and tick.tzinfo is UTC for tick in due)
        assert next_at > now or len(due) == MAX_TICKS
        fired += due
    assert all(earlier < later for earlier, later in pairwise(fired))


@given(data=st.data(), schedule=schedules(), outage=st.integers(0, 100_000))
@examples(50, 250)
def test_every_policy_ends_at_the_same_next_tick(data: st.DataObject, schedule: ScheduleConfig, outage: int) -> None:
    first = schedule.next_after(data.draw(moments(BERLIN)))
    now = first + outage * SECOND
    every_tick, next_at = [first], schedule.next_after(first)
    while next_at <= now and len(every_tick) < MAX_TICKS:
        every_tick.append(next_at)
        next_at = schedule.next_after(next_at)
    if schedule.missed == "all":
        assert schedule.due(first, now) == (every_tick, next_at)
    elif next_at > now:
        late = now - every_tick[-1] > timedelta(seconds=MISSED_GRACE)
        expected = [] if schedule.missed == "skip" and late else every_tick[-1:]
        assert schedule.due(first, now) == (expected, next_at)
