"""In: changes. Out: a wake-up on the subscriber's loop soon after; a saving that may be spurious."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from uuid import UUID

import pytest

from litestar_queues.backends.base import QueueBackend
from litestar_queues.outcomes import Completed, Completion, Failed
from litestar_queues.records import Claim
from tests.builders import FakeClock, make_error, make_record, make_schedule, make_tick
from tests.contract.laws import claim_one, enqueue, run_one
from tests.contract.test_schedules import batch_of

PATIENCE = 5.0
QUIET = 0.02
"""Longer than a store that polls takes for the first look, which may wake for nothing."""


class Scene(NamedTuple):
    """Something for each verb to change."""

    waiting: UUID
    failed: UUID
    held: Claim


CHANGES: dict[str, Callable[[QueueBackend, Scene], Awaitable[object]]] = {
    "enqueue": lambda it, _: it.enqueue_many([make_record()]),
    "cancel": lambda it, scene: it.cancel_many([scene.waiting]),
    "retry": lambda it, scene: it.retry_many([scene.failed]),
    "finish": lambda it, scene: it.finish_many([Completion(scene.held.id, scene.held.token, Completed(None))]),
    "rescue": lambda it, _: it.rescue_many(limit=9, max_lost_leases=3),
    "predecessor": lambda it, _: it.rescue_predecessor("w:2", max_lost_leases=3),
    "expire": lambda it, _: it.claim_many(worker_id="w:1", queues=["expiring"], limit=9, lease=60),
    "fire": lambda it, _: it.fire_ticks(batch_of(make_tick())),
    "pause": lambda it, _: it.pause_schedule("report", paused=True),
}


async def set_the_scene(backend: QueueBackend, clock: FakeClock) -> Scene:
    await enqueue(backend, queue="held")
    held = await claim_one(backend, "held", worker_id="w:1", lease=1)
    await enqueue(backend, queue="expiring", expires_in=1)
    await backend.sync_schedules([make_schedule()])
    clock.advance(1)
    return Scene(await enqueue(backend), await run_one(backend, Failed(make_error())), held)


@pytest.mark.parametrize("verb", CHANGES)
async def test_each_change_that_rooms_wait_for_wakes_every_subscriber(
    backend: QueueBackend, clock: FakeClock, verb: str
) -> None:
    scene = await set_the_scene(backend, clock)
    first, second = asyncio.Event(), asyncio.Event()
    backend.subscribe(first.set)
    backend.subscribe(second.set)
    await asyncio.sleep(QUIET)
    first.clear()
    second.clear()
    await CHANGES[verb](backend, scene)
    async with asyncio.timeout(PATIENCE):
        await first.wait()
        await second.wait()


async def test_a_wake_up_comes_on_the_event_loop(backend: QueueBackend) -> None:
    woken: asyncio.Future[tuple[asyncio.AbstractEventLoop, int]] = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result((asyncio.get_running_loop(), threading.get_ident()))

    backend.subscribe(wake)
    await enqueue(backend)
    async with asyncio.timeout(PATIENCE):
        assert await woken == (asyncio.get_running_loop(), threading.get_ident())


async def test_an_ended_subscription_hears_nothing_more(backend: QueueBackend) -> None:
    ended: list[None] = []
    going = asyncio.Event()
    end = backend.subscribe(lambda: ended.append(None))
    end()
    end()
    backend.subscribe(going.set)
    await enqueue(backend)
    async with asyncio.timeout(PATIENCE):
        await going.wait()
    await asyncio.sleep(QUIET)
    assert ended == []


async def test_a_subscription_that_ends_between_change_and_wake_up_is_not_called(backend: QueueBackend) -> None:
    woken: list[None] = []
    end = backend.subscribe(lambda: woken.append(None))
    changing = asyncio.ensure_future(enqueue(backend))
    changing.add_done_callback(lambda _: end())
    await changing
    before = len(woken)
    await asyncio.sleep(QUIET)
    assert len(woken) == before


async def test_a_closed_backend_wakes_nobody(backend: QueueBackend) -> None:
    woken: list[None] = []
    backend.subscribe(lambda: woken.append(None))
    await backend.close()
    await backend.open()
    before = len(woken)
    await enqueue(backend)
    await asyncio.sleep(QUIET)
    assert len(woken) == before


async def test_a_subscriber_hears_of_another_backends_changes_where_the_store_is_shared(
    backend: QueueBackend, make_backend: Callable[[], QueueBackend]
) -> None:
    other = make_backend()
    await other.open()
    await enqueue(backend, queue="before")
    woken = asyncio.Event()
    backend.subscribe(woken.set)
    await asyncio.sleep(QUIET)
    woken.clear()
    await enqueue(other)
    if backend.capabilities.shared:
        async with asyncio.timeout(PATIENCE):
            await woken.wait()
    else:
        await asyncio.sleep(QUIET)
        assert not woken.is_set()
    await other.close()


async def test_a_record_that_becomes_due_is_told_by_the_claim_not_by_a_wake_up(
    backend: QueueBackend, clock: FakeClock
) -> None:
    await enqueue(backend, delay=1)
    woken = asyncio.Event()
    backend.subscribe(woken.set)
    await asyncio.sleep(10 * QUIET)  # until it listens, on a busy machine too
    woken.clear()
    batch = await backend.claim_many(worker_id="w:1", queues=(), limit=1, lease=60)
    assert batch.next_due_in == 1.0
    clock.advance(1)
    await asyncio.sleep(QUIET)
    assert not woken.is_set()
