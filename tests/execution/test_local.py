"""In: claims. Out: outcomes, whatever the task does: a task can fail, be stopped or hang, the worker cannot."""

from __future__ import annotations

import asyncio
import threading
from datetime import date, timedelta
from typing import Any, NoReturn
from uuid import UUID

import pytest

from litestar_queues.codec import decode_json
from litestar_queues.errors import NonRetryableError
from litestar_queues.execution.context import TaskExecutionContext, get_current_task_context, snooze
from litestar_queues.options import TaskOptions
from litestar_queues.outcomes import Completed, Failed, Outcome, Retried, Snoozed
from litestar_queues.retry import RetryBackoff
from tests.execution.attempts import attempt, failure

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


@pytest.mark.parametrize(
    ("value", "stored"), [(None, None), (0, b"0"), ("", b'""'), (date(2026, 1, 2), b'"2026-01-02"')]
)
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


@pytest.mark.parametrize("delay", [30, 30.0, timedelta(seconds=30)])
@pytest.mark.parametrize("is_async", [True, False])
async def test_a_task_that_asks_for_it_is_put_off_also_at_its_last_attempt(delay: Any, is_async: bool) -> None:
    def in_thread() -> None:
        snooze(delay, "the bank sleeps")

    async def on_loop() -> None:
        in_thread()

    outcome = await attempt(on_loop if is_async else in_thread, claim={"attempt": 3})
    assert outcome == Snoozed("the bank sleeps", 30.0, by_task=True)


@pytest.mark.parametrize(
    "delay", [0, -1, True, float("nan"), float("inf"), "30", None, timedelta(0), timedelta(days=40_000)]
)
async def test_a_delay_that_is_none_fails_the_task_for_good(delay: Any) -> None:
    error = failure(await attempt(lambda: snooze(delay)))
    assert error.type == "InvalidArgumentError"
    assert error.message == f"delay={delay!r} is not accepted: use a number of seconds above 0, or a timedelta"


class MuteError(Exception):
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
        (MuteError(), "MuteError"),
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
