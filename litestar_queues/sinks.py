"""In: events of the engine. Out: what befell each task, handed to the user's sink."""

from __future__ import annotations

from typing import Any

from litestar_queues.events import EngineEvent, QueueEvent, QueueEventSink, RecordsFinished, Run, TaskPublished
from litestar_queues.outcomes import Cancelled, Completed, Failed, Outcome, Released, Retried, Snoozed

__all__ = ("SinkForwarder",)

_TYPES: dict[type[Outcome], str] = {
    Completed: "task.completed",
    Failed: "task.failed",
    Retried: "task.retried",
    Snoozed: "task.snoozed",
    Cancelled: "task.cancelled",
    Released: "task.released",
}


class SinkForwarder:
    """Subscribes a sink to a bus; stored outcomes and what tasks publish arrive in their order.

    Args:
        sink: Takes the events.
    """

    def __init__(self, sink: QueueEventSink) -> None:
        self._sink = sink

    def __call__(self, event: EngineEvent) -> None:
        """Hand on what concerns tasks."""
        match event:
            case TaskPublished():
                self._sink.publish(event.event)
            case RecordsFinished():
                for run in event.runs:
                    self._sink.publish(_ending(run))
            case _:
                pass


def _ending(run: Run) -> QueueEvent:
    claim, outcome = run.claim, run.outcome
    payload: dict[str, Any] = {"duration": run.duration}
    message = None
    match outcome:
        case Failed() | Retried():
            message = f"{outcome.error.type}: {outcome.error.message}"
        case Snoozed() | Cancelled():
            message = outcome.reason
        case _:
            pass
    if isinstance(outcome, (Retried, Snoozed)):
        payload["delay"] = outcome.delay
    return QueueEvent(
        type=_TYPES[type(outcome)],
        task_id=claim.id,
        task_name=claim.task,
        queue=claim.queue,
        attempt=claim.attempt,
        message=message,
        payload=payload,
    )
