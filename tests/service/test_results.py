"""In: an id. Out: a handle that waits for its record, is woken by its end, and says when there is none."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.errors import QueueError
from litestar_queues.results import TaskResult
from litestar_queues.status import TaskStatus
from tests.builders import FakeClock
from tests.faults.faulty import FaultyBackend
from tests.worker.harness import PATIENCE, Shop


def send(to: str, copies: int = 1) -> str:
    return f"{copies} to {to}"


async def test_a_waiter_is_woken_when_the_record_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litestar_queues.results._FIRST_POLL", 10_000.0)
    monkeypatch.setattr("litestar_queues.results._LONGEST_POLL", 10_000.0)
    async with Shop() as shop:
        shop.task(send)
        handle = await shop.service.enqueue("send", "ada")
        waiting = asyncio.create_task(handle.wait(PATIENCE))
        await asyncio.sleep(0)
        assert await shop.service.run_due() == 1
        assert await waiting is handle
        assert (handle.status, handle.result, handle.error) == (TaskStatus.COMPLETED, "1 to ada", None)


async def test_a_lost_wake_up_costs_a_waiter_only_time(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = FaultyBackend(MemoryBackend())
    monkeypatch.setattr(backend, "subscribe", lambda _: lambda: None)
    async with Shop(backend=backend) as shop:
        shop.task(send)
        handle = await shop.service.enqueue("send", "ada")
        waiting = asyncio.create_task(handle.wait(PATIENCE))
        await shop.service.run_due()
        assert (await waiting).result == "1 to ada"


async def test_a_waiter_gives_up_in_time_and_the_record_goes_on() -> None:
    async with Shop() as shop:
        shop.task(send)
        handle = await shop.service.enqueue("send", "ada")
        with pytest.raises(TimeoutError):
            await handle.wait(0.01)
        assert handle.status is TaskStatus.PENDING


async def test_a_handle_on_a_record_that_is_gone_says_so(clock: FakeClock) -> None:
    async with Shop(clock=clock) as shop:
        shop.task(send)
        handle = await shop.service.enqueue("send", "ada")
        await shop.service.run_due()
        clock.advance(1)
        await shop.backend.prune_many(TaskStatus.COMPLETED, older_than=0, limit=10)
        for look in (handle.refresh, handle.wait):
            with pytest.raises(QueueError, match="rolled back or its retention is over"):
                await look()


async def test_a_handle_shows_what_was_last_read() -> None:
    async with Shop() as shop:
        handle = TaskResult(shop.service, UUID(int=7), "send")
        assert (handle.record, handle.status, handle.result, handle.error) == (None, None, None, None)
        assert repr(handle) == f"<TaskResult send {UUID(int=7)} not read yet>"
