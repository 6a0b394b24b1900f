"""In: how often a task has failed. Out: the seconds until it is tried again."""

from __future__ import annotations

import json
import random as randomness
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from litestar_queues.errors import QueueConfigurationError

__all__ = ("RetryBackoff",)

_LONGEST: Final = 100 * 365.25 * 86_400


@dataclass(frozen=True, slots=True)
class RetryBackoff:
    """Exponential backoff with jitter.

    The delay after attempt ``n`` is ``min(initial * multiplier ** (n - 1), max_delay)`` seconds, and more or less of it
    by up to the share ``jitter``.

    Raises:
        QueueConfigurationError: A value is wrong; the message names it.
    """

    initial: float = 1.0
    """Seconds after the first attempt."""
    multiplier: float = 2.0
    """Growth from one delay to the next, 1 or more."""
    max_delay: float = 300.0
    """Longest delay in seconds, before jitter."""
    jitter: float = 0.1
    """Share of the delay, 0 to 1, by which it varies either way, so that what failed together comes back apart."""

    def __post_init__(self) -> None:
        _check("initial", self.initial, 0, _LONGEST)
        _check("multiplier", self.multiplier, 1, 1_000_000)
        _check("max_delay", self.max_delay, 0, _LONGEST)
        _check("jitter", self.jitter, 0, 1)

    @classmethod
    def of(cls, value: float | RetryBackoff | None) -> RetryBackoff:
        """Read the ``retry_backoff`` option: a number of seconds is that delay each time, ``None`` the defaults."""
        match value:
            case None:
                return cls()
            case RetryBackoff():
                return value
            case _:
                _check("retry_backoff", value, 0, _LONGEST)
                return cls(initial=value, multiplier=1.0, max_delay=value, jitter=0.0)

    @classmethod
    def from_json(cls, data: bytes) -> RetryBackoff:
        """Read what :meth:`to_json` wrote, here or in another release: fields it does not know are left out.

        Raises:
            QueueConfigurationError: It is something else.
        """
        try:
            stored = dict(json.loads(data))
        except (ValueError, TypeError, RecursionError) as error:
            msg = "the stored retry policy cannot be read"
            raise QueueConfigurationError(msg) from error
        return cls(**{item.name: stored[item.name] for item in fields(cls) if item.name in stored})

    def to_json(self) -> bytes:
        """Write the policy so that a record can carry it."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    def delay(self, attempt: int, random: Callable[[], float] = randomness.random) -> float:
        """Seconds to wait after an attempt failed.

        Args:
            attempt: The attempt that failed, 1 for the first.
            random: Gives a number from 0 up to 1.
        """
        try:
            grown = self.initial * self.multiplier ** (attempt - 1)
        except OverflowError:
            grown = self.max_delay if self.initial else 0.0
        return min(grown, self.max_delay) * (1 + self.jitter * (2 * random() - 1))


def _check(name: str, value: Any, least: float, most: float) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not least <= value <= most:  # NaN is within no bounds
        where = name if name == "retry_backoff" else f"RetryBackoff.{name}"
        msg = f"{where}={value!r} is not accepted: use a number from {least:g} to {most:,.0f}"
        raise QueueConfigurationError(msg)
