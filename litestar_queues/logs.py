"""In: events of the engine. Out: log records; the only place that puts them into words."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, assert_never

from litestar_queues import events
from litestar_queues.codec import decode_object
from litestar_queues.correlation import CORRELATION_KEY
from litestar_queues.events import EngineEvent, Run
from litestar_queues.outcomes import Cancelled, Completed, Failed, Released, Retried, Snoozed
from litestar_queues.status import TaskStatus
from litestar_queues.texts import one_line

__all__ = ("log_events",)


class _Log(logging.LoggerAdapter[logging.Logger]):
    """A logger whose arguments stay in their line: task names and errors may come from anybody."""

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        if self.isEnabledFor(level):
            safe = [one if isinstance(one, (int, float)) else one_line(str(one)) for one in args]
            self.logger.log(level, msg, *safe, **kwargs)


worker_log = _Log(logging.getLogger("litestar_queues.worker"))
task_log = _Log(logging.getLogger("litestar_queues.tasks"))
schedule_log = _Log(logging.getLogger("litestar_queues.scheduler"))


def log_events(event: EngineEvent) -> None:
    """Write one event to the log; subscribe it to a service's bus. Arguments and results never appear."""
    _WRITERS[type(event)](event)


def _misspelled(event: events.SettingsMisspelled) -> None:
    for name, meant in event.meant.items():
        worker_log.warning("%s is set and is no setting: is %s meant?", name, meant)


def _started(event: events.WorkerStarted) -> None:
    queues = ", ".join(event.queues) or "every queue"
    worker_log.info(
        "worker %s claims from %s, %d tasks at a time, on %s",
        event.worker_id, queues, event.max_concurrency, event.backend, extra={"worker_id": event.worker_id},
    )  # fmt: skip


def _draining(event: events.WorkerDraining) -> None:
    worker_log.info(
        "worker %s drains: %d tasks are running and have %g s to end",
        event.worker_id,
        event.running,
        event.timeout,
        extra={"worker_id": event.worker_id},
    )


def _stopped(event: events.WorkerStopped) -> None:
    lost = f"; {event.unsaved} outcomes could not be stored, and their records run again" if event.unsaved else ""
    worker_log.log(
        logging.ERROR if lost else logging.WARNING if event.cancelled else logging.INFO,
        "worker %s has drained in %.1f s, %d tasks were cancelled and given back%s",
        event.worker_id, event.seconds, event.cancelled, lost, extra={"worker_id": event.worker_id},
    )  # fmt: skip


def _finished(event: events.RecordsFinished) -> None:
    for run in event.runs:
        if type(run.outcome) is Completed:
            if task_log.isEnabledFor(logging.DEBUG):
                task_log.debug("completed in %.3f s: %s", run.duration, _name(run), extra=_fields(run))
        else:
            _ended_otherwise(run)


def _ended_otherwise(run: Run) -> None:
    outcome, extra = run.outcome, _fields(run)
    match outcome:
        case Failed():
            text = f"{outcome.error.type}: {outcome.error.message}"
            task_log.warning("failed after %.3f s: %s: %s", run.duration, _name(run), text, extra=extra)
        case Retried():
            text = f"{outcome.error.type}: {outcome.error.message}"
            message = "failed after %.3f s, to be tried again in %.1f s: %s: %s"
            task_log.warning(message, run.duration, outcome.delay, _name(run), text, extra=extra)
        case Snoozed():
            level = logging.INFO if outcome.by_task else logging.WARNING
            message = "given back for %.0f s: %s: %s"
            task_log.log(level, message, outcome.delay, _name(run), outcome.reason, extra=extra)
        case Cancelled():
            task_log.info("cancelled after %.3f s: %s: %s", run.duration, _name(run), outcome.reason, extra=extra)
        case Released():
            task_log.info("given back unfinished after %.3f s: %s", run.duration, _name(run), extra=extra)
        case Completed():
            pass
        case _:
            assert_never(outcome)


def _refused(event: events.CompletionsRefused) -> None:
    worker_log.error("%d outcomes came too late, their claims were lost: %s", len(event.ids), _ids(event.ids))


def _lost(event: events.ClaimsLost) -> None:
    worker_log.error("%d claims were lost, their runs are stopped: %s", len(event.ids), _ids(event.ids))


def _rescued(event: events.RecordsRescued) -> None:
    for one in event.records:
        level = logging.ERROR if one.status is TaskStatus.FAILED else logging.WARNING
        worker_log.log(
            level, "taken back from worker %s, which vanished: %s %s is %s now",
            one.worker_id, one.task, one.id, one.status,
        )  # fmt: skip


def _fired(event: events.TicksFired) -> None:
    schedule_log.info("schedule %s fired, records: %d", event.schedule, event.records)


def _pruned(event: events.Pruned) -> None:
    worker_log.debug("%d %s records were older than their retention and are deleted", event.count, event.status)


def _down(event: events.BackendDown) -> None:
    worker_log.error("the store cannot be reached, it is tried again and again: %s (%s)", event.error, event.room)


def _up(event: events.BackendUp) -> None:
    worker_log.warning("the store is reached again after %.1f s (%s)", event.seconds, event.room)


def _listener_down(event: events.ListenerDown) -> None:
    worker_log.error("wake-ups do not arrive, new records are found by polling: %s", event.error)


def _listener_up(event: events.ListenerUp) -> None:
    worker_log.warning("wake-ups arrive again after %.1f s", event.seconds)


def _broken(event: events.RoomFailed) -> None:
    worker_log.error("%s met an unexpected error and goes on", event.room, exc_info=event.error)


def _lagged(event: events.LoopLagged) -> None:
    worker_log.warning(
        "the event loop stood still for %.1f s: something in a coroutine blocks it; "
        "let it await, or make the task a plain function, which runs in a thread",
        event.seconds,
    )


def _published(event: events.TaskPublished) -> None:
    """Whoever follows the task hears it; the log does not."""


def _name(run: Run) -> str:
    return f"{run.claim.task} {run.claim.id} (attempt {run.claim.attempt} of {run.claim.max_attempts})"


def _fields(run: Run) -> dict[str, Any]:
    claim = run.claim
    fields = {"task_id": str(claim.id), "task_name": claim.task, "queue": claim.queue, "attempt": claim.attempt}
    return fields if claim.metadata is None else fields | _carried(claim.metadata)


def _carried(metadata: bytes) -> dict[str, str]:
    """What is searched for in logs; the trace is that of the enqueue, in which a first run is, too."""
    read = decode_object(metadata)
    parts = str(read.get("traceparent", "")).split("-")
    found = {"correlation_id": read.get(CORRELATION_KEY), "trace_id": parts[1] if len(parts) > 1 else None}
    return {name: value for name, value in found.items() if isinstance(value, str)}


_MOST_IDS = 5


def _ids(ids: Any) -> str:
    shown = ", ".join(str(one) for one in ids[:_MOST_IDS])
    return shown if len(ids) <= _MOST_IDS else f"{shown} and {len(ids) - _MOST_IDS} more"


_WRITERS: dict[type[EngineEvent], Callable[[Any], None]] = {
    events.SettingsMisspelled: _misspelled,
    events.WorkerStarted: _started,
    events.WorkerDraining: _draining,
    events.WorkerStopped: _stopped,
    events.RecordsFinished: _finished,
    events.CompletionsRefused: _refused,
    events.ClaimsLost: _lost,
    events.RecordsRescued: _rescued,
    events.TicksFired: _fired,
    events.Pruned: _pruned,
    events.BackendDown: _down,
    events.BackendUp: _up,
    events.ListenerDown: _listener_down,
    events.ListenerUp: _listener_up,
    events.RoomFailed: _broken,
    events.LoopLagged: _lagged,
    events.TaskPublished: _published,
}
