"""In: a cron line and a time zone. Out: its ticks, as aware UTC times.

A cron line is read on the wall clock of its time zone. When the clocks change, the rule of Debian's cron holds:

- **Fixed times** (neither the minute nor the hour begins with ``*``, such as ``30 2 * * *`` or ``0 1-5 * * *``) follow
  the wall clock. A time that the clocks jump over fires once, at the end of the gap: 02:30 becomes 03:00. A time that
  comes twice fires at its first coming.
- **Wildcards** (``*/15 * * * *``, ``0 * * * *``, ``* 2 * * *``) follow real time. What falls into the gap does not
  fire, what comes twice fires twice; ``0 * * * *`` is an hour of real time each time.
"""

from __future__ import annotations

import difflib
import re
import zoneinfo
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from cronsim import CronSim, CronSimError

__all__ = ("CronLine", "find_zone")

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


class CronLine:
    """A cron line on the wall clock of a zone; a wrong one raises ``ValueError``.

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


def find_zone(name: Any) -> tzinfo:
    """The time zone of that name.

    Raises:
        ValueError: This host does not know it; the message names those that are spelled alike.
    """
    try:
        return zoneinfo.ZoneInfo(name)
    except Exception as error:  # a folder, a path, another type: each raises in its own way
        close = difflib.get_close_matches(str(name), zoneinfo.available_timezones(), n=2)
        hint = " or ".join(map(repr, close)) or "a name such as 'Europe/Berlin'"
        msg = f"timezone={name!r} is not known on this host: use {hint}"
        raise ValueError(msg) from error
