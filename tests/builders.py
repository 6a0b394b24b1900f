"""In: what a test cares about. Out: whole values, with plain defaults for the rest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from litestar_queues.clock import MICROSECONDS, Clock, to_micros
from litestar_queues.fleet import Tally, WorkerReport
from litestar_queues.ids import new_id
from litestar_queues.outcomes import RunError
from litestar_queues.records import NewRecord
from litestar_queues.tallies import DURATION_BOUNDS, WAIT_BOUNDS
from litestar_queues.ticks import ScheduleSync, Tick

__all__ = (
    "NOON",
    "FakeClock",
    "make_error",
    "make_record",
    "make_report",
    "make_schedule",
    "make_tally",
    "make_tick",
)

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


class FakeClock(Clock):
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime = NOON) -> None:
        self._micros = to_micros(start)
        self._monotonic = 0.0

    def micros(self) -> int:
        return self._micros

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both times on."""
        self._micros += round(seconds * MICROSECONDS)
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock, as an administrator would; the monotonic time knows nothing of it."""
        self._micros += round(seconds * MICROSECONDS)


def make_record(**changes: Any) -> NewRecord:
    """A record of task ``greet``, due now."""
    return NewRecord(**{"id": new_id(), "task": "greet", "payload": b"[[],{}]", **changes})


def make_error(message: str = "no luck", type: str = "ValueError", traceback: str = "") -> RunError:  # noqa: A002 - as the field
    return RunError(type, message, traceback)


def make_schedule(name: str = "report", **changes: Any) -> ScheduleSync:
    """A schedule of task ``greet`` that is due at noon."""
    return ScheduleSync(**{"name": name, "task": "greet", "definition": "0 12 * * *", "first_at": NOON, **changes})


def make_tick(at: datetime = NOON, schedule: str = "report", **changes: Any) -> Tick:
    """A tick whose record is due at once."""
    return Tick(at, make_record(schedule=schedule, **changes))


def make_report(worker_id: str = "worker:1", **changes: Any) -> WorkerReport:
    """What a worker of every queue tells that has just begun."""
    plain = {"host": "host", "pid": 7, "version": "1.2.3", "queues": (), "max_concurrency": 8, "running": 0}
    return WorkerReport(worker_id=worker_id, **{**plain, "draining": False, "started_at": NOON, **changes})


def make_tally(queue: str = "default", wait: int = 0, duration: int = 0, **counts: int) -> Tally:
    """A tally of the runs that are given by outcome, which all waited and took as long."""
    outcomes = {**dict.fromkeys(("completed", "failed", "retried", "cancelled"), 0), **counts}
    waits, durations = [0] * (len(WAIT_BOUNDS) + 1), [0] * (len(DURATION_BOUNDS) + 1)
    waits[wait] = durations[duration] = sum(outcomes.values())
    return Tally(NOON, queue, **outcomes, waits=tuple(waits), durations=tuple(durations))
