"""In: callers that go away in the middle of a call. Out: statements that end all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from litestar_queues.backends.postgres import PostgresBackend
from litestar_queues.outcomes import Completed, Completion
from litestar_queues.records import Claim, QueueStatistics
from litestar_queues.status import TaskStatus
from tests.builders import make_record
from tests.contract.laws import assert_balanced, claim, claim_one, enqueue, finish, status_of
from tests.postgres.conftest import Area, blocked_pid
from tests.worker.harness import until_found, within


@pytest.fixture
async def blocked(backend: PostgresBackend, area: Area, admin: Any) -> Callable[[Callable[[], Awaitable[Any]]], Any]:
    """Gives the function that cancels a call while its statement waits in the server, and lets the statement go on."""
    blocker = await area.connect()

    async def cancel_amid(call: Callable[[], Awaitable[Any]]) -> None:
        async with blocker.transaction():
            await blocker.execute("lock table lq_live in access exclusive mode")
            calling = asyncio.ensure_future(call())
            await blocked_pid(admin, area)
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling

    return cancel_amid


Blocked = Callable[[Callable[[], Awaitable[Any]]], Awaitable[None]]


async def settled(backend: PostgresBackend, **expected: int) -> None:
    """Wait for these counts."""

    async def look() -> bool:
        return await backend.statistics() == QueueStatistics(**expected)

    assert await until_found(look)
    await assert_balanced(backend)


async def test_an_enqueue_whose_caller_has_gone_is_written(backend: PostgresBackend, blocked: Blocked) -> None:
    await blocked(lambda: backend.enqueue_many([make_record(), make_record(key="k")]))
    await settled(backend, pending=2)


async def test_a_finish_whose_caller_has_gone_is_written(backend: PostgresBackend, blocked: Blocked) -> None:
    record_id = await enqueue(backend)
    one = await claim_one(backend)
    await blocked(lambda: finish(backend, one, Completed(None)))
    await settled(backend, completed=1)
    assert await status_of(backend, record_id) is TaskStatus.COMPLETED


async def test_what_a_claim_got_whose_caller_has_gone_is_given_back(
    backend: PostgresBackend, blocked: Blocked, area: Area
) -> None:
    for _ in range(3):
        await enqueue(backend)
    other = await area.open()
    woken = asyncio.Event()
    other.subscribe(woken.set)
    async with within():
        await woken.wait()
    woken.clear()
    await blocked(lambda: claim(backend))
    async with within():
        await woken.wait()  # of what is there again
    await settled(other, pending=3)
    assert [one.attempt for one in await claim(other)] == [1, 1, 1]


async def test_a_claim_that_was_cancelled_before_its_turn_holds_nothing(
    backend: PostgresBackend, blocked: Blocked
) -> None:
    await enqueue(backend)

    async def two_claims() -> None:
        first, second = asyncio.ensure_future(claim(backend)), asyncio.ensure_future(claim(backend, worker_id="w:2"))
        await asyncio.sleep(0)
        second.cancel()
        try:
            await first
        finally:
            first.cancel()

    await blocked(two_claims)
    await settled(backend, pending=1)
    assert [one.attempt for one in await claim(backend)] == [1]


async def test_an_enqueue_that_was_cancelled_before_its_turn_is_left_out(
    backend: PostgresBackend, blocked: Blocked
) -> None:
    async def two_enqueues() -> None:
        first = asyncio.ensure_future(enqueue(backend))
        await asyncio.sleep(0.05)  # the second comes too late for the first one's statement
        second = asyncio.ensure_future(enqueue(backend))
        await asyncio.sleep(0)
        second.cancel()
        await first

    await blocked(two_enqueues)
    await settled(backend, pending=1)
    await enqueue(backend)
    await settled(backend, pending=2)


async def test_calls_cancelled_at_any_moment_leave_nothing_held_for_nobody(backend: PostgresBackend) -> None:
    got: list[Claim] = []

    async def produce() -> None:
        await backend.enqueue_many([make_record(), make_record()])

    async def work() -> None:
        got.extend(await claim(backend, limit=3))

    for moment in range(100):
        calls = [asyncio.ensure_future(call()) for call in (produce, work, produce, work)]
        await asyncio.wait(calls, timeout=moment / 20_000)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
    await backend.finish_many([Completion(one.id, one.token, Completed(None)) for one in got])

    async def nothing_is_held() -> bool:
        return not (await backend.statistics()).running

    assert await until_found(nothing_is_held)
    assert got
    await assert_balanced(backend)
    assert {one.attempt for one in await claim(backend, limit=1_000)} <= {1}


async def test_an_answer_that_comes_as_its_caller_goes_is_given_back(
    backend: PostgresBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    await enqueue(backend)
    claiming = asyncio.ensure_future(claim(backend))
    desk = backend._work
    together = desk._together

    async def then_cancel(*args: Any) -> None:
        await together(*args)
        claiming.cancel()  # the answer is there, and its caller has not run since

    monkeypatch.setattr(desk, "_together", then_cancel)
    with pytest.raises(asyncio.CancelledError):
        await claiming
    await settled(backend, pending=1)


async def test_closing_waits_for_what_has_begun(area: Area, admin: Any) -> None:
    backend, blocker = area.backend(), await area.connect()
    await backend.open()
    async with blocker.transaction():
        await blocker.execute("lock table lq_live in access exclusive mode")
        enqueuing = asyncio.ensure_future(enqueue(backend))
        await blocked_pid(admin, area)
        closing = asyncio.ensure_future(backend.close())
        await asyncio.sleep(0)
    async with within():
        record_id = await enqueuing
        await closing
    assert await status_of(await area.open(), record_id) is TaskStatus.PENDING
