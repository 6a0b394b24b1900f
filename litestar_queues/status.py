"""In: nothing. Out: the states of a record and the moves between them, as data."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

__all__ = ("LIVE", "TERMINAL", "TRANSITIONS", "TaskStatus")


class TaskStatus(StrEnum):
    """Where a record stands."""

    PENDING = "pending"
    """Due, waiting for a worker."""
    SCHEDULED = "scheduled"
    """Not due yet: delayed, or waiting for its next attempt."""
    RUNNING = "running"
    """Held by a worker under a claim token and a lease."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    """Cancelled on request, or expired before a worker could start it."""

    @property
    def is_terminal(self) -> bool:
        """Whether a record in this state can no longer run by itself."""
        return self in TERMINAL


LIVE: Final = frozenset({TaskStatus.PENDING, TaskStatus.SCHEDULED, TaskStatus.RUNNING})
TERMINAL: Final = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED})

TRANSITIONS: Final[dict[TaskStatus, frozenset[TaskStatus]]] = {
    # scheduled -> pending when due; pending -> running is the claim
    TaskStatus.SCHEDULED: frozenset({TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.CANCELLED}),
    TaskStatus.PENDING: frozenset({TaskStatus.RUNNING, TaskStatus.CANCELLED}),
    # back to pending: released or rescued; to scheduled: retried or snoozed
    TaskStatus.RUNNING: frozenset({TaskStatus.PENDING, TaskStatus.SCHEDULED, *TERMINAL}),
    # only by an explicit retry_task()
    TaskStatus.COMPLETED: frozenset(),
    TaskStatus.FAILED: frozenset({TaskStatus.PENDING}),
    TaskStatus.CANCELLED: frozenset({TaskStatus.PENDING}),
}
