"""In: any backend. Out: the same one behind a line that fails, hangs or loses replies where it is told to."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar
from uuid import UUID

from litestar_queues.backends.base import Capabilities, QueueBackend
from litestar_queues.errors import BackendUnavailableError
from litestar_queues.outcomes import Cancelled, Completed, Failed

__all__ = ("FaultyBackend", "Hang")

Call = Callable[[], Awaitable[Any]]
Fault = Callable[[Call], Awaitable[Any]]


class Hang:
    """A call that waits before it reaches the store."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self._released = asyncio.Event()

    def release(self) -> None:
        self._released.set()

    async def __call__(self, call: Call) -> Any:
        self.entered.set()
        await self._released.wait()
        return await call()


def _door(name: str) -> Any:
    async def method(self: FaultyBackend, *args: Any, **kwargs: Any) -> Any:
        return await self.carry_out(name, *args, **kwargs)

    return method


class FaultyBackend(QueueBackend):
    """Faults are queued per method; each call takes one, and calls without one go through."""

    name: ClassVar[str] = "faulty"
    capabilities: ClassVar[Capabilities] = Capabilities(shared=False, durable=False, transactional_enqueue=False)

    def __init__(self, inner: QueueBackend) -> None:
        self.inner = inner
        self.calls: list[str] = []
        self.outcomes: Counter[UUID] = Counter()
        """Accepted last words per record."""
        self.is_down = False
        """Every call fails."""
        self._faults: dict[str, deque[Fault]] = {}

    def fail(self, method: str, times: int = 1, error: Exception | None = None) -> None:
        """Let the next calls fail before they reach the store."""

        async def refuse(_: Call) -> Any:
            raise error or BackendUnavailableError("the line is cut")

        self._queue(method).extend([refuse] * times)

    def drop_reply(self, method: str, times: int = 1) -> None:
        """Let the next calls succeed in the store, and fail on the way back."""

        async def drop(call: Call) -> Any:
            await call()
            raise BackendUnavailableError("the line was cut before the reply came")

        self._queue(method).extend([drop] * times)

    def hang(self, method: str) -> Hang:
        """Let the next call wait until it is released."""
        hang = Hang()
        self._queue(method).append(hang)
        return hang

    def faults_left(self, method: str) -> int:
        return len(self._queue(method))

    async def carry_out(self, method: str, *args: Any, **kwargs: Any) -> Any:
        self.calls.append(method)

        async def call() -> Any:
            answer = await getattr(self.inner, method)(*args, **kwargs)
            if method == "finish_many":
                self._count(args[0], answer)
            return answer

        if self.is_down and method not in {"open", "close"}:
            raise BackendUnavailableError("the store is down")
        faults = self._queue(method)
        return await (faults.popleft()(call) if faults else call())

    def _queue(self, method: str) -> deque[Fault]:
        assert callable(getattr(QueueBackend, method))
        return self._faults.setdefault(method, deque())

    def _count(self, completions: Any, refused: Any) -> None:
        last_words = (Completed, Failed, Cancelled)
        self.outcomes.update(
            one.id for one in completions if one.id not in refused and isinstance(one.outcome, last_words)
        )

    def migration_sql(self) -> str:
        return self.inner.migration_sql()

    def describe(self) -> str:
        return f"{self.inner.describe()} behind a faulty line"

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        return self.inner.subscribe(wake)

    open = _door("open")
    close = _door("close")
    migrate = _door("migrate")
    pending_migrations = _door("pending_migrations")
    enqueue_many = _door("enqueue_many")
    cancel_many = _door("cancel_many")
    retry_many = _door("retry_many")
    claim_many = _door("claim_many")
    finish_many = _door("finish_many")
    renew_many = _door("renew_many")
    cancel_requests = _door("cancel_requests")
    save_progress = _door("save_progress")
    rescue_many = _door("rescue_many")
    rescue_predecessor = _door("rescue_predecessor")
    sync_schedules = _door("sync_schedules")
    due_schedules = _door("due_schedules")
    fire_ticks = _door("fire_ticks")
    list_schedules = _door("list_schedules")
    pause_schedule = _door("pause_schedule")
    report_worker = _door("report_worker")
    forget_worker = _door("forget_worker")
    list_workers = _door("list_workers")
    count_workers = _door("count_workers")
    pause_queue = _door("pause_queue")
    resume_queue = _door("resume_queue")
    paused_queues = _door("paused_queues")
    list_tallies = _door("list_tallies")
    get_many = _door("get_many")
    list_records = _door("list_records")
    page_bound = _door("page_bound")
    statistics = _door("statistics")
    queue_depths = _door("queue_depths")
    canary_completed_at = _door("canary_completed_at")
    prune_many = _door("prune_many")
    count_old = _door("count_old")
    prune_ticks = _door("prune_ticks")
    prune_workers = _door("prune_workers")
    prune_tallies = _door("prune_tallies")
    ledger = _door("ledger")
