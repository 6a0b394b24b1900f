"""In: more due records than one claim takes. Out: a worker that runs them while the server looks for more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from litestar_queues import EnqueueSpec, QueueConfig, QueueService, Worker
from litestar_queues.backends.postgres import PostgresBackend
from litestar_queues.backends.postgres.work import WorkDesk
from litestar_queues.registry import TaskRegistry
from litestar_queues.tasks import Task
from litestar_queues.worker import claimer


async def test_the_next_claim_is_under_way_before_what_was_claimed_runs(
    backend: PostgresBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claimer, "_MOST_AT_ONCE", 5)
    seen: list[str] = []
    ended = asyncio.Event()
    together = WorkDesk._together

    async def note(self: WorkDesk, finishes: Sequence[Any], claim: Any) -> None:
        if claim is not None and claim[0].queues == ("busy",):
            seen.append("asked")
        await together(self, finishes, claim)

    async def run() -> None:
        seen.append("ran")
        if seen.count("ran") == 20:
            ended.set()

    monkeypatch.setattr(WorkDesk, "_together", note)
    registry = TaskRegistry()
    task = Task(run, name="run")
    registry.register(task)
    config = QueueConfig(worker_queues=("busy",), worker_max_concurrency=10, initialize_schedules=False)
    async with QueueService(config, backend=backend, registry=registry) as service:
        await service.enqueue_many([EnqueueSpec(task, queue="busy")] * 20)
        worker = Worker(service)
        working = asyncio.create_task(worker.start())
        async with asyncio.timeout(20):
            await ended.wait()
        worker.stop()
        await working
    # the canary's claim may come between the first two
    story = " ".join(seen)
    assert "asked asked" in story[: story.rindex("ran")], story
