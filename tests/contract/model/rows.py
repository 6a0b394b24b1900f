"""In: what happens to one record. Out: the record as it must read then."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from litestar_queues.backends.laws import CANCELLED_ON_REQUEST
from litestar_queues.outcomes import Cancelled, Completed, Failed, Outcome, Released, Retried, RunError, Snoozed
from litestar_queues.records import AttemptError, QueuedTaskRecord
from litestar_queues.status import LIVE, TaskStatus

__all__ = ("CANCELLED", "COMPLETED", "FAILED", "PENDING", "RUNNING", "SCHEDULED", "Row", "after")

PENDING, SCHEDULED, RUNNING = TaskStatus.PENDING, TaskStatus.SCHEDULED, TaskStatus.RUNNING
COMPLETED, FAILED, CANCELLED = TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED


@dataclass
class Row:
    """A record as anybody may see it, and the two things that nobody is shown."""

    seen: QueuedTaskRecord
    key_until: datetime | None
    token: int | None = None

    def change(self, **changes: Any) -> None:
        self.seen = replace(self.seen, **changes)

    @property
    def is_waiting(self) -> bool:
        return self.seen.status in (PENDING, SCHEDULED)

    @property
    def is_live(self) -> bool:
        return self.seen.status in LIVE

    def keeps_key(self, now: datetime) -> bool:
        """Whether its ``unique_for`` window is still open."""
        return self.key_until is not None and now < self.key_until

    def wait(self, due_at: datetime, now: datetime) -> None:
        status = SCHEDULED if due_at > now else PENDING
        self.change(status=status, scheduled_at=due_at, lease_until=None)

    def end(self, status: TaskStatus, now: datetime, error: str | None, **changes: Any) -> None:
        self.change(status=status, completed_at=now, error=error, lease_until=None, **changes)

    def finish(self, outcome: Outcome, now: datetime) -> None:
        """End or wait again, as the run of it ended."""
        match outcome:
            case Completed():
                self.end(COMPLETED, now, None, result=None if outcome.result is None else int(outcome.result))
            case Failed():
                self._remember(outcome.error, now)
                self.end(FAILED, now, self.seen.error)
            case Cancelled():
                self.end(CANCELLED, now, outcome.reason)
            case Retried():
                self._remember(outcome.error, now)
                self._wait_unless_asked_to_stop(now + timedelta(seconds=outcome.delay), now, self.seen.error)
            case Snoozed():
                self.change(error=outcome.reason)
                self.give_back(now + timedelta(seconds=outcome.delay), now)
            case Released():
                self.give_back(self.seen.scheduled_at, now)

    def give_back(self, due_at: datetime, now: datetime) -> None:
        """Wait again with the attempt unspent, unless somebody asked to stop."""
        if not self.seen.cancel_requested:
            self.change(attempt=self.seen.attempt - 1)
        self._wait_unless_asked_to_stop(due_at, now, CANCELLED_ON_REQUEST)

    def _wait_unless_asked_to_stop(self, due_at: datetime, now: datetime, reason: str | None) -> None:
        if self.seen.cancel_requested:
            self.end(CANCELLED, now, reason)
        else:
            self.wait(due_at, now)

    def _remember(self, error: RunError, now: datetime) -> None:
        entry = AttemptError(self.seen.attempt, now, error)
        self.change(error=f"{error.type}: {error.message}", errors=(*self.seen.errors, entry))


def after(now: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)
