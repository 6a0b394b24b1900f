"""In: attempts that end in every way. Out: dependencies that are closed after each, and know how it ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from litestar.di import Provide

from litestar_queues.execution.context import TaskExecutionContext
from litestar_queues.status import TaskStatus
from tests.service.providing import provided, run
from tests.worker.harness import PATIENCE, Shift, Shop, until


class Session:
    """A dependency that notes how each attempt left it."""

    def __init__(self) -> None:
        self.story: list[str] = []

    async def provide(self) -> AsyncIterator[str]:
        self.story.append("opened")
        try:
            yield "session"
        except BaseException as error:
            self.story.append(f"rolled back: {type(error).__name__}")
            raise
        else:
            self.story.append("committed")
        finally:
            self.story.append("closed")


async def test_it_is_committed_and_closed_after_the_task_returned() -> None:
    session = Session()
    async with provided(session=Provide(session.provide)) as shop:
        await run(shop, lambda session: session.upper())
        assert session.story == ["opened", "committed", "closed"]


async def test_each_attempt_has_its_own_and_a_failure_rolls_it_back() -> None:
    session = Session()

    def fail(session: str, context: TaskExecutionContext) -> None:
        if context.attempt == 1:
            raise ValueError

    async with provided(session=Provide(session.provide)) as shop:
        handle = await run(shop, fail, retries=1, retry_backoff=0)
        assert handle.status is TaskStatus.COMPLETED
        assert session.story == ["opened", "rolled back: ValueError", "closed", "opened", "committed", "closed"]


@pytest.mark.parametrize("how", ["cancel", "timeout"])
async def test_a_cancelled_attempt_closes_it_too(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr("litestar_queues.worker.leases.CancelWatch.interval", 0.01)
    session = Session()

    async def forever(session: str) -> None:
        await until(lambda: False)

    async with provided(session=Provide(session.provide)) as shop:
        task = shop.task(forever, name="task", timeout=0.02 if how == "timeout" else None)
        handle = await shop.service.enqueue(task)
        async with Shift(shop) as shift:
            if how == "cancel":
                await until(lambda: shift.worker.running and session.story)
                await shop.service.cancel_task(handle.id, include_running=True)
            await handle.wait(PATIENCE)
        assert handle.status is (TaskStatus.CANCELLED if how == "cancel" else TaskStatus.FAILED)
        assert session.story == ["opened", "rolled back: CancelledError", "closed"]


async def test_a_clean_up_that_fails_fails_the_attempt() -> None:
    async def session() -> AsyncIterator[str]:
        yield "session"
        raise ConnectionError("the commit was refused")

    async with provided(session=Provide(session)) as shop:
        handle = await run(shop, lambda session: session)
        assert (handle.status, handle.error) == (TaskStatus.FAILED, "ConnectionError: the commit was refused")


async def test_of_several_those_that_were_opened_are_closed_where_one_cannot_be() -> None:
    session = Session()

    async def broken(session: str) -> str:
        raise ConnectionError("no such host")

    async with provided(session=Provide(session.provide), broken=Provide(broken)) as shop:
        handle = await run(shop, lambda broken: broken)
        assert handle.error == "ConnectionError: no such host"
        assert session.story == ["opened", "rolled back: ConnectionError", "closed"]


def resolver_leaves(story: list[str]) -> Callable[..., Any]:
    @asynccontextmanager
    async def resolve(task: Any, context: TaskExecutionContext) -> AsyncIterator[Mapping[str, Any]]:
        try:
            yield {"db": 1}
        finally:
            story.append("left")

    return resolve


@pytest.mark.parametrize("function", [lambda db: db, lambda db: db / 0])
async def test_a_resolvers_context_manager_is_left_when_the_attempt_ends(function: Callable[..., Any]) -> None:
    story: list[str] = []
    async with Shop(task_dependency_resolver=resolver_leaves(story)) as shop:
        await run(shop, function)
        assert story == ["left"]
