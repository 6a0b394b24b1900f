"""In: claims. Out: runs with their outcomes, handed to the completer; it knows tasks, never the store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

from litestar_queues.events import Run
from litestar_queues.execution.context import Publish, SaveProgress, StopReason, TaskExecutionContext
from litestar_queues.outcomes import Cancelled, Outcome, Released
from litestar_queues.records import Claim, Held

if TYPE_CHECKING:
    from litestar_queues.execution.base import ExecutionBackend
    from litestar_queues.worker.completer import Completer
    from litestar_queues.worker.slots import Slots

__all__ = ("Executor",)


class _Running:
    """One run under way."""

    __slots__ = ("claim", "context", "started", "task")

    def __init__(self, claim: Claim, context: TaskExecutionContext) -> None:
        self.claim = claim
        self.context = context
        self.started = False
        self.task: asyncio.Task[None] | None = None


class Executor:
    """Runs each claim in an asyncio task of its own."""

    def __init__(
        self,
        execution: ExecutionBackend,
        completer: Completer,
        *,
        worker_id: str,
        save_progress: SaveProgress,
        publish: Publish | None,
    ) -> None:
        self._execution = execution
        self._completer = completer
        self._worker_id = worker_id
        self._save_progress = save_progress
        self._publish = publish
        self._loop = asyncio.get_running_loop()
        self._running: dict[UUID, _Running] = {}
        self.idle = asyncio.Event()
        """Set while no run is under way."""
        self.idle.set()

    @property
    def running_count(self) -> int:
        """Runs under way."""
        return len(self._running)

    def held(self) -> list[Held]:
        """The claims of the runs under way."""
        return [Held(run.claim.id, run.claim.token) for run in self._running.values()]

    def start(self, claim: Claim, slots: Slots) -> None:
        """Run the claim in a slot; an older run of the same record has lost its claim by that, and is stopped."""
        older = self._running.get(claim.id)
        if older is not None:
            self._cancel(older, "lost")
        context = TaskExecutionContext(
            claim,
            worker_id=self._worker_id,
            loop=self._loop,
            save_progress=self._save_progress,
            publish=self._publish,
        )
        running = self._running[claim.id] = _Running(claim, context)
        slots.take()
        self.idle.clear()
        running.task = self._loop.create_task(self._run(running, slots))

    def give_back(self, claim: Claim) -> None:
        """Return a claim that was never started."""
        self._completer.put(Run(claim, Released(), 0.0))

    async def _run(self, running: _Running, slots: Slots) -> None:
        claim, context = running.claim, running.context
        running.started = True
        began = time.monotonic()
        if context.stop_reason is None:
            outcome = await self._execution.run(claim, context)
        else:
            outcome = _stopped(context.stop_reason)
        self._end(running, slots)
        if context.stop_reason != "lost":
            self._completer.put(Run(claim, outcome, time.monotonic() - began))

    def _end(self, running: _Running, slots: Slots) -> None:
        # another run of the same record may have begun meanwhile, where this claim had been lost
        if self._running.get(running.claim.id) is running:
            del self._running[running.claim.id]
        slots.release()
        if not self._running:
            self.idle.set()

    def cancel(self, ids: Iterable[UUID], reason: StopReason) -> list[UUID]:
        """Ask these runs to stop; those asked now, not before, are named."""
        asked = []
        for record_id in ids:
            running = self._running.get(record_id)
            if running is not None and running.context.stop_reason is None:
                self._cancel(running, reason)
                asked.append(record_id)
        return asked

    def cancel_all(self, reason: StopReason) -> int:
        """Cancel every run, also those asked to stop before; says how many there were."""
        for running in self._running.values():
            self._cancel(running, reason)
        return len(self._running)

    @staticmethod
    def _cancel(running: _Running, reason: StopReason) -> None:
        running.context.ask_to_stop(reason)
        # a coroutine cancelled before its first step never reaches its own clean-up; it looks at the reason instead
        if running.started and running.task is not None:
            running.task.cancel()

    def abandon(self) -> int:
        """Give back the claims of runs that ignored their cancellation; says how many there were."""
        left = list(self._running.values())
        self._running.clear()
        self.idle.set()
        for running in left:
            running.context.stop_reason = "lost"  # whatever it returns one day is not reported any more
            self._completer.put(Run(running.claim, running.context.cut_off(), 0.0))
        return len(left)


def _stopped(reason: StopReason) -> Outcome:
    """How a run ends that was stopped before it began."""
    return Cancelled("cancelled on request before it ran") if reason == "requested" else Released()
