"""In: claims. Out: outcomes, whatever the task does: a task can fail, be stopped or hang, the worker cannot."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import date
from typing import Any, NoReturn
from uuid import UUID

import pytest

from litestar_queues.codec import decode_json, encode_payload
from litestar_queues.config import QueueConfig
from litestar_queues.errors import NonRetryableError, TaskCancelledError
from litestar_queues.execution.context import StopReason, TaskExecutionContext, get_current_task_context
from litestar_queues.execution.local import LocalExecution
from litestar_queues.options import TaskOptions
from litestar_queues.outcomes import Cancelled, Completed, Failed, Outcome, Released, Retried, RunError, Snoozed
from litestar_queues.records import Claim
from litestar_queues.registry import Task, TaskRegistry
from litestar_queues.retry import RetryBackoff


class Dependencies:
    """What a provider of dependencies does, as far as an attempt sees it."""

    def __init__(self, give: Callable[[AsyncExitStack], Mapping[str, Any]]) -> None:
        self.give = give
        self.names = None
        self.asked: list[tuple[str, ...]] = []

    async def enter(
        self, stack: AsyncExitStack, task: Task[..., Any], context: TaskExecutionContext, missing: tuple[str, ...]
    ) -> Mapping[str, Any]:
        self.asked.append(missing)
        return self.give(stack)


class Attempt:
    """One attempt of a task, to be started, stopped and awaited."""

    def __init__(
        self,
        function: Callable[..., Any],
        *args: Any,
        options: TaskOptions | None = None,
        dependencies: Any = None,
        claim: Mapping[str, Any] | None = None,
        config: QueueConfig | None = None,
        **kwargs: Any,
    ) -> None:
        registry = TaskRegistry()
        registry.register(Task(function, name="send", options=options))
        payload = encode_payload(args, kwargs, task="send", max_bytes=10_000)
        needed: dict[str, Any] = dict.fromkeys(Claim._fields)
        needed |= {"id": UUID(int=1), "token": 1, "task": "send", "queue": "mail", "payload": payload}
        needed |= {"attempt": 1, "max_attempts": 3, "waited": 0.0}
        self.claim = Claim(**needed | dict(claim or {}))
        self.context = TaskExecutionContext(self.claim, worker_id="host-1", loop=asyncio.get_running_loop())
        self.execution = LocalExecution(config or FAST, registry, lambda: dependencies)
        self.run = asyncio.create_task(self.execution.run(self.claim, self.context))

    def stop(self, reason: StopReason) -> None:
        self.context.ask_to_stop(reason)
        self.run.cancel()

    async def end(self) -> Outcome:
        try:
            return await self.run
        finally:
            self.execution.close()


FAST = QueueConfig(worker_final_cancel_timeout=0.05, max_payload_bytes=1_000, worker_unknown_task_delay=7)
PATIENT = QueueConfig(worker_final_cancel_timeout=30)


async def attempt(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Outcome:
    return await Attempt(function, *args, **kwargs).end()


def failure(outcome: Outcome) -> RunError:
    assert isinstance(outcome, (Failed, Retried))
    return outcome.error


# running


async def test_a_coroutine_runs_on_the_loop_and_a_plain_function_in_a_thread() -> None:
    async def on_loop() -> bool:
        return threading.current_thread() is threading.main_thread()

    def in_thread() -> str:
        return threading.current_thread().name

    def on_loop_by_choice() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert await attempt(on_loop) == Completed(b"true")
    assert await attempt(on_loop_by_choice, options=TaskOptions(sync_to_thread=False)) == Completed(b"true")
    assert decode_json((await attempt(in_thread)).result).startswith("litestar-queues")  # type: ignore[union-attr]


@pytest.mark.parametrize(("value", "stored"), [(None, None), (0, b"0"), ("", b'""'), (date(2026, 1, 2), b'"2026-01-02"')])
async def test_what_a_task_returns_is_its_result(value: Any, stored: bytes | None) -> None:
    assert await attempt(lambda: value) == Completed(stored)


async def test_arguments_arrive_in_their_types_and_the_context_with_them() -> None:
    async def send(context: TaskExecutionContext, at: date, *, to: UUID) -> list[Any]:
        assert get_current_task_context() is context
        return [context.task_id, at.year, to.int]

    outcome = await attempt(send, date(2026, 1, 2), to=UUID(int=7))
    assert outcome == Completed(f'["{UUID(int=1)}",2026,7]'.encode())


async def test_the_context_is_seen_from_inside_the_thread() -> None:
    def send() -> int:
        context = get_current_task_context()
        assert context is not None
        return context.task_id.int

    assert await attempt(send) == Completed(b"1")
    assert get_current_task_context() is None


# failing


async def test_a_failure_is_kept_with_type_message_and_traceback_and_tried_again() -> None:
    async def send() -> None:
        raise LookupError("no such address")

    outcome = await attempt(send, options=TaskOptions(retry_backoff=RetryBackoff.of(5)))
    assert isinstance(outcome, Retried)
    assert (outcome.error.type, outcome.error.message, outcome.delay) == ("LookupError", "no such address", 5)
    assert 'raise LookupError("no such address")' in outcome.error.traceback


@pytest.mark.parametrize(("attempt_number", "kind"), [(1, Retried), (2, Retried), (3, Failed), (4, Failed)])
async def test_the_last_attempt_fails_for_good(attempt_number: int, kind: type[Outcome]) -> None:
    outcome = await attempt(lambda: 1 / 0, claim={"attempt": attempt_number})
    assert type(outcome) is kind
    assert failure(outcome).type == "ZeroDivisionError"


async def test_the_delay_grows_by_the_policy_of_the_record_else_of_the_task() -> None:
    own = RetryBackoff(initial=100, multiplier=3, max_delay=1e6, jitter=0)
    options = TaskOptions(retry_backoff=RetryBackoff(initial=10, jitter=0))
    by_record = await attempt(lambda: 1 / 0, options=options, claim={"backoff": own.to_json(), "attempt": 2})
    by_task = await attempt(lambda: 1 / 0, options=options, claim={"attempt": 2})
    by_default = await attempt(lambda: 1 / 0)
    assert [getattr(outcome, "delay", None) for outcome in (by_record, by_task)] == [300, 20]
    assert isinstance(by_default, Retried)
    assert 0.9 <= by_default.delay <= 1.1


async def test_non_retryable_errors_fail_at_once() -> None:
    async def send() -> None:
        raise NonRetryableError("the card has expired")

    outcome = await attempt(send)
    assert isinstance(outcome, Failed)
    assert (outcome.error.type, outcome.error.message) == ("NonRetryableError", "the card has expired")


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def raise_error(error: BaseException) -> NoReturn:
    raise error


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (SystemExit(3), "SystemExit"),
        (StopIteration(), "RuntimeError"),
        (Mute(), "Mute"),
        (TimeoutError("its own"), "TimeoutError"),
        (ExceptionGroup("several", [ValueError("one")]), "ExceptionGroup"),
        (asyncio.CancelledError(), "TaskFailedError"),
    ],
)
async def test_whatever_a_task_raises_ends_the_run_and_not_the_worker(
    error: BaseException, kind: str, is_async: bool
) -> None:
    async def send() -> None:
        raise_error(error)

    outcome = await attempt(send if is_async else lambda: raise_error(error))
    assert isinstance(outcome, Retried)
    assert outcome.error.type == kind


async def test_a_very_long_traceback_is_shortened_from_the_front() -> None:
    error = failure(await attempt(lambda: raise_error(ValueError("x" * 20_000 + "the end"))))
    assert len(error.traceback) < 10_000
    assert error.traceback.startswith("...\n")
    assert error.traceback.rstrip().endswith("the end")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "the result cannot be stored as JSON: objects of type object are not supported"),
        (float("nan"), "the result cannot be stored as JSON: JSON has neither NaN nor infinity"),
        ("x" * 1_000, "the result: 1,002 bytes of JSON, more than the 1,000 that are accepted (max_payload_bytes)"),
    ],
)
async def test_a_result_that_cannot_be_stored_fails_the_task_with_that_reason(value: Any, message: str) -> None:
    outcome = await attempt(lambda: value)
    assert isinstance(outcome, Failed)
    assert outcome.error.message.startswith(message)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"\xff", "the stored arguments cannot be read"),
        (b'{"to":1}', "the stored arguments cannot be read"),
        (b'[["yesterday"],{}]', "task 'send': argument 'at' does not fit its annotation: "),
    ],
)
async def test_arguments_that_cannot_be_read_fail_the_task_at_once(payload: bytes, message: str) -> None:
    def send(at: date) -> None: ...

    outcome = await attempt(send, claim={"payload": payload})
    assert isinstance(outcome, Failed)
    assert outcome.error.message.startswith(message)


async def test_an_unknown_task_is_given_back_with_a_delay() -> None:
    outcome = await attempt(lambda: None, claim={"task": "added.later"})
    assert outcome == Snoozed("no task 'added.later' is registered in worker host-1", 7)


# stopping


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


async def test_a_task_may_end_itself_as_cancelled() -> None:
    assert await attempt(lambda: raise_error(TaskCancelledError("nothing to do"))) == Cancelled("nothing to do")


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


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


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

    @asynccontextmanager
    async def session(stack: AsyncExitStack) -> AsyncIterator[None]:
        yield
        steps.append("left")

    def give(stack: AsyncExitStack) -> Mapping[str, Any]:
        stack.push_async_callback(asyncio.sleep, 0)
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
        stack.push(lambda *error: True)
        return {}

    outcome = await attempt(lambda x=0: raise_error(ValueError("it failed")), dependencies=Dependencies(give))
    assert failure(outcome).message == "it failed"
    outcome = await attempt(lambda: 1, dependencies=Dependencies(give))
    assert outcome == Completed(b"1")


async def test_a_dependency_that_fails_is_a_failure_of_the_attempt() -> None:
    def give(stack: AsyncExitStack) -> Mapping[str, Any]:
        raise ConnectionError("refused")

    outcome = await attempt(lambda session: None, dependencies=Dependencies(give))
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
