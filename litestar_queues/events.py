"""In: what the rooms do. Out: events to whoever subscribed; the engine itself neither logs nor counts.

Two kinds: engine events, in batches, for logs and metrics; and :class:`QueueEvent`, what a user's page follows.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol, runtime_checkable
from uuid import UUID

from litestar_queues.outcomes import Outcome
from litestar_queues.records import Claim, Rescued

__all__ = (
    "BackendDown",
    "BackendUp",
    "ClaimsLost",
    "CompletionsRefused",
    "EngineEvent",
    "EventBus",
    "InMemoryQueueEventSink",
    "ListenerDown",
    "ListenerUp",
    "LoopLagged",
    "Pruned",
    "QueueEvent",
    "QueueEventSink",
    "RecordsFinished",
    "RecordsRescued",
    "RoomFailed",
    "Run",
    "SettingsMisspelled",
    "TaskPublished",
    "TicksFired",
    "WorkerDraining",
    "WorkerStarted",
    "WorkerStopped",
)

logger = logging.getLogger("litestar_queues.events")


class Run(NamedTuple):
    """One finished run."""

    claim: Claim
    outcome: Outcome
    duration: float
    """Seconds from start to end."""


@dataclass(frozen=True, slots=True)
class SettingsMisspelled:
    """Variables of the environment look like settings and are none."""

    meant: Mapping[str, str]
    """By the name that is there, the one that it is like."""


@dataclass(frozen=True, slots=True)
class WorkerStarted:
    """A worker is claiming."""

    worker_id: str
    queues: Sequence[str]
    max_concurrency: int
    backend: str


@dataclass(frozen=True, slots=True)
class WorkerDraining:
    """A worker has stopped claiming."""

    worker_id: str
    running: int
    timeout: float


@dataclass(frozen=True, slots=True)
class WorkerStopped:
    """A worker has left."""

    worker_id: str
    cancelled: int
    """Runs that the drain cancelled."""
    seconds: float
    """Length of the drain."""
    unsaved: int = 0
    """Outcomes that could not be stored."""


@dataclass(frozen=True, slots=True)
class RecordsFinished:
    """A batch of outcomes is stored."""

    runs: Sequence[Run]


@dataclass(frozen=True, slots=True)
class CompletionsRefused:
    """Outcomes of claims that were no longer held; they changed nothing."""

    ids: Sequence[UUID]


@dataclass(frozen=True, slots=True)
class ClaimsLost:
    """Claims that another took over; their runs are cancelled."""

    ids: Sequence[UUID]


@dataclass(frozen=True, slots=True)
class RecordsRescued:
    """Records of workers that vanished were taken back."""

    records: Sequence[Rescued]


@dataclass(frozen=True, slots=True)
class TicksFired:
    """A schedule was due."""

    schedule: str
    records: int


@dataclass(frozen=True, slots=True)
class Pruned:
    """Old records were deleted."""

    status: str
    count: int


@dataclass(frozen=True, slots=True)
class BackendDown:
    """A room cannot reach the store; told once, until it can again."""

    room: str
    error: Exception


@dataclass(frozen=True, slots=True)
class BackendUp:
    """A room reaches the store again."""

    room: str
    seconds: float
    """How long it could not."""


@dataclass(frozen=True, slots=True)
class ListenerDown:
    """Wake-ups from other processes do not arrive; polling goes on. Told once, until they do again."""

    error: Exception


@dataclass(frozen=True, slots=True)
class ListenerUp:
    """Wake-ups arrive again."""

    seconds: float
    """How long they did not."""


@dataclass(frozen=True, slots=True)
class RoomFailed:
    """A room met an error that it did not expect; it goes on."""

    room: str
    error: Exception


@dataclass(frozen=True, slots=True)
class LoopLagged:
    """Something blocked the event loop."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEvent:
    """Something that one task did or that happened to it."""

    type: str
    """``task.progress``, ``task.log``, ``task.event``, ``task.completed``, ``task.failed``, ``task.retried``,
    ``task.cancelled``, ``task.released`` or ``task.snoozed``."""
    task_id: UUID
    task_name: str
    queue: str
    attempt: int
    level: str | None = None
    message: str | None = None
    progress: Mapping[str, Any] | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)
    occurred_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class TaskPublished:
    """A running task published something."""

    event: QueueEvent


EngineEvent = (
    SettingsMisspelled
    | WorkerStarted
    | WorkerDraining
    | WorkerStopped
    | RecordsFinished
    | CompletionsRefused
    | ClaimsLost
    | RecordsRescued
    | TicksFired
    | Pruned
    | BackendDown
    | BackendUp
    | ListenerDown
    | ListenerUp
    | RoomFailed
    | LoopLagged
    | TaskPublished
)


class EventBus:
    """Hands each event to every subscriber, at once and in order."""

    def __init__(self) -> None:
        self._subscribers: list[Callable[[EngineEvent], None]] = []

    def subscribe(self, subscriber: Callable[[EngineEvent], None]) -> Callable[[], None]:
        """Call the subscriber for each event from now on; the answer ends that."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def emit(self, event: EngineEvent) -> None:
        """Tell everyone. A subscriber that raises is logged and does not hurt the engine."""
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(event)
            except Exception:
                logger.exception("subscriber %r failed on %s", subscriber, type(event).__name__)


@runtime_checkable
class QueueEventSink(Protocol):
    """Where :class:`QueueEvent` goes."""

    def publish(self, event: QueueEvent) -> None:
        """Take the event without waiting; it is called on the worker's event loop."""


class InMemoryQueueEventSink:
    """Keeps the latest events in memory.

    Args:
        capacity: The oldest go once there are more; 1,000 by default.
    """

    def __init__(self, capacity: int = 1_000) -> None:
        self.events: deque[QueueEvent] = deque(maxlen=capacity)

    def publish(self, event: QueueEvent) -> None:
        """Keep the event."""
        self.events.append(event)
