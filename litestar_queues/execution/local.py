"""In: a claim. Out: its outcome, run in this process: a coroutine on the loop, a plain function in a thread."""

from __future__ import annotations

import asyncio
import contextvars
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from litestar_queues.codec import decode_payload, encode_result
from litestar_queues.correlation import take_correlation_id
from litestar_queues.errors import (
    InvalidArgumentError,
    NonRetryableError,
    QueueConfigurationError,
    TaskCancelledError,
    TaskFailedError,
    TaskSnoozedError,
    TaskTimeoutError,
)
from litestar_queues.execution.context import TaskExecutionContext, bind_context
from litestar_queues.outcomes import Cancelled, Completed, Failed, Outcome, Retried, RunError, Snoozed
from litestar_queues.retry import RetryBackoff
from litestar_queues.texts import without_passwords

if TYPE_CHECKING:
    from litestar_queues.config import QueueConfig
    from litestar_queues.dependencies import DependencyProvider
    from litestar_queues.records import Claim
    from litestar_queues.registry import TaskRegistry
    from litestar_queues.tasks import Task

__all__ = ("LocalExecution",)

_MAX_TRACEBACK = 8_000
_MAX_MESSAGE = 4_000
_NO_RETRY = (NonRetryableError, InvalidArgumentError)


class LocalExecution:
    """Runs tasks in this process.

    Args:
        config: For threads, limits and delays.
        registry: Where names are looked up.
        dependencies: Gives the provider of injected arguments.
    """

    def __init__(
        self, config: QueueConfig, registry: TaskRegistry, dependencies: Callable[[], DependencyProvider | None]
    ) -> None:
        self._config = config
        self._registry = registry
        self._dependencies = dependencies
        self._threads: ThreadPoolExecutor | None = None
        self._abandoned = 0

    @property
    def abandoned(self) -> int:
        """Threads that still run a plain function whose attempt is over."""
        return self._abandoned

    def close(self) -> None:
        """Let go of the threads; a function that still runs is not waited for."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    async def run(self, claim: Claim, context: TaskExecutionContext) -> Outcome:
        """Run one attempt: find the task, read its arguments, call it, judge how it ended."""
        task = self._registry.get(claim.task)
        if task is None:
            reason = f"no task {claim.task!r} is registered in worker {context.worker_id}"
            return Snoozed(reason, self._config.worker_unknown_task_delay)
        bind_context(context)
        take_correlation_id(context.correlation_id)
        try:
            args, kwargs = _read_arguments(task, claim, context)
            value = await self._call(task, claim, context, args, kwargs)
            return Completed(encode_result(value, max_bytes=self._config.max_payload_bytes))
        except (GeneratorExit, KeyboardInterrupt):
            raise
        # everything else, SystemExit too, is how the task ended and must not end the worker
        except BaseException as error:
            return _judge(error, task, claim, context)

    async def _call(
        self, task: Task[..., Any], claim: Claim, context: TaskExecutionContext, args: list[Any], kwargs: dict[str, Any]
    ) -> Any:
        dependencies = self._dependencies()
        missing = task.signature.missing(len(args), kwargs) if dependencies is not None else ()
        if claim.timeout is None and not missing:
            return await self._invoke(task, args, kwargs)
        async with _Timeout(task.name, claim.timeout):
            if dependencies is None or not missing:
                return await self._invoke(task, args, kwargs)
            failure: BaseException | None = None
            async with AsyncExitStack[bool]() as stack:
                try:
                    kwargs.update(await dependencies.enter(stack, task, context, missing))
                    return await self._invoke(task, args, kwargs)
                except BaseException as error:
                    failure = error
                    raise
            # a dependency swallowed it, as Litestar's own may after they rolled back
            assert failure is not None
            raise failure

    async def _invoke(self, task: Task[..., Any], args: list[Any], kwargs: Mapping[str, Any]) -> Any:
        if task.signature.is_async:
            return await task.function(*args, **kwargs)
        if not task.options.sync_to_thread:
            return task.function(*args, **kwargs)
        return await self._in_thread(partial(task.function, *args, **kwargs))

    async def _in_thread(self, call: Callable[[], Any]) -> Any:
        """Run a plain function in a thread; where it must stop, give it a moment to end by itself."""
        if self._threads is None:
            config = self._config
            prefix = config.sync_executor_thread_name_prefix
            self._threads = ThreadPoolExecutor(config.sync_executor_max_workers, prefix)
        running = self._threads.submit(contextvars.copy_context().run, _without_stop_iteration, call)
        future = asyncio.wrap_future(running)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if running.cancel():  # it had not begun; the asyncio future would say so of a running one, too
                raise
            try:
                await asyncio.wait({future}, timeout=self._config.worker_final_cancel_timeout)
            finally:  # also where it is cancelled a second time
                if not future.done():
                    self._abandon(future)
            if future.done():
                return future.result()
            raise

    def _abandon(self, future: asyncio.Future[Any]) -> None:
        self._abandoned += 1
        future.add_done_callback(self._came_back)

    def _came_back(self, future: asyncio.Future[Any]) -> None:
        self._abandoned -= 1
        future.exception()  # looked at, so that asyncio does not warn about it


def _without_stop_iteration(call: Callable[[], Any]) -> Any:
    """Raise what a coroutine would raise: no future can hold StopIteration, and who awaits it would wait for ever."""
    try:
        return call()
    except StopIteration as error:
        raise RuntimeError("the task raised StopIteration") from error


class _Timeout:
    """``asyncio.timeout`` that says in words what happened."""

    def __init__(self, task: str, seconds: float | None) -> None:
        self._task = task
        self._seconds = seconds
        self._scope = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._scope.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._scope.__aexit__(kind, error, trace)
        except TimeoutError as timeout:
            msg = f"task {self._task!r} ran longer than its timeout of {self._seconds:g} s"
            raise TaskTimeoutError(msg) from timeout


def _read_arguments(
    task: Task[..., Any], claim: Claim, context: TaskExecutionContext
) -> tuple[list[Any], dict[str, Any]]:
    args, kwargs = task.signature.convert(*decode_payload(claim.payload))
    if task.signature.context_parameter is not None:
        kwargs[task.signature.context_parameter] = context
    return args, kwargs


def _judge(error: BaseException, task: Task[..., Any], claim: Claim, context: TaskExecutionContext) -> Outcome:
    """Turn what the task raised into an outcome."""
    if isinstance(error, (asyncio.CancelledError, TaskCancelledError)):
        match context.stop_reason:
            case "requested":
                return Cancelled("cancelled on request while it ran")
            case "drain" | "lost":
                return context.cut_off()
            case None if isinstance(error, TaskCancelledError):
                return Cancelled(str(error))
            case None:
                error = _uncalled_for(error)
    if isinstance(error, TaskSnoozedError):
        return Snoozed(_message(error), error.delay, by_task=True)
    seen = RunError(type(error).__qualname__, _message(error), _format(error))
    if isinstance(error, _NO_RETRY) or claim.attempt >= claim.max_attempts:
        return Failed(seen)
    return Retried(seen, _backoff(task, claim).delay(claim.attempt))


def _backoff(task: Task[..., Any], claim: Claim) -> RetryBackoff:
    """The record's own policy, else the task's: also where somebody else wrote what cannot be read."""
    if claim.backoff:
        with suppress(QueueConfigurationError):
            return RetryBackoff.from_json(claim.backoff)
    return RetryBackoff.of(task.options.retry_backoff)


def _uncalled_for(error: BaseException) -> TaskFailedError:
    """A CancelledError that nobody asked for, such as one that leaked out of the task's own helpers."""
    failure = TaskFailedError("the task raised CancelledError although nobody had cancelled it")
    failure.__cause__ = error
    return failure


def _message(error: BaseException) -> str:
    try:
        text = without_passwords(str(error))
    except Exception:
        return "(its message cannot be read)"
    return text if len(text) <= _MAX_MESSAGE else text[:_MAX_MESSAGE] + " ..."


def _format(error: BaseException) -> str:
    text = without_passwords("".join(traceback.format_exception(error)))
    return text if len(text) <= _MAX_TRACEBACK else "...\n" + text[-_MAX_TRACEBACK:]
