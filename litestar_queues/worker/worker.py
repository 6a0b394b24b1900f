"""In: a service. Out: its records, worked on in this process until it is told to stop, then a drain.

A drain is: stop claiming, wait, cancel, give back what was cancelled, store the last outcomes, leave.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from litestar_queues.events import WorkerDraining, WorkerStarted, WorkerStopped
from litestar_queues.ids import new_worker_id
from litestar_queues.rooms import StoreHealth, wait_for_any
from litestar_queues.worker.parts import WorkerParts
from litestar_queues.worker.wakeups import WakeUpWatch

if TYPE_CHECKING:
    from litestar_queues.service import QueueService
    from litestar_queues.worker.canary import CanaryWatch

__all__ = ("DrainReport", "Worker")

_FLUSH_PATIENCE = 2.5
"""Seconds for storing the last outcomes; with the wait for cancelled tasks it keeps a drain within its promise."""
_LEAVE_PATIENCE = 1.0


@dataclass(frozen=True, slots=True)
class DrainReport:
    """How a worker left."""

    cancelled: int
    """Runs that the drain cancelled and gave back."""
    abandoned: int
    """Those of them that did not even end when cancelled; their code may still run in this process."""
    unsaved: int
    """Outcomes that could not be stored: their leases run out, and the records run again elsewhere."""


class Worker:
    """One process working on records.

    Args:
        service: Where the records are; it is opened if it is not.
        queues: Only these; ``None``: as the service's config says.
        max_concurrency: Tasks at a time; ``None``: as the config says.
        drain_timeout: Seconds that a drain waits for running tasks; ``None``: as the config says.
    """

    def __init__(
        self,
        service: QueueService,
        *,
        queues: Sequence[str] | None = None,
        max_concurrency: int | None = None,
        drain_timeout: float | None = None,
    ) -> None:
        config = service.config
        self.service = service
        self.config = config
        self.queues = tuple(config.worker_queues if queues is None else queues)
        self.max_concurrency = config.worker_max_concurrency if max_concurrency is None else max_concurrency
        self.drain_timeout = config.worker_graceful_shutdown_timeout if drain_timeout is None else drain_timeout
        self.worker_id = new_worker_id(config.worker_name)
        self.health = StoreHealth(service.bus)
        self.report: DrainReport | None = None
        """Set once the worker has left."""
        self._parts: WorkerParts | None = None
        self._created_at = time.monotonic()
        self._started = asyncio.Event()
        self._stopping = asyncio.Event()
        self._forced = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        """Whether it claims: a first claim got through, the store is there, and it does not drain."""
        return self._started.is_set() and not self._stopping.is_set() and self.health.ok

    @property
    def is_draining(self) -> bool:
        """Whether it has been told to stop."""
        return self._stopping.is_set()

    @property
    def up_for(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._created_at

    @property
    def running(self) -> int:
        """Runs under way."""
        return 0 if self._parts is None else self._parts.executor.running_count

    @property
    def idle_for(self) -> float:
        """Seconds for which the claiming loop has not gone round although it could; about the poll interval at most."""
        return 0.0 if self._parts is None or self.is_draining else self._parts.claimers[0].idle_for

    @property
    def poll_interval(self) -> float:
        """Seconds between two looks for work where no wake-up arrives."""
        return self.config.worker_poll_interval or self.service.backend.poll_interval

    @property
    def canary(self) -> CanaryWatch | None:
        """What this worker knows of the canary."""
        return None if self._parts is None else self._parts.canary

    async def wait_started(self) -> None:
        """Return once a first claim got through."""
        await self._started.wait()

    def stop(self, *, force: bool = False) -> None:
        """Drain and leave; with ``force`` running tasks are cancelled at once. Call it on the event loop."""
        self._stopping.set()
        if force:
            self._forced.set()

    async def start(self) -> DrainReport:
        """Work until told to stop, then drain.

        Returns:
            How the drain went.

        Raises:
            BackendUnavailableError: The store cannot be reached at the start; later that is waited out.
            QueueConfigurationError: What no waiting can mend, such as missing tables.
        """
        await self.service.open()
        self._parts = parts = WorkerParts(
            self.service,
            worker_id=self.worker_id,
            queues=self.queues,
            max_concurrency=self.max_concurrency,
            health=self.health,
        )
        self.service.backend.on_listener_change(WakeUpWatch(self.service.bus).tell)
        try:
            async with asyncio.TaskGroup() as group:
                claimers = [group.create_task(claimer.run(parts.draining)) for claimer in parts.claimers]
                others = [group.create_task(room.run(parts.draining)) for room in parts.until_draining]
                others += [group.create_task(room.run(parts.leaving)) for room in parts.until_leaving]
                await wait_for_any(parts.claimers[0].ready, self._stopping)
                if not self._stopping.is_set():
                    self._tell_started()
                await self._stopping.wait()
                self.report = await self._drain(parts, claimers)
                await _leave([*claimers, *others])
        except BaseExceptionGroup as errors:
            raise _first(errors) from errors
        finally:
            self.service.backend.on_listener_change(None)
            parts.executor.cancel_all("drain")  # none is left unless a room broke
            parts.execution.close()
        return self.report

    def _tell_started(self) -> None:
        self._started.set()
        backend = self.service.backend.describe()
        self.service.bus.emit(WorkerStarted(self.worker_id, self.queues, self.max_concurrency, backend))

    async def _drain(self, parts: WorkerParts, claimers: Sequence[asyncio.Task[None]]) -> DrainReport:
        began = time.monotonic()
        executor, completer, bus = parts.executor, parts.completer, self.service.bus
        bus.emit(WorkerDraining(self.worker_id, executor.running_count, self.drain_timeout))
        parts.stop_claiming()
        await wait_for_any(executor.idle, self._forced, timeout=self.drain_timeout)
        cancelled = executor.cancel_all("drain")
        if cancelled:
            await wait_for_any(executor.idle, timeout=self.config.worker_final_cancel_timeout)
        abandoned = executor.abandon() + parts.execution.abandoned
        await asyncio.wait(claimers, timeout=_LEAVE_PATIENCE)  # what they still got is given back
        await wait_for_any(completer.empty, timeout=_FLUSH_PATIENCE)
        unsaved = len(completer.held())
        parts.leave()
        bus.emit(WorkerStopped(self.worker_id, cancelled, time.monotonic() - began, unsaved))
        return DrainReport(cancelled, abandoned, unsaved)


async def _leave(rooms: Sequence[asyncio.Task[None]]) -> None:
    """Wait for the rooms to end; one that hangs in the store is cancelled."""
    _, hanging = await asyncio.wait(rooms, timeout=_LEAVE_PATIENCE)
    for room in hanging:
        room.cancel()


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended the worker; several at once have one cause more often than not."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
