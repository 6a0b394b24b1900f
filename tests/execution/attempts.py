"""In: a function and how it is called. Out: one attempt of it, to be started, stopped and awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

from litestar_queues.codec import encode_payload
from litestar_queues.config import QueueConfig
from litestar_queues.execution.context import StopReason, TaskExecutionContext
from litestar_queues.execution.local import LocalExecution
from litestar_queues.options import TaskOptions
from litestar_queues.outcomes import Failed, Outcome, Retried, RunError
from litestar_queues.records import Claim
from litestar_queues.registry import TaskRegistry
from litestar_queues.tasks import Task

__all__ = ("FAST", "PATIENT", "Attempt", "Dependencies", "attempt", "failure")


class Dependencies:
    """What a provider of dependencies does, as far as an attempt sees it."""

    def __init__(self, give: Callable[[AsyncExitStack], Mapping[str, Any]]) -> None:
        self.give = give
        self.names = None
        self.asked: list[tuple[str, ...]] = []

    async def enter(
        self, stack: AsyncExitStack, task: Task[..., Any], context: TaskExecutionContext, missing: tuple[str, ...]
    ) -> Mapping[str, Any]:
        self.asked.append(missing)
        return self.give(stack)


class Attempt:
    """One attempt of a task, to be started, stopped and awaited."""

    def __init__(
        self,
        function: Callable[..., Any],
        *args: Any,
        options: TaskOptions | None = None,
        dependencies: Any = None,
        claim: Mapping[str, Any] | None = None,
        config: QueueConfig | None = None,
        **kwargs: Any,
    ) -> None:
        registry = TaskRegistry()
        registry.register(Task(function, name="send", options=options))
        payload = encode_payload(args, kwargs, task="send", max_bytes=10_000)
        needed: dict[str, Any] = dict.fromkeys(Claim._fields)
        needed |= {"id": UUID(int=1), "token": 1, "task": "send", "queue": "mail", "payload": payload}
        needed |= {"attempt": 1, "max_attempts": 3, "waited": 0.0}
        self.claim = Claim(**needed | dict(claim or {}))
        self.context = TaskExecutionContext(self.claim, worker_id="host-1", loop=asyncio.get_running_loop())
        self.execution = LocalExecution(config or FAST, registry, lambda: dependencies)
        self.run = asyncio.create_task(self.execution.run(self.claim, self.context))

    def stop(self, reason: StopReason) -> None:
        self.context.ask_to_stop(reason)
        self.run.cancel()

    async def end(self) -> Outcome:
        try:
            return await self.run
        finally:
            self.execution.close()


FAST = QueueConfig(worker_final_cancel_timeout=0.05, max_payload_bytes=1_000, worker_unknown_task_delay=7)
PATIENT = QueueConfig(worker_final_cancel_timeout=30)


async def attempt(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Outcome:
    return await Attempt(function, *args, **kwargs).end()


def failure(outcome: Outcome) -> RunError:
    assert isinstance(outcome, (Failed, Retried))
    return outcome.error
