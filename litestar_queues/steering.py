"""In: ids, filters and names, as an operator has them. Out: what is stored, seen and steered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from litestar_queues.errors import InvalidArgumentError
from litestar_queues.fleet import QueuePause, Tally, WorkerRow
from litestar_queues.records import QueueDepth, QueuedTaskRecord, QueueStatistics, RecordFilter, RecordPage
from litestar_queues.status import TERMINAL, TaskStatus
from litestar_queues.ticks import ScheduleRow

if TYPE_CHECKING:
    from litestar_queues.backends.base import QueueBackend

__all__ = ("MOST_LOOKED_AT", "RETRIABLE", "Steering", "why_not_cancelled", "why_not_retried")

MOST_LOOKED_AT: Final = 20_000
"""Records that one page looks at, to stay below a tenth of a second."""

RETRIABLE: Final = (TaskStatus.FAILED, TaskStatus.CANCELLED)
_PURGE_BATCH = 1_000


class Steering(ABC):
    """What a service can do with records, schedules, queues and workers that are there."""

    backend: QueueBackend

    @abstractmethod
    async def open(self) -> None:
        """Open the backend where it is not."""

    # records

    async def get_task(self, task_id: UUID | str) -> QueuedTaskRecord | None:
        """The record, or ``None`` where there is none."""
        wanted = as_id(task_id)
        await self.open()
        return (await self.backend.get_many([wanted])).get(wanted)

    async def get_tasks(self, task_ids: Sequence[UUID]) -> Mapping[UUID, QueuedTaskRecord]:
        """Those of the records that exist, by id, in one statement."""
        await self.open()
        return await self.backend.get_many(task_ids)

    async def list_tasks(self, *, status: TaskStatus | str | None = None, **filters: Any) -> Sequence[QueuedTaskRecord]:
        """A page of records, newest first; filters are the fields of :class:`~litestar_queues.records.RecordFilter`.

        It goes through as many records as it takes to find a page full of those that fit; :meth:`read_page` does not.

        Raises:
            InvalidArgumentError: There is no such state.
        """
        wanted = RecordFilter(status=None if status is None else _state(status), **filters)
        await self.open()
        return await self.backend.list_records(wanted)

    async def read_page(self, which: RecordFilter) -> RecordPage:
        """A page of records for a look that must not take long: it looks at 20,000 records at most, whatever fits.

        Of one key, one schedule or the running ones it finds all, for they are looked for by themselves.
        """
        await self.open()
        bound = await self.backend.page_bound(which, MOST_LOOKED_AT)
        reach = which if bound is None else which.reaching(bound)
        found = await self.backend.list_records(replace(reach, limit=which.limit + 1))
        if len(found) > which.limit:
            return RecordPage(found[: which.limit], found[which.limit - 1].id, cut_short=False)
        return RecordPage(found, bound, cut_short=bound is not None)

    async def cancel_task(self, task_id: UUID | str, *, include_running: bool = False) -> bool:
        """Cancel a waiting record at once; with ``include_running`` ask the worker that runs it to stop.

        Returns:
            Whether the record was cancelled or asked to stop.
        """
        wanted = as_id(task_id)
        await self.open()
        return wanted in await self.backend.cancel_many([wanted], include_running=include_running)

    async def retry_task(self, task_id: UUID | str) -> bool:
        """Make a failed or cancelled record pending again with a fresh set of attempts.

        Returns:
            Whether it is; ``False`` in any other state, or where another live record holds its key.
        """
        wanted = as_id(task_id)
        await self.open()
        return wanted in await self.backend.retry_many([wanted])

    async def purge(
        self, status: TaskStatus | str, older_than: float, limit: int | None = None, *, dry_run: bool = False
    ) -> int:
        """Delete records that reached a terminal state more than ``older_than`` seconds ago, in bounded batches.

        Records that still hold a key by their ``unique_for`` window stay.

        Args:
            status: ``completed``, ``failed`` or ``cancelled``.
            older_than: Seconds; 0 for all.
            limit: At most so many; ``None``: all of them.
            dry_run: Delete nothing.

        Returns:
            How many went, or would go.

        Raises:
            InvalidArgumentError: The state is none of these, or a number is below 0.
        """
        state = _terminal(status)
        if not older_than >= 0 or (limit is not None and limit < 0):
            msg = f"older_than={older_than!r}, limit={limit!r} are not accepted: give numbers from 0 on"
            raise InvalidArgumentError(msg)
        await self.open()
        if dry_run:
            found = await self.backend.count_old(state, older_than=older_than)
            return found if limit is None else min(found, limit)
        purged = 0
        while (wanted := _PURGE_BATCH if limit is None else min(_PURGE_BATCH, limit - purged)) > 0:
            count = await self.backend.prune_many(state, older_than=older_than, limit=wanted)
            purged += count
            if count < wanted:
                break
        return purged

    async def get_statistics(self, queue: str | None = None) -> QueueStatistics:
        """Counts of stored records by state."""
        await self.open()
        return await self.backend.statistics(queue)

    async def queue_depths(self) -> Sequence[QueueDepth]:
        """Live records of each queue that has any, by name; their cost does not grow with history."""
        await self.open()
        return await self.backend.queue_depths()

    async def canary_health(self) -> datetime | None:
        """When the canary task last completed."""
        await self.open()
        return await self.backend.canary_completed_at()

    # schedules

    async def list_schedules(self) -> Sequence[ScheduleRow]:
        """All stored schedules by name."""
        await self.open()
        return await self.backend.list_schedules()

    async def pause_schedule(self, name: str) -> bool:
        """Stop a schedule from firing until it is resumed; ``False`` where there is none of that name."""
        await self.open()
        return await self.backend.pause_schedule(name, paused=True)

    async def resume_schedule(self, name: str) -> bool:
        """Let a paused schedule fire again; ``False`` where there is none of that name."""
        await self.open()
        return await self.backend.pause_schedule(name, paused=False)

    # queues and workers

    async def list_workers(self) -> Sequence[WorkerRow]:
        """All workers by host and id; those that vanished stay for a day."""
        await self.open()
        return await self.backend.list_workers()

    async def pause_queue(self, queue: str, seconds: float | None = None) -> None:
        """Let no worker take records of a queue from now on; they may be enqueued all the same, and wait.

        Args:
            queue: Whether it has records or not.
            seconds: Until it goes on by itself; ``None``: until :meth:`resume_queue`.

        Raises:
            InvalidArgumentError: It is the canary's queue or no name of a queue, or ``seconds`` is not above 0.
        """
        await self.open()
        await self.backend.pause_queue(queue, seconds=seconds)

    async def resume_queue(self, queue: str) -> bool:
        """Let workers take records of a paused queue again; ``False`` where it was not paused."""
        await self.open()
        return await self.backend.resume_queue(queue)

    async def paused_queues(self) -> Sequence[QueuePause]:
        """The queues that are paused now, by name."""
        await self.open()
        return await self.backend.paused_queues()

    async def list_tallies(self, seconds: float = 3600.0) -> Sequence[Tally]:
        """What ended in each minute of the last so many seconds in each queue, oldest first; kept for a day."""
        await self.open()
        return await self.backend.list_tallies(seconds=seconds)


def _state(status: TaskStatus | str) -> TaskStatus:
    try:
        return TaskStatus(status)
    except ValueError:
        msg = f"status={status!r} is no state of a record: use one of {', '.join(TaskStatus)}"
        raise InvalidArgumentError(msg) from None


def _terminal(status: TaskStatus | str) -> TaskStatus:
    if status not in TERMINAL:  # a state is its text
        msg = f"status={str(status)!r} cannot be purged: only completed, failed and cancelled records are history"
        raise InvalidArgumentError(msg)
    return TaskStatus(status)


def why_not_retried(record: QueuedTaskRecord) -> str:
    """What stands in the way, as a clause for people."""
    if record.status in RETRIABLE:
        return f"another live record has its key {record.key!r}: retry it once that one has ended"
    return f"it is {record.status}, and only failed and cancelled records can be retried"


def why_not_cancelled(record: QueuedTaskRecord) -> str:
    """What stands in the way, as a clause for people."""
    return f"it is {record.status} already, and only records that wait or run can be cancelled"


def as_id(task_id: UUID | str) -> UUID:
    """Read a record id.

    Raises:
        InvalidArgumentError: The text is not a UUID.
    """
    if isinstance(task_id, UUID):
        return task_id
    try:
        return UUID(task_id)
    except (ValueError, TypeError, AttributeError) as error:
        msg = f"{task_id!r} is not a record id: use the UUID that enqueue() returned"
        raise InvalidArgumentError(msg) from error
