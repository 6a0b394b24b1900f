"""In: nothing. Out: the contract of a place where tasks run."""

from __future__ import annotations

from typing import Protocol

from litestar_queues.execution.context import TaskExecutionContext
from litestar_queues.outcomes import Outcome
from litestar_queues.records import Claim

__all__ = ("ExecutionBackend",)


class ExecutionBackend(Protocol):
    """Runs a claim to its outcome; a failing task is an outcome, never an exception."""

    async def run(self, claim: Claim, context: TaskExecutionContext) -> Outcome:
        """Run one attempt."""

    @property
    def abandoned(self) -> int:
        """Threads that still run a plain function whose attempt is over."""

    def close(self) -> None:
        """Let go of threads; running ones go on."""
