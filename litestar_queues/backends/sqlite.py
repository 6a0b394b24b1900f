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

from litestar_queues.backends import (
    sqlite_claim,
    sqlite_enqueue,
    sqlite_finish,
    sqlite_rows,
    sqlite_schedules,
    sqlite_steer,
)
from litestar_queues.backends.base import Capabilities, QueueBackend
from litestar_queues.backends.migrations import load_migrations
from litestar_queues.backends.sqlite_errors import translate
from litestar_queues.backends.sqlite_file import DatabaseFile
from litestar_queues.backends.sqlite_thread import Operation, ReaderThread, Work, WriterThread
from litestar_queues.backends.sqlite_watcher import Watcher
from litestar_queues.clock import Clock
from litestar_queues.errors import BackendUnavailableError
from litestar_queues.outcomes import Completion, Released
from litestar_queues.records import (
    ClaimBatch,
    Enqueued,
    Held,
    NewRecord,
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


class SQLiteBackend(QueueBackend):
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
            return await sqlite_enqueue.enqueue_on(connection, records, self._clock.micros(), self._file)
        if self._writer is None:
            raise self._closed()
        return await self._writer.submit_together(sqlite_enqueue.enqueue, records)

    async def cancel_many(self, ids: Sequence[UUID], *, include_running: bool = False) -> Mapping[UUID, TaskStatus]:
        return await self._write(partial(sqlite_steer.cancel, ids=ids, include_running=include_running), wakes=True)

    async def retry_many(self, ids: Sequence[UUID]) -> Sequence[UUID]:
        return await self._write(partial(sqlite_steer.retry, ids=ids), wakes=True)

    # workers

    async def claim_many(self, *, worker_id: str, queues: Sequence[str], limit: int, lease: float) -> ClaimBatch:
        names = msgspec.json.encode(list(dict.fromkeys(queues))).decode() if queues else None
        request = sqlite_claim.ClaimRequest(worker_id, names, limit, lease)
        claiming = self._write(
            partial(sqlite_claim.claim, request=request), peek=partial(sqlite_claim.peek, request=request)
        )
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            claiming.add_done_callback(self._give_back)
            raise

    async def finish_many(self, completions: Sequence[Completion]) -> Sequence[UUID]:
        return await self._write(partial(sqlite_finish.finish, completions=completions), wakes=True)

    async def renew_many(self, held: Sequence[Held], *, lease: float) -> Renewal:
        if not held:
            return Renewal((), ())
        return await self._write(partial(sqlite_finish.renew, held=held, lease=lease))

    async def cancel_requests(self, worker_id: str) -> Sequence[UUID]:
        return await self._read(partial(sqlite_steer.cancel_requests, worker_id=worker_id))

    async def save_progress(self, progress: Mapping[Held, bytes]) -> None:
        if progress:
            await self._write(partial(sqlite_finish.save_progress, progress=progress))

    async def rescue_many(self, *, limit: int, max_lost_leases: int) -> Sequence[Rescued]:
        operation = partial(sqlite_steer.rescue, limit=limit, max_lost_leases=max_lost_leases)
        return await self._write(operation, peek=sqlite_steer.peek_stale, wakes=True)

    async def rescue_predecessor(self, worker_id: str, *, max_lost_leases: int) -> Sequence[Rescued]:
        operation = partial(sqlite_steer.rescue_predecessor, worker_id=worker_id, max_lost_leases=max_lost_leases)
        return await self._write(operation, wakes=True)

    # schedules

    async def sync_schedules(self, schedules: Sequence[ScheduleSync]) -> None:
        await self._write(partial(sqlite_schedules.sync_schedules, schedules=schedules))

    async def due_schedules(self, names: Iterable[str]) -> DueSchedules:
        return await self._read(partial(sqlite_schedules.due_schedules, names=tuple(names)))

    async def fire_ticks(self, batch: TickBatch) -> int:
        return await self._write(partial(sqlite_schedules.fire_ticks, batch=batch), wakes=True)

    async def list_schedules(self) -> Sequence[ScheduleRow]:
        return await self._read(sqlite_schedules.list_schedules)

    async def pause_schedule(self, name: str, *, paused: bool) -> bool:
        return await self._write(partial(sqlite_schedules.pause_schedule, name=name, paused=paused), wakes=True)

    # looking

    async def get_many(self, ids: Sequence[UUID]) -> Mapping[UUID, QueuedTaskRecord]:
        return await self._read(partial(sqlite_rows.get_records, ids=ids))

    async def list_records(self, which: RecordFilter) -> Sequence[QueuedTaskRecord]:
        return await self._read(partial(sqlite_rows.list_records, which=which))

    async def statistics(self, queue: str | None = None) -> QueueStatistics:
        return await self._read(partial(sqlite_rows.statistics, queue=queue))

    async def canary_completed_at(self) -> datetime | None:
        return await self._read(sqlite_rows.canary_completed_at)

    # retention

    async def prune_many(self, status: TaskStatus, *, older_than: float, limit: int) -> int:
        return await self._write(
            partial(sqlite_steer.prune, status=status, older_than=older_than, limit=limit),
            peek=partial(sqlite_steer.peek_old, status=status, older_than=older_than),
        )

    async def prune_ticks(self, *, older_than: float, limit: int) -> int:
        return await self._write(partial(sqlite_schedules.prune_ticks, older_than=older_than, limit=limit))

    async def ledger(self) -> Mapping[str, int]:
        return await self._read(sqlite_rows.ledger)

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
            self._writer.submit(partial(sqlite_finish.finish, completions=released), wakes=True)

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
