"""In: nothing. Out: the time, as the one thing that tests replace."""

from __future__ import annotations

import time
from datetime import UTC, datetime

__all__ = ("MICROSECONDS", "Clock", "from_micros", "to_micros")

MICROSECONDS = 1_000_000


class Clock:
    """Wall and monotonic time of this host."""

    def micros(self) -> int:
        """Microseconds since the Unix epoch."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Seconds of a clock that never jumps."""
        return time.monotonic()

    def now(self) -> datetime:
        """Aware UTC time."""
        return from_micros(self.micros())


def from_micros(micros: int) -> datetime:
    """Turn microseconds since the epoch into an aware UTC time, exactly."""
    seconds, rest = divmod(micros, MICROSECONDS)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


def to_micros(moment: datetime) -> int:
    """Turn an aware time into microseconds since the epoch.

    Raises:
        ValueError: If the time has no zone: a naive time means another moment on each host.
    """
    if moment.tzinfo is None:
        msg = f"{moment!r} has no time zone; use an aware datetime, for example datetime.now(timezone.utc)"
        raise ValueError(msg)
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * MICROSECONDS + since.microseconds


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
