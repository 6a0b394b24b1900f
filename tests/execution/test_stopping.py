"""In: runs that end before their time, and what they hold. Out: the outcome that the reason asks for, all let go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any, NoReturn

import pytest

from litestar_queues.config import QueueConfig
from litestar_queues.errors import TaskCancelledError
from litestar_queues.execution.context import StopReason, TaskExecutionContext
from litestar_queues.outcomes import Cancelled, Completed, Outcome, Released, Retried
from tests.execution.attempts import FAST, PATIENT, Attempt, Dependencies, attempt, failure


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - no thread can set an event of the loop
            await asyncio.sleep(0.001)


async def forever() -> None:
    await asyncio.Event().wait()


async def until_asked(context: TaskExecutionContext) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        context.raise_if_cancelled()


@pytest.mark.parametrize("function", [forever, until_asked])
@pytest.mark.parametrize(
    ("reason", "outcome"),
    [("requested", Cancelled("cancelled on request while it ran")), ("drain", Released()), ("lost", Released())],
)
async def test_a_stopped_run_ends_as_its_reason_says(
    function: Callable[..., Any], reason: StopReason, outcome: Outcome
) -> None:
    running = Attempt(function)
    await asyncio.sleep(0)
    running.stop(reason)
    assert await running.end() == outcome


@pytest.mark.parametrize("function", [forever, until_asked])
async def test_a_run_of_what_runs_at_most_once_fails_where_a_drain_cuts_it_off(function: Callable[..., Any]) -> None:
    running = Attempt(function, claim={"at_most_once": True})
    await asyncio.sleep(0)
    running.stop("drain")
    error = failure(await running.end())
    assert (error.type, error.message) == ("RunCutOff", "the run was cut off, and its record runs at most once")


async def test_a_task_may_end_itself_as_cancelled() -> None:
    def send() -> NoReturn:
        raise TaskCancelledError("nothing to do")

    assert await attempt(send) == Cancelled("nothing to do")


async def test_a_timeout_says_so_in_words() -> None:
    outcome = await attempt(forever, claim={"timeout": 0.01})
    assert isinstance(outcome, Retried)
    assert outcome.error.type == "TaskTimeoutError"
    assert outcome.error.message == "task 'send' ran longer than its timeout of 0.01 s"


async def test_a_plain_function_that_asks_can_stop_in_its_thread() -> None:
    entered = threading.Event()

    def send(context: TaskExecutionContext) -> None:
        entered.set()
        while True:
            context.raise_if_cancelled()

    running = Attempt(send, config=PATIENT)
    await asyncio.to_thread(entered.wait)
    running.stop("requested")
    assert await running.end() == Cancelled("cancelled on request while it ran")
    assert running.execution.abandoned == 0


async def test_a_plain_function_that_ends_in_its_grace_has_completed() -> None:
    entered, release = threading.Event(), threading.Event()

    def send() -> str:
        entered.set()
        release.wait()
        return "sent"

    running = Attempt(send, config=PATIENT)
    await asyncio.to_thread(entered.wait)
    running.stop("drain")
    await asyncio.sleep(0)
    release.set()
    assert await running.end() == Completed(b'"sent"')


@pytest.mark.parametrize("how", ["timeout", "cancel", "cancel twice"])
async def test_a_thread_that_does_not_end_is_abandoned_and_counted_until_it_does(how: str) -> None:
    entered, release = threading.Event(), threading.Event()

    def send() -> None:
        entered.set()
        release.wait()
        raise ValueError("too late")

    config = PATIENT if how == "cancel twice" else FAST
    running = Attempt(send, config=config, claim={"timeout": 0.05 if how == "timeout" else None})
    try:
        await asyncio.to_thread(entered.wait)
        for _ in range(["timeout", "cancel", "cancel twice"].index(how)):
            running.stop("drain")
            await asyncio.sleep(0)
        outcome = await running.end()
        assert running.execution.abandoned == 1
    finally:
        release.set()
    assert failure(outcome).type == "TaskTimeoutError" if how == "timeout" else outcome == Released()
    await eventually(lambda: running.execution.abandoned == 0)


async def test_a_function_still_waiting_for_a_thread_never_begins_once_it_is_stopped() -> None:
    release, begun = threading.Event(), list[int]()

    def send(number: int) -> None:
        begun.append(number)
        release.wait()

    first = Attempt(send, 1, config=QueueConfig(sync_executor_max_workers=1))
    await eventually(lambda: begun == [1])
    second = Attempt(send, 2)
    second.execution._threads = first.execution._threads
    await asyncio.sleep(0)
    second.stop("drain")
    try:
        assert await second.run == Released()
    finally:
        release.set()
    assert await first.end() == Completed(None)
    assert begun == [1]


# dependencies


async def test_dependencies_fill_what_the_call_left_open_and_are_left_when_it_ends() -> None:
    steps: list[str] = []

    def give(stack: AsyncExitStack) -> Mapping[str, Any]:
        stack.callback(steps.append, "left")
        return {"session": "a session"}

    async def send(to: str, session: str, copy: bool = False) -> list[Any]:
        steps.append("ran")
        return [to, session, copy]

    dependencies = Dependencies(give)
    assert await attempt(send, "ada", dependencies=dependencies) == Completed(b'["ada","a session",false]')
    assert await attempt(send, "ada", session="mine", copy=True, dependencies=dependencies) == Completed(
        b'["ada","mine",true]'
    )
    assert dependencies.asked == [("session", "copy")]
    assert steps == ["ran", "left", "ran"]


async def test_a_dependency_that_swallows_the_failure_does_not_hide_it() -> None:
    def give(stack: AsyncExitStack) -> Mapping[str, Any]:
        stack.enter_context(suppress(Exception))
        return {}

    def send(error: str = "") -> NoReturn:
        raise ValueError(error)

    outcome = await attempt(send, dependencies=Dependencies(give))
    assert failure(outcome).type == "ValueError"


async def test_a_dependency_that_fails_is_a_failure_of_the_attempt() -> None:
    def give(stack: AsyncExitStack) -> Mapping[str, Any]:
        raise ConnectionError("refused")

    def send(session: str) -> None: ...

    outcome = await attempt(send, dependencies=Dependencies(give))
    assert isinstance(outcome, Retried)
    assert (outcome.error.type, outcome.error.message) == ("ConnectionError", "refused")


async def test_the_timeout_covers_dependencies_and_leaves_them() -> None:
    left: list[str] = []

    def give(stack: AsyncExitStack) -> Mapping[str, Any]:
        stack.callback(left.append, "left")
        return {}

    async def send(session: str = "") -> None:
        await forever()

    outcome = await attempt(send, dependencies=Dependencies(give), claim={"timeout": 0.01})
    assert failure(outcome).type == "TaskTimeoutError"
    assert left == ["left"]
