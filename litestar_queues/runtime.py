"""In: an app's queue service and the options of ``litestar queues run``. Out: a worker process, and its exit code."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from litestar_queues.errors import BackendUnavailableError, QueueError
from litestar_queues.health import serve_health
from litestar_queues.rooms import pause_after
from litestar_queues.signals import CANCELLED, CLEAN, SIGNALS, ExitGuard, SignalDesk, end_process
from litestar_queues.worker import Worker

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from litestar_queues.service import QueueService
    from litestar_queues.worker.worker import DrainReport

__all__ = ("WorkerOptions", "run_worker")

_MARGIN = 4.0
"""Seconds beyond the drain's own timeouts after which the process is ended from outside; promised are 5."""
_LOST_OUTCOMES = (
    "the drain could not store the outcomes of {0} tasks, since the store cannot be reached: "
    "their leases run out, and they run again"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """What the command line sets; ``None``: as the config says."""

    queues: Sequence[str] | None = None
    max_concurrency: int | None = None
    drain_timeout: float | None = None


def run_worker(
    service: QueueService,
    options: WorkerOptions,
    *,
    lifespan: Callable[[], AbstractAsyncContextManager[Any]] | None,
    announce: Callable[[], None],
    signals: SignalDesk = SIGNALS,
) -> int:
    """Run a worker in this process until a signal ends it.

    Args:
        service: The app's queue.
        options: From the command line.
        lifespan: Entered before the worker starts and left after it has drained; ``None``: nothing.
        announce: Called once the worker claims.
        signals: Where signals arrive.

    Returns:
        0 after a clean drain, 2 where the drain cancelled tasks, also where the store did not take them back.

    Raises:
        QueueError: The worker could not start, or could not go on.
    """
    gc.collect()
    gc.freeze()  # what the app's imports made stays anyway: looking through it again and again takes 20 ms at a time
    process = _WorkerProcess(service, options, announce, signals)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        code = runner.run(process.main(lifespan))
        if process.must_not_wait:  # the runner would wait for tasks and threads that do not end
            end_process(code)
    return code


class _WorkerProcess:
    def __init__(
        self, service: QueueService, options: WorkerOptions, announce: Callable[[], None], signals: SignalDesk
    ) -> None:
        self._service = service
        self._options = options
        self._announce = announce
        self._signals = signals
        self._guard = ExitGuard()
        self._worker: Worker | None = None
        self.must_not_wait = False

    async def main(self, lifespan: Callable[[], AbstractAsyncContextManager[Any]] | None) -> int:
        """Start, work, drain."""
        loop, main = asyncio.get_running_loop(), asyncio.current_task()
        assert main is not None

        def listener(count: int) -> None:
            self._arm_guard(count)
            loop.call_soon_threadsafe(self._on_signal, count, main)

        with self._signals.listen(listener):
            try:
                self._signals.code = await self._work(lifespan)
                return self._signals.code
            except asyncio.CancelledError:
                if not self._signals.received:
                    raise
                return CLEAN  # told to stop while it was starting: nothing was held
            except BaseExceptionGroup as errors:
                raise _only(errors) from None

    async def _work(self, lifespan: Callable[[], AbstractAsyncContextManager[Any]] | None) -> int:
        async with AsyncExitStack() as stack:
            if lifespan is not None:
                await stack.enter_async_context(lifespan())
            stack.push_async_callback(self._service.close)
            options = self._options
            worker = Worker(
                self._service,
                queues=options.queues,
                max_concurrency=options.max_concurrency,
                drain_timeout=options.drain_timeout,
            )
            await stack.enter_async_context(serve_health(worker))
            await self._open_patiently(worker)
            self._worker = worker
            report = await self._run(worker)
            self.must_not_wait = report.abandoned > 0
            self._guard.code = CANCELLED if report.cancelled else CLEAN
        if report.unsaved and not report.cancelled:
            raise QueueError(_LOST_OUTCOMES.format(report.unsaved))
        return self._guard.code

    async def _run(self, worker: Worker) -> DrainReport:
        async with asyncio.TaskGroup() as group:
            announcing = group.create_task(self._announce_start(worker))
            try:
                return await worker.start()
            finally:
                announcing.cancel()

    async def _announce_start(self, worker: Worker) -> None:
        await worker.wait_started()
        self._announce()

    async def _open_patiently(self, worker: Worker) -> None:
        """Open the store; one that cannot be reached is waited for, up to ``startup_timeout``."""
        deadline = time.monotonic() + self._service.config.startup_timeout
        failures = 0
        while True:
            try:
                await self._service.open()
            except BackendUnavailableError as error:
                worker.health.down("start", error)
                failures += 1
                if time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(min(pause_after(failures), max(0.0, deadline - time.monotonic())))
            else:
                worker.health.up("start")
                return

    def _arm_guard(self, count: int) -> None:
        """See to it that the process ends, even where the loop is blocked and never hears of the signal."""
        config, drain_timeout = self._service.config, self._options.drain_timeout
        seconds = config.worker_final_cancel_timeout + _MARGIN
        if count == 1:
            seconds += config.worker_graceful_shutdown_timeout if drain_timeout is None else drain_timeout
        self._guard.end_within(seconds)

    def _on_signal(self, count: int, main: asyncio.Task[Any]) -> None:
        if self._worker is None:
            main.cancel()
        else:
            self._worker.stop(force=count > 1)


def _only(error: BaseException) -> BaseException:
    """What is in the groups in which Litestar's lifespan wraps an error that passes through it."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop of uvloop where that is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
