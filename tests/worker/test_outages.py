"""In: a store that is away, or wrong. Out: a worker that waits, or ends with the reason."""

from __future__ import annotations

import asyncio

import pytest

from litestar_queues import rooms
from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.errors import BackendUnavailableError, SchemaVersionError
from litestar_queues.events import BackendDown, BackendUp, EventBus
from litestar_queues.worker import Worker
from tests.faults.faulty import FaultyBackend
from tests.worker.harness import Shift, Shop, Told, until


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "_FIRST_PAUSE", 0.001)


async def test_a_store_that_is_not_there_at_the_start_is_the_callers_affair() -> None:
    shop = Shop(backend=FaultyBackend(MemoryBackend()))
    shop.backend.fail("open")  # type: ignore[attr-defined]
    with pytest.raises(BackendUnavailableError):
        await Worker(shop.service).start()


@pytest.mark.parametrize("method", ["claim_many", "rescue_many", "sync_schedules", "prune_many"])
async def test_what_no_waiting_can_mend_ends_the_worker_with_that_error(method: str) -> None:
    backend = FaultyBackend(MemoryBackend())
    async with Shop(backend=backend) as shop:
        shop.task(lambda: None, name="tick", schedule={"cron": "@yearly"})
        backend.fail(method, error=SchemaVersionError("run `litestar queues migrate`"))
        async with Shift(shop) as shift:
            with pytest.raises(SchemaVersionError, match="migrate"):
                await shift.report()


async def test_a_broken_room_takes_the_running_tasks_with_it() -> None:
    backend = FaultyBackend(MemoryBackend())
    async with Shop(backend=backend) as shop:
        shop.task(asyncio.Event().wait, name="hang")
        await shop.service.enqueue("hang")
        async with Shift(shop) as shift:
            await until(lambda: shift.worker.running == 1)
            backend.fail("claim_many", error=SchemaVersionError())
            await shop.service.enqueue("hang")
            with pytest.raises(SchemaVersionError):
                await shift.report()
            await until(lambda: shift.worker.running == 0)


async def test_an_outage_of_the_store_is_told_once_however_many_rooms_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litestar_queues.worker.progress.ProgressKeeper.interval", 0.01)
    backend = FaultyBackend(MemoryBackend())
    async with Shop(backend=backend, worker_heartbeat_interval=0.01, worker_poll_interval=0.01) as shop:
        async with Shift(shop) as shift:
            backend.is_down = True
            await shop.told.nth(BackendDown)
            seen = len(backend.calls)
            await until(lambda: len(backend.calls) > seen + 30)
            assert bool(shift.worker.is_ready) is False
            assert shop.told.all(BackendUp) == []
            backend.is_down = False
            await shop.told.nth(BackendUp)
            assert shift.worker.is_ready
        assert [len(shop.told.all(kind)) for kind in (BackendDown, BackendUp)] == [1, 1]


def test_a_store_that_takes_reads_and_no_writes_is_one_outage_and_not_one_for_each_read() -> None:
    bus = EventBus()
    told = Told(bus)
    health = rooms.StoreHealth(bus)
    error = BackendUnavailableError()
    for _ in range(5):
        health.down("claimer", error)
        health.up("cancel-watch")
        health.down("pruner", error)
        health.up("cancel-watch")
    assert [len(told.all(kind)) for kind in (BackendDown, BackendUp)] == [2, 1]
    health.up("claimer")
    assert [len(told.all(kind)) for kind in (BackendDown, BackendUp)] == [2, 1]
    health.up("pruner")
    assert [len(told.all(kind)) for kind in (BackendDown, BackendUp)] == [2, 2]


def test_a_room_that_fails_and_succeeds_in_turns_is_one_outage_until_none_has_failed_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bus = EventBus()
    told = Told(bus)
    health = rooms.StoreHealth(bus)
    for _ in range(5):  # a claim that finds nothing succeeds on a full disk
        health.down("claimer", BackendUnavailableError())
        health.up("claimer")
    assert [len(told.all(kind)) for kind in (BackendDown, BackendUp)] == [3, 2]
    monkeypatch.setattr(rooms, "_QUIET", 0.0)
    health.up("claimer")
    assert [len(told.all(kind)) for kind in (BackendDown, BackendUp)] == [3, 3]


def test_a_room_that_fell_silent_does_not_keep_the_outage_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    health = rooms.StoreHealth(EventBus())
    for _ in range(2):
        health.down("leases", BackendUnavailableError())
        health.up("claimer")
    assert health.ok is False
    monkeypatch.setattr(rooms, "_QUIET", 0.0)
    health.up("claimer")
    assert bool(health.ok) is True
