"""In: how a run ended. Out: one value per ending, from which a backend writes the record once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

__all__ = (
    "Cancelled",
    "Completed",
    "Completion",
    "Failed",
    "Outcome",
    "Released",
    "Retried",
    "RunError",
    "Snoozed",
)


@dataclass(frozen=True, slots=True)
class RunError:
    """What one attempt raised."""

    type: str
    """Class name of the exception."""
    message: str
    traceback: str = ""
    """Formatted traceback, shortened from the front where it is very long."""


@dataclass(slots=True)  # not frozen: made once a run, and a frozen init costs twice as much
class Completed:
    """The task returned."""

    result: bytes | None
    """The return value as JSON; ``None`` where it was ``None``."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The task raised and no attempt is left, or it must not be tried again."""

    error: RunError


@dataclass(frozen=True, slots=True)
class Retried:
    """The task raised; it runs again after the delay."""

    error: RunError
    delay: float
    """Seconds from now."""


@dataclass(frozen=True, slots=True)
class Snoozed:
    """The record is given back with a delay, no attempt spent."""

    reason: str
    delay: float
    """Seconds from now."""
    by_task: bool = False
    """The task asked for it; else this worker does not know the task."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The run was cancelled on request."""

    reason: str


@dataclass(frozen=True, slots=True)
class Released:
    """The worker stops; the record is pending again, no attempt spent."""


Outcome = Completed | Failed | Retried | Snoozed | Cancelled | Released


class Completion(NamedTuple):
    """An outcome, addressed: accepted only while the record is still held under the token."""

    id: UUID
    token: int
    outcome: Outcome
