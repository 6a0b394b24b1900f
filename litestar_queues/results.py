"""In: the id of an enqueued record. Out: a handle that looks it up and waits for its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

from litestar_queues.errors import QueueError

if TYPE_CHECKING:
    from litestar_queues.records import QueuedTaskRecord
    from litestar_queues.service import QueueService
    from litestar_queues.status import TaskStatus

__all__ = ("TaskResult",)

_FIRST_POLL, _LONGEST_POLL = 0.02, 1.0
"""Seconds after which a waiter looks even without a wake-up, which may be lost, or which this store does not send for
the end of a task; each pause is twice as long as the one before."""


class TaskResult:
    """A handle on one record.

    The properties show what was last read; ``await refresh()`` reads again.
    """

    __slots__ = ("_record", "_service", "created", "id", "task_name")

    def __init__(self, service: QueueService, record_id: UUID, task_name: str, *, created: bool = True) -> None:
        self._service = service
        self._record: QueuedTaskRecord | None = None
        self.id = record_id
        self.task_name = task_name
        self.created = created
        """False where a record with the same key was there already; then this is its handle."""

    def __repr__(self) -> str:
        return f"<TaskResult {self.task_name} {self.id} {self.status or 'not read yet'}>"

    @property
    def record(self) -> QueuedTaskRecord | None:
        """The record as last read; ``None`` before the first ``refresh()`` or ``wait()``."""
        return self._record

    @property
    def status(self) -> TaskStatus | None:
        """The state as last read."""
        return self._record.status if self._record else None

    @property
    def result(self) -> Any:
        """What the task returned, as JSON gave it back; ``None`` until it completed."""
        return self._record.result if self._record else None

    @property
    def error(self) -> str | None:
        """``Type: message`` of the latest failure."""
        return self._record.error if self._record else None

    async def refresh(self) -> TaskResult:
        """Read the record.

        Raises:
            QueueError: The record does not exist (any more).
        """
        record = await self._service.get_task(self.id)
        if record is None:
            msg = (
                f"record {self.id} of task {self.task_name!r} is not there: it was rolled back or its retention is over"
            )
            raise QueueError(msg)
        self._record = record
        return self

    async def wait(self, timeout: float | None = None) -> TaskResult:
        """Return once the record has completed, failed or been cancelled.

        Args:
            timeout: Seconds; ``None`` waits for ever.

        Raises:
            TimeoutError: It takes longer; the task goes on.
            QueueError: The record does not exist (any more).
        """
        async with asyncio.timeout(timeout):
            with self._service.changes() as changed:
                await self.refresh()
                pause = _FIRST_POLL
                while not self._is_terminal:
                    await changed(pause)
                    pause = min(2 * pause, _LONGEST_POLL)
                    await self.refresh()
        return self

    @property
    def _is_terminal(self) -> bool:
        return self._record is not None and self._record.is_terminal
