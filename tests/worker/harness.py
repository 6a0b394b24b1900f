"""In: settings and functions. Out: a service with tasks of its own, a worker on it, and all that was told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

from litestar_queues.backends.base import QueueBackend
from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.clock import Clock
from litestar_queues.config import QueueConfig
from litestar_queues.events import EngineEvent, EventBus
from litestar_queues.options import TaskOptions
from litestar_queues.records import Claim, QueuedTaskRecord
from litestar_queues.registry import TaskRegistry
from litestar_queues.schedules import ScheduleConfig
from litestar_queues.service import QueueService
from litestar_queues.tasks import Task
from litestar_queues.worker import Worker
from litestar_queues.worker.worker import DrainReport

__all__ = ("PATIENCE", "Shift", "Shop", "Told", "make_claim", "until", "until_found", "within")

PATIENCE = 20.0
"""Seconds after which a test gives up waiting: far more than anything takes on a busy machine."""

E = TypeVar("E")
T = TypeVar("T")


def within(seconds: float = PATIENCE) -> asyncio.Timeout:
    return asyncio.timeout(seconds)


async def until(condition: Callable[[], object]) -> None:
    """Return once the condition holds."""
    async with within():
        while not condition():  # noqa: ASYNC110 - it may be of any kind
            await asyncio.sleep(0.001)


async def until_found(look: Callable[[], Awaitable[T | None]]) -> T:
    """Return the first answer that is something."""
    async with within():
        while not (found := await look()):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.001)
    return found


class Told:
    """Every event of a bus; a test waits for those that it expects."""

    def __init__(self, bus: EventBus) -> None:
        self.events: list[EngineEvent] = []
        bus.subscribe(self.events.append)

    def all(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def nth(self, kind: type[E], number: int = 1) -> E:
        """The first, second, ... event of a kind, waited for."""
        await until(lambda: len(self.all(kind)) >= number)
        return self.all(kind)[number - 1]


class Shop:
    """A service on a store in memory, with tasks that nobody else has."""

    def __init__(self, *, backend: QueueBackend | None = None, clock: Clock | None = None, **settings: Any) -> None:
        self.backend = backend or MemoryBackend(clock=clock)
        config = QueueConfig(**{"worker_final_cancel_timeout": 0.2, **settings})
        self.service = QueueService(config, backend=self.backend, registry=TaskRegistry())
        self.told = Told(self.service.bus)

    async def __aenter__(self) -> Self:
        await self.service.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.service.close()

    def task(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        schedule: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Task[..., Any]:
        """Register a function."""
        name = name or function.__name__
        made = Task(
            function,
            name=name,
            options=TaskOptions().merge(options),
            schedule=None if schedule is None else ScheduleConfig(name, **schedule),
        )
        self.service.registry.register(made)
        return made

    async def get(self, record_id: UUID) -> QueuedTaskRecord:
        record = await self.service.get_task(record_id)
        assert record is not None
        return record


class Shift:
    """A worker at work until the block ends."""

    def __init__(self, shop: Shop, **options: Any) -> None:
        self.worker = Worker(shop.service, **options)
        self._collected = False

    async def __aenter__(self) -> Self:
        self.ended = asyncio.create_task(self.worker.start())
        started = asyncio.create_task(self.worker.wait_started())
        await asyncio.wait({self.ended, started}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
        started.cancel()
        return self

    async def drain(self, *, force: bool = False) -> DrainReport:
        """Tell the worker to leave, and see how it did."""
        self.worker.stop(force=force)
        return await self.report()

    async def report(self) -> DrainReport:
        """How it left, or the error that ended it."""
        self._collected = True
        async with within():
            return await asyncio.shield(self.ended)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.worker.stop(force=True)
        await asyncio.wait({self.ended}, timeout=PATIENCE)
        if error is None and not self._collected:
            self.ended.result()


def make_claim(**changes: Any) -> Claim:
    """A claim on a record of task ``greet``."""
    plain: dict[str, Any] = {
        "id": UUID(int=1), "token": 1, "task": "greet", "queue": "default", "payload": b"[[],{}]", "attempt": 1,
        "max_attempts": 1, "timeout": None, "metadata": None, "backoff": None, "execution_backend": None,
        "execution_profile": None, "schedule": None, "waited": 0.0,
    }  # fmt: skip
    return Claim(**plain | changes)
