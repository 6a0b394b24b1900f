"""In: a cron line or an interval. Out: its ticks, as aware UTC times.

An interval knows nothing of clocks: its ticks are that many seconds apart. For cron lines see ``cron.py``.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, get_args

from litestar_queues.cron import CronLine, find_zone
from litestar_queues.errors import InvalidArgumentError, QueueConfigurationError

__all__ = ("MAX_TICKS", "MISSED_GRACE", "MissedPolicy", "ScheduleConfig")

MissedPolicy = Literal["skip", "one", "all"]

MISSED_GRACE: Final = 60.0
"""Seconds by which a tick may be late and still fire under ``missed="skip"``."""
MAX_TICKS: Final = 1_000
"""Ticks that one call of :meth:`ScheduleConfig.due` gives at most."""

_LONGEST: Final = 100 * 365.25 * 86_400
_SHORTEST: Final = 0.001


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
    _cron: CronLine | None = field(init=False, repr=False, compare=False)

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

    def _read_cron(self) -> CronLine | None:
        try:
            zone = find_zone(self.timezone)
            return None if self.cron is None else CronLine(self.cron, zone)
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
