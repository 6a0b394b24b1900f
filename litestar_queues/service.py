"""In: a task and its arguments. Out: a durable record, and a handle on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from litestar_queues.backends import create_backend
from litestar_queues.config import QueueConfig
from litestar_queues.dependencies import DependencyProvider
from litestar_queues.discovery import load_task_modules
from litestar_queues.errors import InvalidArgumentError
from litestar_queues.events import EventBus, SettingsMisspelled
from litestar_queues.execution.inline import run_due
from litestar_queues.execution.local import LocalExecution
from litestar_queues.logs import log_events
from litestar_queues.minting import Bulk, EnqueueSpec, Minter, without_collections
from litestar_queues.records import NewRecord
from litestar_queues.registry import TaskRegistry, get_task_registry
from litestar_queues.results import TaskResult
from litestar_queues.sinks import SinkForwarder
from litestar_queues.steering import Steering
from litestar_queues.tasks import Task, bind_service, unbind_service

if TYPE_CHECKING:
    from types import TracebackType

    from litestar_queues.backends.base import QueueBackend
    from litestar_queues.execution.base import ExecutionBackend
    from litestar_queues.records import Enqueued
    from litestar_queues.ticks import TickBatch
    from litestar_queues.tracing import Tracing

__all__ = ("QueueService",)


class QueueService(Steering):
    """Enqueues tasks and looks after their records.

    It opens its backend on first use, or by ``async with``.

    Args:
        config: Settings; the defaults where left out.
        backend: A backend to use instead of the one that the settings name.
        registry: Tasks; those registered by ``@task`` where left out.
        app_configs: sqlspec configs of the app, among which ``queue_backend=None`` looks first.
    """

    def __init__(
        self,
        config: QueueConfig | None = None,
        *,
        backend: QueueBackend | None = None,
        registry: TaskRegistry | None = None,
        app_configs: Sequence[Any] = (),
    ) -> None:
        self.config = config or QueueConfig()
        self.registry = get_task_registry() if registry is None else registry  # an empty one is false
        self.backend = backend or create_backend(self.config, app_configs=app_configs)
        self.bus = EventBus()
        self.bus.subscribe(log_events)
        if self.config.event_config.sink is not None:
            self.bus.subscribe(SinkForwarder(self.config.event_config.sink))
        self.dependencies = DependencyProvider(resolver=self.config.task_dependency_resolver)
        self._minter = Minter(self.config, self.registry, lambda: self.dependencies.names)
        self._opening = asyncio.Lock()
        self._is_open = False
        self._inline: ExecutionBackend | None = None
        self._tracing = _tracing_of(self.config)

    # life

    @property
    def is_open(self) -> bool:
        """Whether the backend is open."""
        return self._is_open

    async def open(self) -> None:
        """Open the backend; tasks' ``.enqueue()`` goes to this service from now on.

        Raises:
            BackendUnavailableError: The store cannot be reached now; the next call tries again.
            QueueConfigurationError: The settings or the schema are wrong.
        """
        if self._is_open:
            return
        async with self._opening:
            if not self._is_open:
                self.load_tasks()
                await self.backend.open()
                self._is_open = True
                bind_service(self)
                if misspelled := self.config.misspelled():
                    self.bus.emit(SettingsMisspelled(misspelled))

    def load_tasks(self) -> None:
        """Import the modules that the setting ``task_modules`` names; :meth:`open` does it too.

        Raises:
            QueueConfigurationError: One of them cannot be found.
        """
        load_task_modules(self.config.task_modules)

    def known_queues(self) -> set[str]:
        """The queues that settings and registered tasks name; there may be others in the store."""
        return {task.options.queue for task in self.registry}.union(self.config.worker_queues)

    async def close(self) -> None:
        """Close the backend; harmless when closed already."""
        async with self._opening:
            unbind_service(self)
            if self._inline is not None:
                self._inline.close()
                self._inline = None
            if self._is_open:
                self._is_open = False
                await self.backend.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # producing

    async def enqueue(self, task: Task[..., Any] | str, /, *args: Any, **kwargs: Any) -> TaskResult:
        """Store a record of the task and return once it is durable.

        Keywords that are options (``queue``, ``priority``, ``key``, ``run_after``, ``scheduled_at``, ``retries``,
        ``timeout``, ``metadata``, ...) and ``connection`` are taken as such wherever the task has no parameter of that
        name; all others are the task's arguments. ``task.using(...)`` sets options in every case.

        Args:
            task: The task or its registered name.
            args: Its positional arguments.
            kwargs: Its keyword arguments, and options. With ``connection=`` (a driver connection or a sqlspec session
                on the queue's own database) the record commits or rolls back with the caller's transaction.

        Raises:
            InvalidArgumentError: Arguments or options are wrong, cannot be stored as JSON, or are ambiguous.
            UnknownTaskError: No task of that name is registered.
            BackendUnavailableError: The store cannot be reached. Where its answer was lost on the way, the record may
                be there all the same; a ``key`` makes trying again safe.
        """
        if not self._is_open:
            await self.open()
        minted, connection = self._minter.from_call(task, args, kwargs)
        return await self._store(minted, connection)

    async def enqueue_many(self, specs: Sequence[EnqueueSpec], *, connection: Any = None) -> list[TaskResult]:
        """Store many records in one statement and one commit, all or none.

        Args:
            specs: In the order in which the handles come back.
            connection: As for :meth:`enqueue`.

        Raises:
            InvalidArgumentError: One of them is wrong; the message names it and nothing was stored.
        """
        if not self._is_open:
            await self.open()
        minted = Bulk(specs, self._minter.from_spec)
        if not minted:
            return []
        enqueued = await self._enqueue_many(minted, connection)
        if connection is None:
            await self._run_immediately()
        answers = zip(minted, enqueued, strict=True)
        with without_collections():
            return [TaskResult(self, one.id, record.task, created=one.created) for record, one in answers]

    async def run_schedule_now(self, name: str) -> TaskResult:
        """Make one more record of a schedule's task, due at once; the schedule's next due time stays as it is.

        Raises:
            InvalidArgumentError: There is no schedule of that name; the message says which there are.
            UnknownTaskError: The schedule is stored, but this process knows no task of its name.
        """
        await self.open()
        tasks = {row.name: row.task for row in await self.backend.list_schedules()}
        tasks |= {one: one for one in self.registry.scheduled()}  # also those that no worker has stored yet
        if name not in tasks:
            known = f"there are {', '.join(sorted(tasks))}" if tasks else "there is none"
            msg = f"no schedule is named {name!r}: {known}"
            raise InvalidArgumentError(msg)
        return await self._store(self.mint_tick(self.registry.require(tasks[name]), schedule=name, delay=0.0))

    async def _store(self, minted: NewRecord, connection: Any = None) -> TaskResult:
        enqueued = (await self._enqueue_many((minted,), connection))[0]
        if connection is None:
            await self._run_immediately()
        return TaskResult(self, enqueued.id, minted.task, created=enqueued.created)

    async def _enqueue_many(self, records: Sequence[NewRecord], connection: Any) -> Sequence[Enqueued]:
        if self._tracing is None:
            return await self.backend.enqueue_many(records, connection=connection)
        return await self._tracing.enqueue_many(self.backend.enqueue_many, records, connection)

    async def _run_immediately(self) -> None:
        if self.config.execution_backend == "immediate":
            await self.run_due()

    async def run_due(self) -> int:
        """Run every due record in this call, one after another, and return how many there were; meant for tests."""
        await self.open()
        if self._inline is None:
            self._inline = self.make_execution()
        return await run_due(self.backend, self._inline, self.bus)

    def make_execution(self) -> ExecutionBackend:
        """Make the place where tasks run; a worker's door."""
        execution = LocalExecution(self.config, self.registry, lambda: self.dependencies)
        if self._tracing is None:
            return execution
        from litestar_queues.tracing import TracedExecution

        return TracedExecution(execution, self._tracing)

    @contextmanager
    def changes(self) -> Iterator[Callable[[float], Awaitable[None]]]:
        """Give a function that waits, up to so many seconds, until records may have changed."""
        changed = asyncio.Event()
        unsubscribe = self.backend.subscribe(changed.set)

        async def wait(seconds: float) -> None:
            try:
                async with asyncio.timeout(seconds):
                    await changed.wait()
            except TimeoutError:
                pass
            changed.clear()

        try:
            yield wait
        finally:
            unsubscribe()

    def mint_tick(self, task: Task[..., Any], *, schedule: str, delay: float) -> NewRecord:
        """Make the record of one tick of a recurring task; the scheduler's door."""
        return self._minter.tick(task, schedule=schedule, delay=delay)

    async def fire_ticks(self, batch: TickBatch) -> int:
        """Write ticks of a schedule and their records, and give how many records were made; the scheduler's door."""
        if self._tracing is None or not batch.ticks:
            return await self.backend.fire_ticks(batch)
        return await self._tracing.fire_ticks(self.backend.fire_ticks, batch)


def _tracing_of(config: QueueConfig) -> Tracing | None:
    if config.tracing is False:
        return None
    from litestar_queues.tracing import Tracing

    return Tracing(None if config.tracing is True else config.tracing)
