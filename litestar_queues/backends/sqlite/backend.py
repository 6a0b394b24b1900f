"""In: batches of values. Out: the laws of the seam, kept in one SQLite file that several processes share.

The sqlite3 module is used directly, not through sqlspec: measured here, a statement costs 5 us instead of 28 to 50,
and the import of sqlspec 0.27 s and 40 MB that a worker of the default backend need not pay.
"""

# ruff: noqa: D102 - the seam documents its methods
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import msgspec

from litestar_queues.backends.base import Capabilities
from litestar_queues.backends.migrations import load_migrations
from litestar_queues.backends.sqlite.calls import Operation, Work
from litestar_queues.backends.sqlite.claim import ClaimRequest, claim, peek
from litestar_queues.backends.sqlite.enqueue import enqueue, enqueue_on
from litestar_queues.backends.sqlite.errors import translate
from litestar_queues.backends.sqlite.file import DatabaseFile
from litestar_queues.backends.sqlite.finish import finish, renew, save_progress
from litestar_queues.backends.sqlite.fleet import SQLiteFleet
from litestar_queues.backends.sqlite.rows import (
    canary_completed_at,
    get_records,
    ledger,
    list_records,
    page_bound,
    queue_depths,
    statistics,
)
from litestar_queues.backends.sqlite.schedules import (
    due_schedules,
    fire_ticks,
    list_schedules,
    pause_schedule,
    prune_ticks,
    sync_schedules,
)
from litestar_queues.backends.sqlite.steer import (
    cancel,
    cancel_requests,
    count_old,
    peek_old,
    peek_stale,
    prune,
    rescue,
    rescue_predecessor,
    retry,
)
from litestar_queues.backends.sqlite.thread import ReaderThread, WriterThread
from litestar_queues.backends.sqlite.watcher import Watcher
from litestar_queues.clock import Clock
from litestar_queues.errors import BackendUnavailableError
from litestar_queues.outcomes import Completion, Released
from litestar_queues.records import (
    ClaimBatch,
    Enqueued,
    Held,
    NewRecord,
    QueueDepth,
    QueuedTaskRecord,
    QueueStatistics,
    RecordFilter,
    Renewal,
    Rescued,
)
from litestar_queues.status import TaskStatus
from litestar_queues.ticks import DueSchedules, ScheduleRow, ScheduleSync, TickBatch

__all__ = ("SQLiteBackend",)

T = TypeVar("T")


class SQLiteBackend(SQLiteFleet):
    """The embedded default: durable, shared by the processes of one machine.

    Args:
        path: The database file; its folder must exist.
        synchronous: ``"FULL"``: a committed record survives a power cut. ``"NORMAL"``: a crash of the process.
        migrate_on_start: Create and upgrade the schema on open.
        clock: The store's time; tests replace it.
    """

    name: ClassVar[str] = "sqlite"
    capabilities: ClassVar[Capabilities] = Capabilities(shared=True, durable=True, transactional_enqueue=True)

    def __init__(
        self,
        path: str | Path,
        *,
        synchronous: str = "FULL",
        migrate_on_start: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or Clock()
        self._file = DatabaseFile(Path(path), synchronous=synchronous, managed=migrate_on_start, clock=self._clock)
        self._writer: WriterThread | None = None
        self._reader: ReaderThread | None = None
        self._watcher: Watcher | None = None

    # life of the backend

    async def open(self) -> None:
        if self._writer is not None:
            return
        watcher = Watcher(self._file)
        writer = WriterThread("litestar-queues-writer", self._file, self._clock, watcher.notify)
        writer.start()
        try:
            await writer.submit(_begin)
        except BaseException:
            await writer.finish()
            raise
        self._writer, self._watcher = writer, watcher

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        reader, self._reader = self._reader, None
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stop()
        if reader is not None:
            await reader.finish()
        if writer is not None:
            await writer.finish()

    async def migrate(self) -> Sequence[str]:
        return await self._apart(self._file.migrate)

    async def pending_migrations(self) -> Sequence[str]:
        return await self._apart(self._file.pending)

    def migration_sql(self) -> str:
        return "\n".join(migration.sql for migration in load_migrations("sqlite"))

    def describe(self) -> str:
        return f"sqlite file {self._file.name}"

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        if self._watcher is None:
            raise self._closed()
        return self._watcher.subscribe(wake)

    # producers

    async def enqueue_many(self, records: Sequence[NewRecord], *, connection: Any = None) -> Sequence[Enqueued]:
        if not records:
            return ()
        if connection is not None:
            return await enqueue_on(connection, records, self._clock.micros(), self._file)
        if self._writer is None:
            raise self._closed()
        return await self._writer.submit_together(enqueue, records[:])  # all of them are minted here, not in the thread

    async def cancel_many(self, ids: Sequence[UUID], *, include_running: bool = False) -> Mapping[UUID, TaskStatus]:
        return await self._write(partial(cancel, ids=ids, include_running=include_running), wakes=True)

    async def retry_many(self, ids: Sequence[UUID]) -> Sequence[UUID]:
        return await self._write(partial(retry, ids=ids), wakes=True)

    # workers

    async def claim_many(self, *, worker_id: str, queues: Sequence[str], limit: int, lease: float) -> ClaimBatch:
        names = msgspec.json.encode(list(dict.fromkeys(queues))).decode() if queues else None
        request = ClaimRequest(worker_id, names, limit, lease)
        claiming = self._write(partial(claim, request=request), peek=partial(peek, request=request))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            claiming.add_done_callback(self._give_back)
            raise

    async def finish_many(self, completions: Sequence[Completion]) -> Sequence[UUID]:
        return await self._write(partial(finish, completions=completions), wakes=True)

    async def renew_many(self, held: Sequence[Held], *, lease: float) -> Renewal:
        if not held:
            return Renewal((), ())
        return await self._write(partial(renew, held=held, lease=lease))

    async def cancel_requests(self, worker_id: str) -> Sequence[UUID]:
        return await self._read(partial(cancel_requests, worker_id=worker_id))

    async def save_progress(self, progress: Mapping[Held, bytes]) -> None:
        if progress:
            await self._write(partial(save_progress, progress=progress))

    async def rescue_many(self, *, limit: int, max_lost_leases: int) -> Sequence[Rescued]:
        operation = partial(rescue, limit=limit, max_lost_leases=max_lost_leases)
        return await self._write(operation, peek=peek_stale, wakes=True)

    async def rescue_predecessor(self, worker_id: str, *, max_lost_leases: int) -> Sequence[Rescued]:
        operation = partial(rescue_predecessor, worker_id=worker_id, max_lost_leases=max_lost_leases)
        return await self._write(operation, wakes=True)

    # schedules

    async def sync_schedules(self, schedules: Sequence[ScheduleSync]) -> None:
        await self._write(partial(sync_schedules, schedules=schedules))

    async def due_schedules(self, names: Iterable[str]) -> DueSchedules:
        return await self._read(partial(due_schedules, names=tuple(names)))

    async def fire_ticks(self, batch: TickBatch) -> int:
        return await self._write(partial(fire_ticks, batch=batch), wakes=True)

    async def list_schedules(self) -> Sequence[ScheduleRow]:
        return await self._read(list_schedules)

    async def pause_schedule(self, name: str, *, paused: bool) -> bool:
        return await self._write(partial(pause_schedule, name=name, paused=paused), wakes=True)

    # looking

    async def get_many(self, ids: Sequence[UUID]) -> Mapping[UUID, QueuedTaskRecord]:
        return await self._read(partial(get_records, ids=ids))

    async def list_records(self, which: RecordFilter) -> Sequence[QueuedTaskRecord]:
        return await self._read(partial(list_records, which=which))

    async def page_bound(self, which: RecordFilter, count: int) -> UUID | None:
        return await self._read(partial(page_bound, which=which, count=count))

    async def statistics(self, queue: str | None = None) -> QueueStatistics:
        return await self._read(partial(statistics, queue=queue))

    async def queue_depths(self) -> Sequence[QueueDepth]:
        return await self._read(queue_depths)

    async def canary_completed_at(self) -> datetime | None:
        return await self._read(canary_completed_at)

    # retention

    async def prune_many(self, status: TaskStatus, *, older_than: float, limit: int) -> int:
        return await self._write(
            partial(prune, status=status, older_than=older_than, limit=limit),
            peek=partial(peek_old, status=status, older_than=older_than),
        )

    async def count_old(self, status: TaskStatus, *, older_than: float) -> int:
        return await self._read(partial(count_old, status=status, older_than=older_than))

    async def prune_ticks(self, *, older_than: float, limit: int) -> int:
        return await self._write(partial(prune_ticks, older_than=older_than, limit=limit))

    async def ledger(self) -> Mapping[str, int]:
        return await self._read(ledger)

    # inside

    def _write(
        self, operation: Operation[T], *, peek: Operation[T | None] | None = None, wakes: bool = False
    ) -> asyncio.Future[T]:
        if self._writer is None:
            raise self._closed()
        return self._writer.submit(operation, peek=peek, wakes=wakes)

    def _read(self, operation: Operation[T]) -> Awaitable[T]:
        if self._writer is None or self._watcher is None:
            raise self._closed()
        if self._reader is None:
            self._reader = ReaderThread("litestar-queues-reader", self._file, self._clock, self._watcher.notify)
            self._reader.start()
        return self._reader.submit(operation)

    def _give_back(self, claiming: asyncio.Future[ClaimBatch]) -> None:
        """Release what a cancelled claim got, rather than let it wait for the end of its lease."""
        if claiming.cancelled() or claiming.exception() is not None or self._writer is None:
            return
        released = [Completion(claim.id, claim.token, Released()) for claim in claiming.result().claims]
        if released:
            self._writer.submit(partial(finish, completions=released), wakes=True)

    async def _apart(self, action: Callable[[], T]) -> T:
        """Do something about the schema on a connection of its own, open or not."""
        try:
            return await asyncio.to_thread(action)
        except Exception as error:
            ours = translate(error, self._file.name)
            if ours is error:
                raise
            raise ours from error

    def _closed(self) -> BackendUnavailableError:
        return BackendUnavailableError(f"the sqlite backend of file {self._file.name} is not open: await open() first")


def _begin(_: Work) -> None:
    """Do nothing: a first transaction shows that the file can be written."""
