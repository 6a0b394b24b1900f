"""In: a cron line or an interval. Out: its ticks, as aware UTC times.

A cron line is read on the wall clock of its time zone. When the clocks change, the rule of Debian's cron holds:

- **Fixed times** (neither the minute nor the hour begins with ``*``, such as ``30 2 * * *`` or ``0 1-5 * * *``) follow
  the wall clock. A time that the clocks jump over fires once, at the end of the gap: 02:30 becomes 03:00. A time that
  comes twice fires at its first coming.
- **Wildcards** (``*/15 * * * *``, ``0 * * * *``, ``* 2 * * *``) follow real time. What falls into the gap does not
  fire, what comes twice fires twice; ``0 * * * *`` is an hour of real time each time.

An interval knows nothing of clocks: its ticks are that many seconds apart.
"""

from __future__ import annotations

import difflib
import re
import zoneinfo
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, Literal, get_args

from cronsim import CronSim, CronSimError

from litestar_queues.errors import InvalidArgumentError, QueueConfigurationError

__all__ = ("MAX_TICKS", "MISSED_GRACE", "MissedPolicy", "ScheduleConfig")

MissedPolicy = Literal["skip", "one", "all"]

MISSED_GRACE: Final = 60.0
"""Seconds by which a tick may be late and still fire under ``missed="skip"``."""
MAX_TICKS: Final = 1_000
"""Ticks that one call of :meth:`ScheduleConfig.due` gives at most."""

_LONGEST: Final = 100 * 365.25 * 86_400
_SHORTEST: Final = 0.001
_SECOND: Final = timedelta(seconds=1)
_DAY: Final = timedelta(days=1)
_ALIASES: Final = {
    "@HOURLY": "0 * * * *",
    "@DAILY": "0 0 * * *",
    "@MIDNIGHT": "0 0 * * *",
    "@WEEKLY": "0 0 * * 0",
    "@MONTHLY": "0 0 1 * *",
    "@YEARLY": "0 0 1 1 *",
    "@ANNUALLY": "0 0 1 1 *",
}
_CRON_FIELDS: Final = 5
_UNTIL_SUNDAY: Final = re.compile(r"(?<!SUN)(?<!\b0)-SUN\b")


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """When a recurring task runs: by a cron line or by an interval.

    Raises:
        QueueConfigurationError: A value is wrong; the message names it and what to do.
    """

    task_name: str
    """The registered name of the task, and of the schedule."""
    _: KW_ONLY
    cron: str | None = None
    """Five fields (minute, hour, day of month, month, day of week) with names, ranges, lists and steps, or ``@hourly``,
    ``@daily``, ``@midnight``, ``@weekly``, ``@monthly``, ``@yearly``, ``@annually``. Sunday is 0, 7 or ``SUN``."""
    interval: float | timedelta | None = None
    """Seconds from one tick to the next."""
    timezone: str = "UTC"
    """The zone in whose wall clock the cron line is read."""
    initial_delay: float = 0
    """Seconds before the first run of a schedule that is new or changed."""
    jitter: float = 0
    """Each run starts up to so many seconds after its tick; the ticks themselves stay where they are."""
    missed: MissedPolicy = "one"
    """What becomes of ticks that passed while no worker ran: ``"one"`` fires the latest, ``"all"`` fires every one,
    ``"skip"`` fires none, unless the latest is at most a minute late."""
    overlap: bool = False
    """Fire although the record of an earlier tick is not done yet."""

    _step: timedelta | None = field(init=False, repr=False, compare=False)
    _cron: _Cron | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _require(bool(self.task_name) and isinstance(self.task_name, str), self, "task_name", "the name of a task")
        for name in ("initial_delay", "jitter"):
            _require(_is_seconds(getattr(self, name), 0), self, name, "a number of seconds, 0 or more")
        _require(self.missed in get_args(MissedPolicy), self, "missed", "'skip', 'one' or 'all'")
        _require(isinstance(self.overlap, bool), self, "overlap", "True or False")
        if (self.cron is None) == (self.interval is None):
            given = "neither cron nor interval" if self.cron is None else "both cron and interval"
            msg = f"the schedule of task {self.task_name!r} has {given}: give it one of them"
            raise QueueConfigurationError(msg)
        object.__setattr__(self, "_step", None if self.interval is None else self._read_interval())
        object.__setattr__(self, "_cron", self._read_cron())

    def _read_interval(self) -> timedelta:
        interval = self.interval.total_seconds() if isinstance(self.interval, timedelta) else self.interval
        accepts = f"a number of seconds from {_SHORTEST}, or a timedelta"
        _require(_is_seconds(interval, _SHORTEST), self, "interval", accepts)
        return timedelta(seconds=interval or 0)

    def _read_cron(self) -> _Cron | None:
        try:
            zone = _find_zone(self.timezone)
            return None if self.cron is None else _Cron(self.cron, zone)
        except ValueError as error:
            msg = f"the schedule of task {self.task_name!r}: {error}"
            raise QueueConfigurationError(msg) from error

    @property
    def definition(self) -> str:
        """Canonical text of what decides the ticks; while it stays the same, a stored schedule goes on as it was."""
        if self._cron is not None:
            return f"cron {self._cron.line} {self.timezone}"
        assert self._step is not None
        return f"interval {self._step.total_seconds()}"

    def first_at(self, now: datetime) -> datetime:
        """The first tick of a schedule that is new or changed."""
        start = _utc(now) + timedelta(seconds=self.initial_delay)
        return start if self._cron is None else self._cron.next_after(start)

    def next_after(self, tick: datetime) -> datetime:
        """The tick that follows: an interval after this one, or the next that fits the cron line."""
        if self._cron is not None:
            return self._cron.next_after(_utc(tick))
        assert self._step is not None
        return _utc(tick) + self._step

    def due(self, next_at: datetime, now: datetime) -> tuple[list[datetime], datetime]:
        """Say which ticks to fire now, and the next one after them.

        After a long outage this costs as little as after a short one. Under ``missed="all"`` one call gives at most
        :data:`MAX_TICKS`; then the next tick is due already, and the next call goes on from there.

        Args:
            next_at: The next tick, as it was stored.
            now: The store's time.
        """
        first, now = _utc(next_at), _utc(now)
        if first > now:
            return [], first
        if self.missed == "all":
            return self._all_missed(first, now)
        latest = self._latest(first, now)
        fires = self.missed == "one" or now - latest <= timedelta(seconds=MISSED_GRACE)
        return [latest] if fires else [], self.next_after(latest)

    def get_next_run(self, after: datetime | None = None, *, use_initial_delay: bool = False) -> datetime:
        """The next run, in UTC.

        Args:
            after: An aware time; now where left out.
            use_initial_delay: Count as for a schedule that is new at that time.
        """
        start = datetime.now(UTC) if after is None else after
        return self.first_at(start) if use_initial_delay else self.next_after(start)

    def _all_missed(self, first: datetime, now: datetime) -> tuple[list[datetime], datetime]:
        ticks: list[datetime] = []
        tick = first
        while tick <= now and len(ticks) < MAX_TICKS:
            ticks.append(tick)
            tick = self.next_after(tick)
        return ticks, tick

    def _latest(self, first: datetime, now: datetime) -> datetime:
        """The last tick up to now, by arithmetic or by halving, never by counting them all."""
        if self._step is not None:
            return first + (now - first) // self._step * self._step
        latest, end = first, now  # no tick lies between end and now
        while (following := self.next_after(latest)) <= now:
            middle = following + (end - following) / 2
            tick = self.next_after(middle)
            latest, end = (tick, end) if tick <= now else (following, middle)
        return latest


class _Cron:
    """A cron line on the wall clock of a zone.

    cronsim counts on a clock that never changes. Its own way with time zones is not used: in the repeated hour it gives
    times that are over, and where clocks change by half an hour (Lord Howe) it leaves out minutes.
    """

    __slots__ = ("_is_fixed", "_zone", "line")

    def __init__(self, line: Any, zone: tzinfo) -> None:
        self.line = _canonical(line)
        self._zone = zone
        minute, hour = self.line.split()[:2]
        self._is_fixed = not minute.startswith("*") and not hour.startswith("*")
        try:
            self._next_on_clock(datetime(2000, 1, 1))  # noqa: DTZ001 - a wall clock has no zone
        except (CronSimError, AssertionError, TypeError, ValueError) as error:
            msg = f"cron={line!r} is wrong or never comes true: {str(error).lower()}"
            raise ValueError(msg) from error

    def next_after(self, moment: datetime) -> datetime:
        """The first tick after an aware UTC time."""
        return self._next_fixed(moment) if self._is_fixed else self._next_wildcard(moment)

    def _next_fixed(self, moment: datetime) -> datetime:
        clock = self._clock(moment)
        while True:
            clock = self._next_on_clock(clock)
            tick = self._first_coming(clock)
            if tick > moment:  # else the clock shows this time for the second time
                return tick

    def _next_wildcard(self, moment: datetime) -> datetime:
        """Follow real time from one change of the clocks to the next."""
        clock = self._clock(moment)
        while True:
            tick = self._next_on_clock(clock).replace(tzinfo=UTC) - self._offset(moment)
            change = self._change(moment, tick)
            if change is None:
                return tick
            # there the clock counts anew, and the very second of the change may be a tick
            moment, clock = change, self._clock(change) - _SECOND

    def _next_on_clock(self, clock: datetime) -> datetime:
        try:
            return next(CronSim(self.line, clock))
        except StopIteration:
            msg = f"cron={self.line!r} does not come true within 50 years of {clock.year}"
            raise ValueError(msg) from None

    def _first_coming(self, clock: datetime) -> datetime:
        """When the clock first shows this time, or the end of the gap in which it does not."""
        moment = clock.replace(tzinfo=self._zone).astimezone(UTC)
        if self._clock(moment) == clock:
            return moment
        # PEP 495: inside a gap, fold=1 reads the clock by the offset after it, which gives the earlier moment
        change = self._change(clock.replace(tzinfo=self._zone, fold=1).astimezone(UTC), moment)
        assert change is not None
        return change

    def _change(self, start: datetime, end: datetime) -> datetime | None:
        """The first second up to the end at which the offset is another than at the start."""
        offset, start = self._offset(start), start.replace(microsecond=0)
        while start < end:
            until = min(start + _DAY, end)  # two changes that cancel each other out are weeks apart
            if self._offset(until) != offset:
                while until - start > _SECOND:
                    middle = start + (until - start) // _SECOND // 2 * _SECOND
                    start, until = (middle, until) if self._offset(middle) == offset else (start, middle)
                return until
            start = until
        return None

    def _clock(self, moment: datetime) -> datetime:
        return moment.astimezone(self._zone).replace(tzinfo=None)

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self._zone).utcoffset() or timedelta()


def _canonical(line: Any) -> str:
    """The line in capitals with single spaces; aliases are spelled out."""
    if not isinstance(line, str):
        msg = f"cron={line!r} is not a text such as '0 3 * * MON-FRI'"
        raise ValueError(msg)  # noqa: TRY004 - the caller turns it into the error of this library
    fields = line.upper().split()
    if len(fields) == 1 and fields[0] in _ALIASES:
        return _ALIASES[fields[0]]
    if len(fields) != _CRON_FIELDS:
        aliases = ", ".join(_ALIASES).lower()
        msg = (
            f"cron={line!r} is not accepted: use five fields (minute, hour, day of month, month, day of week) or one "
            f"of {aliases}; for seconds use interval="
        )
        raise ValueError(msg)
    fields[-1] = _UNTIL_SUNDAY.sub("-7", fields[-1])  # cronsim takes SUN for 0 alone, which ends no range
    return " ".join(fields)


def _find_zone(name: Any) -> tzinfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except Exception as error:  # a folder, a path, another type: each raises in its own way
        close = difflib.get_close_matches(str(name), zoneinfo.available_timezones(), n=2)
        hint = " or ".join(map(repr, close)) or "a name such as 'Europe/Berlin'"
        msg = f"timezone={name!r} is not known on this host: use {hint}"
        raise ValueError(msg) from error


def _is_seconds(value: Any, least: float) -> bool:
    # NaN is within no bounds
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= _LONGEST


def _require(fits: bool, schedule: ScheduleConfig, name: str, accepts: str) -> None:  # noqa: FBT001
    if not fits:
        value = getattr(schedule, name)
        msg = f"the schedule of task {schedule.task_name!r}: {name}={value!r} is not accepted, use {accepts}"
        raise QueueConfigurationError(msg)


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        msg = f"{moment!r} has no time zone; use an aware datetime, for example datetime.now(timezone.utc)"
        raise InvalidArgumentError(msg)
    return moment.astimezone(UTC)
