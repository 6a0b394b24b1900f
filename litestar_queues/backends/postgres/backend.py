"""In: batches of values. Out: the laws of the seam, kept in one PostgreSQL database that any number of nodes share.

The drivers are used directly, not through sqlspec: measured here, a statement costs 20 to 45 us more through it, and
its import 0.27 s and 40 MB that a worker need not pay. Its configs and sessions are accepted all the same.
"""

# ruff: noqa: D102 - the seam documents its methods
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from litestar_queues.backends.base import Capabilities
from litestar_queues.backends.laws import LOST_ONCE, lost_too_often
from litestar_queues.backends.postgres.drivers import Address, Connection
from litestar_queues.backends.postgres.enqueue import EnqueueDesk
from litestar_queues.backends.postgres.fleet import PostgresFleet
from litestar_queues.backends.postgres.lane import Lane, Operation
from litestar_queues.backends.postgres.listener import Listener
from litestar_queues.backends.postgres.rows import as_record, as_schedule, bound, page
from litestar_queues.backends.postgres.schedules import due_schedules, fire_ticks
from litestar_queues.backends.postgres.schema import check_schema, ddl, migrate, pending
from litestar_queues.backends.postgres.statements import Statements
from litestar_queues.backends.postgres.work import ClaimRequest, WorkDesk
from litestar_queues.clock import Clock, from_micros
from litestar_queues.errors import BackendUnavailableError
from litestar_queues.outcomes import Completion
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

__all__ = ("PostgresBackend",)

T = TypeVar("T")

_POLL_INTERVAL_WHEN_TOLD = 5.0
_FAR_FUTURE = datetime(9999, 1, 1, tzinfo=UTC)


class PostgresBackend(PostgresFleet):
    """Where fleets keep their records.

    It holds up to three connections a process, each opened on first use, and a fourth that listens where a worker or a
    waiting caller wants to be woken.

    Args:
        address: Which server, and by which driver.
        prefix: Of all tables; with a schema before a dot where wanted.
        migrate_on_start: Create and upgrade the schema on open.
        notifications: Tell other processes of new records; off behind a pooler in transaction mode.
        clock: A time to use instead of the server's, in tests.
    """

    name: ClassVar[str] = "postgres"
    capabilities: ClassVar[Capabilities] = Capabilities(shared=True, durable=True, transactional_enqueue=True)

    def __init__(
        self,
        address: Address,
        *,
        prefix: str = "lq_",
        migrate_on_start: bool = True,
        notifications: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self._address = address
        self._sql = Statements(prefix)
        self._managed = migrate_on_start
        self._clock = clock
        listens = notifications and not address.pooled
        self._channel = self._sql.channel if listens else None
        if listens:
            self.poll_interval = _POLL_INTERVAL_WHEN_TOLD
        self._is_open = False
        self.listener = Listener(address if listens else None, self._sql.channel)

    # life of the backend

    async def open(self) -> None:
        if self._is_open:
            return
        names = ("litestar-queues enqueue", "litestar-queues worker", "litestar-queues scout", "litestar-queues")
        self._lanes = [Lane(self._address, name, self.listener.try_again) for name in names]
        enqueue, work, scout, self._lane = self._lanes
        self._enqueues = EnqueueDesk(enqueue, self._sql, channel=self._channel)
        self._work = WorkDesk(work, scout, self._sql, channel=self._channel, on_change=self.listener.notify)
        try:
            await self._lane.run(self._prepare)
        except BaseException:
            await self._lane.close()
            raise
        self._is_open = True

    async def _prepare(self, connection: Connection) -> None:
        if self._managed and await pending(connection, self._sql):
            await migrate(connection, self._sql)
        await check_schema(connection, self._sql)

    async def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        await self.listener.close()
        for lane in self._lanes:
            await lane.close()

    async def migrate(self) -> Sequence[str]:
        return await self._apart(lambda connection: migrate(connection, self._sql))

    async def pending_migrations(self) -> Sequence[str]:
        return await self._apart(lambda connection: pending(connection, self._sql))

    def migration_sql(self) -> str:
        return ddl(self._sql)

    def describe(self) -> str:
        return f"{self._address.label} ({self._address.driver})"

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        self._check_open()
        return self.listener.subscribe(wake)

    def on_listener_change(self, told: Callable[[Exception | None], None] | None) -> None:
        self.listener.on_change = told

    # producers

    async def enqueue_many(self, records: Sequence[NewRecord], *, connection: Any = None) -> Sequence[Enqueued]:
        if not records:
            return ()
        self._check_open()
        if connection is not None:
            return await self._enqueues.enqueue_on(connection, records, self._now(), self._address.label)
        answers = await self._enqueues.enqueue(records, self._now())
        self.listener.notify()
        return answers

    async def cancel_many(self, ids: Sequence[UUID], *, include_running: bool = False) -> Mapping[UUID, TaskStatus]:
        rows = await self._run("cancel_many", self._now(), list(ids), include_running)
        self.listener.notify()
        return {row[0]: TaskStatus(row[1]) for row in rows}

    async def retry_many(self, ids: Sequence[UUID]) -> Sequence[UUID]:
        rows = await self._run("retry_many", self._now(), list(ids), self._channel)
        self.listener.notify()
        return [row[0] for row in rows]

    # workers

    async def claim_many(self, *, worker_id: str, queues: Sequence[str], limit: int, lease: float) -> ClaimBatch:
        self._check_open()
        return await self._work.claim(ClaimRequest(worker_id, queues, limit, float(lease), self._now()))

    async def finish_many(self, completions: Sequence[Completion]) -> Sequence[UUID]:
        self._check_open()
        refused = await self._work.finish(completions, self._now())
        self.listener.notify()
        return refused

    async def renew_many(self, held: Sequence[Held], *, lease: float) -> Renewal:
        if not held:
            return Renewal((), ())
        ids, tokens = [one.id for one in held], [one.token for one in held]
        rows = await self._run("renew_many", self._now(), ids, tokens, float(lease))
        renewed = {(row[0], row[1]) for row in rows}
        return Renewal([one.id for one in held if one not in renewed], [row[0] for row in rows if row[2]])

    async def cancel_requests(self, worker_id: str) -> Sequence[UUID]:
        return [row[0] for row in await self._run("cancel_requests", worker_id)]

    async def save_progress(self, progress: Mapping[Held, bytes]) -> None:
        if progress:
            ids, tokens = [held.id for held in progress], [held.token for held in progress]
            await self._run("save_progress", ids, tokens, [text.decode() for text in progress.values()])

    async def rescue_many(self, *, limit: int, max_lost_leases: int) -> Sequence[Rescued]:
        return await self._rescue(None, limit, None, None, max_lost_leases)

    async def rescue_predecessor(self, worker_id: str, *, max_lost_leases: int) -> Sequence[Rescued]:
        name, colon, _ = worker_id.rpartition(":")
        if not colon:
            return ()
        return await self._rescue(_FAR_FUTURE, 1_000_000, worker_id, name, max_lost_leases)

    async def _rescue(
        self, bound: datetime | None, limit: int, worker_id: str | None, name: str | None, most: int
    ) -> Sequence[Rescued]:
        reasons = (lost_too_often(most), self._channel, LOST_ONCE)
        rows = await self._run("rescue_many", self._now(), bound, limit, worker_id, name, most, *reasons)
        if rows:
            self.listener.notify()
        return [Rescued(row[0], row[1], row[2], row[3], TaskStatus(row[4])) for row in rows]

    # schedules

    async def sync_schedules(self, schedules: Sequence[ScheduleSync]) -> None:
        for one in sorted(schedules):  # in one order, so that two workers do not wait for each other
            await self._run("sync_schedule", self._now(), one.name, one.task, one.definition, one.first_at)

    async def due_schedules(self, names: Iterable[str]) -> DueSchedules:
        return await self._on_lane(lambda connection: due_schedules(connection, self._sql, list(names), self._now()))

    async def fire_ticks(self, batch: TickBatch) -> int:
        made = await self._on_lane(
            lambda connection: fire_ticks(connection, self._sql, batch, now=self._now(), channel=self._channel)
        )
        if made:
            self.listener.notify()
        return made

    async def list_schedules(self) -> Sequence[ScheduleRow]:
        return [as_schedule(row) for row in await self._run("list_schedules")]

    async def pause_schedule(self, name: str, *, paused: bool) -> bool:
        paused_now = bool(await self._run("pause_schedule", name, paused))
        self.listener.notify()
        return paused_now

    # looking

    async def get_many(self, ids: Sequence[UUID]) -> Mapping[UUID, QueuedTaskRecord]:
        return {row[0]: as_record(row) for row in await self._run("get_many", list(ids))}

    async def list_records(self, which: RecordFilter) -> Sequence[QueuedTaskRecord]:
        ids = [row[0] for row in await self._run(*page(which))]
        found = await self.get_many(ids)
        return [found[record_id] for record_id in ids if record_id in found]

    async def page_bound(self, which: RecordFilter, count: int) -> UUID | None:
        asked = bound(which, count)
        rows = await self._run(*asked) if asked else ()
        return rows[0][0] if rows else None

    async def statistics(self, queue: str | None = None) -> QueueStatistics:
        return QueueStatistics(**{row[0]: row[1] for row in await self._run("statistics", queue)})

    async def queue_depths(self) -> Sequence[QueueDepth]:
        return [QueueDepth(*row) for row in await self._run("queue_depths", self._now())]

    async def canary_completed_at(self) -> datetime | None:
        micros = (await self._run("canary"))[0][0]
        return None if micros is None else from_micros(micros)

    # retention

    async def prune_many(self, status: TaskStatus, *, older_than: float, limit: int) -> int:
        return int((await self._run("prune_many", self._now(), status.value, float(older_than), limit))[0][0])

    async def count_old(self, status: TaskStatus, *, older_than: float) -> int:
        return int((await self._run("count_old", self._now(), status.value, float(older_than)))[0][0])

    async def prune_ticks(self, *, older_than: float, limit: int) -> int:
        await self._run("fold_counts")
        now = self._now() or (await self._run("store_time", None))[0][0]
        before = now - timedelta(seconds=older_than)
        ticks = await self._run("prune_ticks", before, limit)
        return len(ticks) + len(await self._run("prune_schedules", before, limit))

    async def ledger(self) -> Mapping[str, int]:
        row = (await self._run("ledger"))[0]
        return dict(zip(("enqueued", "live", "terminal", "pruned"), row, strict=True))

    # inside

    def _now(self) -> datetime | None:
        return None if self._clock is None else self._clock.now()

    async def _run(self, name: str, *arguments: Any) -> Sequence[Sequence[Any]]:
        return await self._on_lane(lambda connection: connection.run(self._sql[name], *arguments))

    async def _on_lane(self, operation: Operation[T]) -> T:
        self._check_open()
        return await self._lane.run(operation)

    async def _apart(self, operation: Operation[T]) -> T:
        """Do something about the schema on a connection of its own, open or not."""
        lane = Lane(self._address, "litestar-queues migrate")
        try:
            return await lane.run(operation)
        finally:
            await lane.close()

    def _check_open(self) -> None:
        if not self._is_open:
            msg = f"the backend of {self._address.label} is not open: await open() first"
            raise BackendUnavailableError(msg)
