"""In: an open backend. Out: all that is due, run one after another in this call; for tests and immediate execution."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from litestar_queues.events import RecordsFinished, Run
from litestar_queues.execution.context import TaskExecutionContext
from litestar_queues.ids import new_worker_id
from litestar_queues.outcomes import Completion
from litestar_queues.records import CANARY_QUEUE, Claim, Held

if TYPE_CHECKING:
    from litestar_queues.backends.base import QueueBackend
    from litestar_queues.events import EventBus
    from litestar_queues.execution.base import ExecutionBackend

__all__ = ("run_due",)

_LEASE = 3600.0


async def run_due(backend: QueueBackend, execution: ExecutionBackend, bus: EventBus) -> int:
    """Run every due record, those that running tasks enqueue too, and return how many runs there were."""
    worker_id = new_worker_id("inline")
    runs = 0
    while True:
        ran = 0
        for queues in ((), (CANARY_QUEUE,)):
            # one at a time, so that the order of the law holds for records that a run makes
            batch = await backend.claim_many(worker_id=worker_id, queues=queues, limit=1, lease=_LEASE)
            for claim in batch.claims:
                await _run_one(claim, worker_id, backend, execution, bus)
                ran += 1
        if not ran:
            return runs
        runs += ran


async def _run_one(
    claim: Claim, worker_id: str, backend: QueueBackend, execution: ExecutionBackend, bus: EventBus
) -> None:
    held = Held(claim.id, claim.token)
    progress: dict[Held, bytes] = {}

    def save(_: Claim, encoded: bytes) -> None:
        progress[held] = encoded

    context = TaskExecutionContext(claim, worker_id=worker_id, loop=asyncio.get_running_loop(), save_progress=save)
    started = time.monotonic()
    # a task of its own, so that the bound context does not leak into the caller's
    outcome = await asyncio.create_task(execution.run(claim, context))
    if progress:
        await backend.save_progress(progress)
    await backend.finish_many([Completion(claim.id, claim.token, outcome)])
    bus.emit(RecordsFinished([Run(claim, outcome, time.monotonic() - started)]))
