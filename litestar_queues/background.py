"""In: a task and its arguments. Out: a Litestar background task that enqueues it once the response is sent."""

from __future__ import annotations

from typing import Any, ParamSpec

from litestar.background_tasks import BackgroundTask

from litestar_queues.tasks import Task, bound_service

__all__ = ("QueuedBackgroundTask",)

P = ParamSpec("P")


class QueuedBackgroundTask(BackgroundTask):
    """Enqueues a task after the response, in the place of Litestar's own ``BackgroundTask``, which a restart loses.

    A failure to enqueue can no longer reach the client: where the caller must know, await ``task.enqueue()`` in the
    handler instead.

    Args:
        task: The task.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
    """

    def __init__(self, task: Task[P, Any], *args: P.args, **kwargs: P.kwargs) -> None:
        async def enqueue() -> None:
            await bound_service().enqueue(task, *args, **kwargs)

        super().__init__(enqueue)
