"""In: a claim that is being run. Out: what its task may see and ask, also from deep inside its code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, Literal, NoReturn
from uuid import UUID

from litestar_queues.codec import decode_json, decode_object, encode_object
from litestar_queues.correlation import CORRELATION_KEY, is_correlation_id
from litestar_queues.errors import QueueError, TaskCancelledError, TaskSnoozedError
from litestar_queues.events import QueueEvent
from litestar_queues.options import read_delay
from litestar_queues.outcomes import Failed, Outcome, Released, RunError
from litestar_queues.records import Claim

__all__ = (
    "Publish",
    "SaveProgress",
    "StopReason",
    "TaskExecutionContext",
    "bind_context",
    "get_current_task_context",
    "publish_task_event",
    "publish_task_log",
    "publish_task_progress",
    "snooze",
)

StopReason = Literal["requested", "drain", "lost"]
Publish = Callable[[QueueEvent], None]
SaveProgress = Callable[[Claim, bytes], None]

_MAX_PROGRESS_BYTES = 16_384


class TaskExecutionContext:
    """One attempt of one record, as its task sees it.

    A task receives it in a parameter annotated with this class. All methods may be called from the event loop and
    from the thread of a plain function.
    """

    __slots__ = ("_claim", "_loop", "_publish", "_save_progress", "_stop_event", "stop_reason", "worker_id")

    def __init__(
        self,
        claim: Claim,
        *,
        worker_id: str,
        loop: asyncio.AbstractEventLoop,
        save_progress: SaveProgress | None = None,
        publish: Publish | None = None,
    ) -> None:
        self._claim = claim
        self._loop = loop
        self._save_progress = save_progress
        self._publish = publish
        self._stop_event: asyncio.Event | None = None
        self.stop_reason: StopReason | None = None
        self.worker_id = worker_id

    @property
    def task_id(self) -> UUID:
        """Id of the record."""
        return self._claim.id

    @property
    def task_name(self) -> str:
        """Registered name of the task."""
        return self._claim.task

    @property
    def queue(self) -> str:
        """The record's queue."""
        return self._claim.queue

    @property
    def attempt(self) -> int:
        """1 for the first attempt."""
        return self._claim.attempt

    @property
    def max_attempts(self) -> int:
        """How many attempts the record has in all."""
        return self._claim.max_attempts

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the caller attached at enqueue."""
        return decode_json(self._claim.metadata) or {}

    @property
    def correlation_id(self) -> str | None:
        """What the record has in common with the request or task that enqueued it; ``None`` where nothing was given."""
        if self._claim.metadata is None:
            return None
        value = decode_object(self._claim.metadata).get(CORRELATION_KEY)
        return value if is_correlation_id(value) else None

    @property
    def is_cancelled(self) -> bool:
        """Whether the run is asked to stop: on request, by a drain, or because the claim was lost."""
        return self.stop_reason is not None

    def raise_if_cancelled(self) -> None:
        """Leave the task where it is asked to stop.

        Raises:
            TaskCancelledError: The run is asked to stop.
        """
        if self.stop_reason is not None:
            msg = f"task {self.task_name!r} was asked to stop ({self.stop_reason})"
            raise TaskCancelledError(msg)

    async def wait_cancelled(self) -> None:
        """Return once the run is asked to stop."""
        if self._stop_event is None:
            self._stop_event = asyncio.Event()
        if self.stop_reason is None:
            await self._stop_event.wait()

    def ask_to_stop(self, reason: StopReason) -> None:
        """Mark the run as cancelled; called by the worker on its event loop."""
        if self.stop_reason is None:
            self.stop_reason = reason
        if self._stop_event is not None:
            self._stop_event.set()

    def cut_off(self) -> Outcome:
        """How a run that has begun and does not reach its end is to be told of: it runs again, unless it must not."""
        if not self._claim.at_most_once:
            return Released()
        return Failed(RunError("RunCutOff", "the run was cut off, and its record runs at most once"))

    def progress(self, current: float, total: float | None = None, message: str | None = None) -> None:
        """Tell how far the task is; the latest value is stored on the record within about half a second.

        Args:
            current: Steps done.
            total: Steps in all, where that is known.
            message: For people.
        """
        progress = {"current": current, "total": total, "message": message}
        encoded = encode_object(progress, what="progress", max_bytes=_MAX_PROGRESS_BYTES)
        if self._save_progress is not None:
            self._on_loop(self._save_progress, self._claim, encoded)
        if self._publish is not None:
            self._send("task.progress", progress=progress, message=message)

    def log(self, message: str, /, level: str = "info", **payload: Any) -> None:
        """Publish a line of text to whoever follows the task's events."""
        if self._publish is not None:
            self._send("task.log", level=level, message=message, payload=payload)

    def event(self, name: str, /, **payload: Any) -> None:
        """Publish an event of the task's own to whoever follows it."""
        if self._publish is not None:
            self._send("task.event", message=name, payload=payload)

    def _send(self, kind: str, **details: Any) -> None:
        if self._publish is not None:
            event = QueueEvent(
                type=kind,
                task_id=self.task_id,
                task_name=self.task_name,
                queue=self.queue,
                attempt=self.attempt,
                **details,
            )
            self._on_loop(self._publish, event)

    def _on_loop(self, function: Callable[..., None], *args: Any) -> None:
        # at once where we are on the loop: a value published just before the return must precede the outcome
        if asyncio._get_running_loop() is self._loop:  # noqa: SLF001 - the public call raises off the loop
            function(*args)
        else:
            self._loop.call_soon_threadsafe(function, *args)


_current: ContextVar[TaskExecutionContext | None] = ContextVar("litestar_queues_task_context", default=None)
bind_context = _current.set


def get_current_task_context() -> TaskExecutionContext | None:
    """The context of the task that this code runs in; ``None`` outside of tasks."""
    return _current.get()


def publish_task_progress(current: float, total: float | None = None, message: str | None = None) -> None:
    """Tell how far the running task is; see :meth:`TaskExecutionContext.progress`.

    Raises:
        QueueError: Called outside of a running task.
    """
    _require().progress(current, total, message)


def publish_task_log(message: str, /, level: str = "info", **payload: Any) -> None:
    """Publish a line of text from the running task; see :meth:`TaskExecutionContext.log`.

    Raises:
        QueueError: Called outside of a running task.
    """
    _require().log(message, level, **payload)


def publish_task_event(name: str, /, **payload: Any) -> None:
    """Publish an event from the running task; see :meth:`TaskExecutionContext.event`.

    Raises:
        QueueError: Called outside of a running task.
    """
    _require().event(name, **payload)


def snooze(delay: float | timedelta, reason: str | None = None) -> NoReturn:
    """End this run, and have the record run again after the delay; no attempt is spent.

    For what cannot be done yet and is no error, such as an API that says when it will answer again. A record may be
    put off as often as its task asks; `expires_in` bounds it.

    Args:
        delay: Seconds above 0 from the end of the run, or a timedelta.
        reason: What the record shows meanwhile.

    Raises:
        TaskSnoozedError: Always, for the worker to see.
        InvalidArgumentError: The delay is none; the run fails by that.
    """
    error = TaskSnoozedError(reason)
    error.delay = read_delay(delay)
    raise error


def _require() -> TaskExecutionContext:
    context = _current.get()
    if context is None:
        msg = "no task is running here: progress, logs and events can be published only from inside a task"
        raise QueueError(msg)
    return context
