"""In: the options of a task, as a decorator, ``.using()`` or a call gives them. Out: one frozen, checked value."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import MAXYEAR, MINYEAR, datetime, timedelta
from typing import Any, Final, Literal, TypedDict

from litestar_queues.errors import InvalidArgumentError, QueueConfigurationError
from litestar_queues.retry import RetryBackoff
from litestar_queues.schedules import MissedPolicy

__all__ = (
    "LONGEST_NAME",
    "OPTION_NAMES",
    "SCHEDULE_NAMES",
    "TaskKeywords",
    "TaskOptions",
    "TaskOverrides",
    "UniqueBy",
    "is_name",
    "require_known",
)

UniqueBy = Literal["task", "arguments"]


class _DefinitionOptions(TypedDict, total=False):
    queue: str
    priority: int
    retries: int
    retry_backoff: float | RetryBackoff | None
    at_most_once: bool
    timeout: float | None
    key: str | None
    unique_by: UniqueBy | None
    unique_for: float | None
    run_after: float | timedelta | None
    expires_in: float | None
    execution_backend: str | None
    execution_profile: str | None
    description: str | None
    sync_to_thread: bool


class TaskOverrides(_DefinitionOptions, total=False):
    """What :meth:`Task.using` takes; the fields of :class:`TaskOptions`."""

    scheduled_at: datetime | None
    metadata: Mapping[str, Any] | None


class TaskKeywords(_DefinitionOptions, total=False):
    """What ``@task(...)`` takes: options, and a schedule by the fields of ``ScheduleConfig``."""

    cron: str | None
    interval: float | timedelta | None
    timezone: str
    initial_delay: float
    jitter: float
    missed: MissedPolicy
    overlap: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """How the records of a task are made and run.

    Raises:
        InvalidArgumentError: A value is wrong; the message names the option and what it accepts.
    """

    queue: str = "default"
    priority: int = 0
    """Bigger runs first."""
    retries: int = 0
    """Attempts after the first."""
    retry_backoff: RetryBackoff | None = None
    """Delays between attempts; a number stands for that many seconds each time."""
    at_most_once: bool = False
    """A run that is cut off, because its worker vanishes or a drain ends it, is a failure and not run again."""
    timeout: float | None = None
    """Seconds that one attempt may run."""
    key: str | None = None
    """At most one live record has this key; enqueueing another gives the one that is there."""
    unique_by: UniqueBy | None = None
    """Make the key from the task's name, or from its name and arguments."""
    unique_for: float | None = None
    """Seconds from the enqueue in which the key stays taken even after the record ended."""
    run_after: float | None = None
    """Seconds until the record is due; a timedelta is turned into seconds."""
    scheduled_at: datetime | None = None
    """Aware time at which the record is due."""
    expires_in: float | None = None
    """Seconds after which the record is not started any more."""
    execution_backend: str | None = None
    execution_profile: str | None = None
    description: str | None = None
    sync_to_thread: bool = True
    """A plain function runs in a thread; ``False``: on the event loop, which it must not block."""
    metadata: Mapping[str, Any] | None = None
    """The caller's own JSON object, kept with the record."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "run_after", _in_seconds(self.run_after))
        if self.retry_backoff is not None:
            object.__setattr__(self, "retry_backoff", _read_backoff(self.retry_backoff))
        for name, (fits, accepts) in _RULES.items():
            value = getattr(self, name)
            if not fits(value):
                msg = f"{name}={value!r} is not accepted: use {accepts}"
                raise InvalidArgumentError(msg)
        if self.run_after is not None and self.scheduled_at is not None:
            raise InvalidArgumentError("run_after and scheduled_at both say when the record is due: use one of them")
        if self.at_most_once and self.retries:
            msg = f"at_most_once=True and retries={self.retries} exclude each other: a retry is another run"
            raise InvalidArgumentError(msg)

    def merge(self, overrides: Mapping[str, Any]) -> TaskOptions:
        """These options with others in their place; a due time replaces the other kind of due time.

        Raises:
            InvalidArgumentError: A name is no option, or a value is wrong.
        """
        for name in overrides:
            require_known(name, OPTION_NAMES)
        changes = dict(overrides)
        if changes.get("scheduled_at") is not None:
            changes.setdefault("run_after", None)
        elif changes.get("run_after") is not None:
            changes.setdefault("scheduled_at", None)
        return replace(self, **changes)


_LONGEST: Final = 100 * 365.25 * 86_400
LONGEST_NAME: Final = 255
_RESERVED_QUEUES: Final = "litestar-queues."
_PRIORITIES: Final = range(-(2**31), 2**31)
_MOST_RETRIES: Final = 10_000


def _is_whole(value: Any, accepted: range) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in accepted


def is_name(value: Any) -> bool:
    """Whether it can name a task, a queue or a key: printable, so without nul and other control characters."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable()


def _in_seconds(value: Any) -> Any:
    """A timedelta as a number of seconds; whatever else it is stays that, to be judged."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def _is_seconds(value: Any) -> bool:
    # NaN is within no bounds
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _LONGEST


def _is_moment(value: Any) -> bool:
    # in the first and the last year UTC may lie outside of what datetime can hold
    is_aware = isinstance(value, datetime) and value.utcoffset() is not None
    return is_aware and MINYEAR < value.year < MAXYEAR


def _or_none(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or fits(value)


_NAME_RULE: Final = (_or_none(is_name), f"a printable text of 1 to {LONGEST_NAME} characters, or None")
_LENGTH_RULE: Final = (_or_none(lambda value: _is_seconds(value) and value > 0), "a number of seconds above 0, or None")
_RULES: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "queue": (
        lambda value: is_name(value) and not value.startswith(_RESERVED_QUEUES),
        f"a printable name of 1 to {LONGEST_NAME} characters that does not begin with {_RESERVED_QUEUES!r}",
    ),
    "priority": (
        lambda value: _is_whole(value, _PRIORITIES),
        f"a whole number from {_PRIORITIES[0]} to {_PRIORITIES[-1]}",
    ),
    "retries": (lambda value: _is_whole(value, range(_MOST_RETRIES + 1)), f"a whole number from 0 to {_MOST_RETRIES}"),
    "at_most_once": (lambda value: isinstance(value, bool), "True or False"),
    "timeout": _LENGTH_RULE,
    "key": _NAME_RULE,
    "unique_by": (lambda value: value in (None, "task", "arguments"), "'task', 'arguments' or None"),
    "unique_for": _LENGTH_RULE,
    "run_after": (_or_none(_is_seconds), "a number of seconds, 0 or more, a timedelta, or None"),
    "scheduled_at": (
        _or_none(_is_moment),
        "an aware datetime of the years 2 to 9998, such as datetime.now(timezone.utc), or None",
    ),
    "expires_in": _LENGTH_RULE,
    "execution_backend": _NAME_RULE,
    "execution_profile": _NAME_RULE,
    "description": (_or_none(lambda value: isinstance(value, str) and "\0" not in value), "a text, or None"),
    "sync_to_thread": (lambda value: isinstance(value, bool), "True or False"),
    "metadata": (_or_none(lambda value: isinstance(value, Mapping)), "a mapping with text keys, or None"),
}
OPTION_NAMES: Final = frozenset(item.name for item in fields(TaskOptions))
"""The options of a task, as ``.using(...)`` and calls take them."""
SCHEDULE_NAMES: Final = frozenset(TaskKeywords.__annotations__) - frozenset(_DefinitionOptions.__annotations__)


def read_delay(value: float | timedelta) -> float:
    """Seconds of a delay above 0.

    Raises:
        InvalidArgumentError: It is none.
    """
    seconds = _in_seconds(value)
    if not _is_seconds(seconds) or seconds == 0:
        msg = f"delay={value!r} is not accepted: use a number of seconds above 0, or a timedelta"
        raise InvalidArgumentError(msg)
    return float(seconds)


def require_known(name: str, accepted: frozenset[str]) -> None:
    """Refuse a name that is not accepted, with the one that is spelled alike."""
    if name not in accepted:
        close = difflib.get_close_matches(name, accepted, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(sorted(accepted))}"
        msg = f"{name!r} is no option of a task: {hint}"
        raise InvalidArgumentError(msg)


def _read_backoff(value: float | RetryBackoff) -> RetryBackoff:
    try:
        return RetryBackoff.of(value)
    except QueueConfigurationError as error:
        raise InvalidArgumentError(str(error)) from error
