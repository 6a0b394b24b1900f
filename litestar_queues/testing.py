"""In: a user's test. Out: tasks run inside it, and assertions on what was enqueued."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from litestar_queues.config import QueueConfig
from litestar_queues.records import CANARY_QUEUE, QueuedTaskRecord
from litestar_queues.service import QueueService
from litestar_queues.tasks import Task

__all__ = ("assert_enqueued", "assert_not_enqueued", "drain", "enqueued_records", "memory_queue")

_MOST = 10_000


@asynccontextmanager
async def memory_queue(*, immediate: bool = False, **settings: Any) -> AsyncIterator[QueueService]:
    """Open a queue in memory, to which ``task.enqueue()`` goes until the block ends.

    Args:
        immediate: Run each task inside ``enqueue()``; else ``await drain(service)`` runs what has gathered.
        settings: Further fields of :class:`~litestar_queues.config.QueueConfig`.
    """
    execution = "immediate" if immediate else "local"
    config = QueueConfig(**{"queue_backend": "memory", "execution_backend": execution} | settings)
    async with QueueService(config) as service:
        yield service


async def drain(service: QueueService) -> int:
    """Run every record that is due, and those that they enqueue, one after another.

    Returns:
        How many runs there were. Failures are on the records, not raised.
    """
    return await service.run_due()


async def enqueued_records(
    service: QueueService, task: Task[..., Any] | str | None = None
) -> Sequence[QueuedTaskRecord]:
    """The stored records of a task, or of every task, oldest first; the canary's are left out."""
    name = task.name if isinstance(task, Task) else task
    records = await service.list_tasks(task=name, limit=_MOST)
    return [record for record in reversed(records) if record.queue != CANARY_QUEUE]


async def assert_enqueued(
    service: QueueService, task: Task[..., Any] | str, *args: Any, **kwargs: Any
) -> QueuedTaskRecord:
    """Assert that the task was enqueued; with arguments, with exactly these.

    Returns:
        The latest record that fits.

    Raises:
        AssertionError: There is none; the message lists the records of the task.
    """
    records = await enqueued_records(service, task)
    fitting = [record for record in records if not (args or kwargs) or _has_arguments(record, task, args, kwargs)]
    if fitting:
        return fitting[-1]
    wanted = f" with {_shown(args, kwargs)}" if args or kwargs else ""
    there = "; there are: " + ", ".join(_shown(one.args, one.kwargs) for one in records) if records else ""
    msg = f"task {_name(task)!r} was not enqueued{wanted}{there}"
    raise AssertionError(msg)


async def assert_not_enqueued(service: QueueService, task: Task[..., Any] | str) -> None:
    """Assert that no record of the task is stored.

    Raises:
        AssertionError: There is one.
    """
    records = await enqueued_records(service, task)
    if records:
        first = _shown(records[0].args, records[0].kwargs)
        msg = f"task {_name(task)!r} was enqueued {len(records)} times, first with {first}"
        raise AssertionError(msg)


def _has_arguments(record: QueuedTaskRecord, task: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Compare as stored: by name where the task is known, and as JSON, in which a UUID is a text."""
    from litestar_queues.codec import decode_payload, encode_payload

    stored, wanted = (record.args, record.kwargs), (args, kwargs)
    if isinstance(task, Task):
        stored, wanted = ((), task.signature.bind(*stored)), ((), task.signature.bind(*wanted))
    as_stored = decode_payload(encode_payload(*wanted, task=_name(task), max_bytes=1 << 30))
    return (list(stored[0]), dict(stored[1])) == (list(as_stored[0]), as_stored[1])


def _name(task: Task[..., Any] | str) -> str:
    return task if isinstance(task, str) else task.name


def _shown(args: Sequence[Any], kwargs: Any) -> str:
    return f"({', '.join([*map(repr, args), *(f'{name}={value!r}' for name, value in kwargs.items())])})"
