"""In: batches of values. Out: the laws that every store keeps; the one seam of the library.

Storage verbs are plural: the single form is a list of one. The store's own clock decides due times and
leases. Every method may raise :class:`~litestar_queues.errors.BackendUnavailableError` (try again later) or
another :class:`~litestar_queues.errors.BackendError`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from litestar_queues.backends.fleet import FleetStore
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

__all__ = ("Capabilities", "QueueBackend")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """Where backends may differ; everything else is law."""

    shared: bool
    """Several processes see the same records."""
    durable: bool
    """Records survive the end of the process."""
    transactional_enqueue: bool
    """``enqueue_many`` takes a ``connection``."""


class QueueBackend(FleetStore):
    """Where records live."""

    capabilities: ClassVar[Capabilities]
    name: ClassVar[str]
    poll_interval: float = 1.0
    """Seconds between two looks for work that it advises where nobody set another interval."""

    # life of the backend

    @abstractmethod
    async def open(self) -> None:
        """Connect and check the schema; where the backend manages its schema, bring it up to date.

        Raises:
            BackendUnavailableError: The store cannot be reached now.
            SchemaVersionError: Tables are missing, older than this release, or newer.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let everything go; harmless when closed already."""

    @abstractmethod
    async def migrate(self) -> Sequence[str]:
        """Bring the schema up to date; safe when several processes do it at once.

        Returns:
            The names of the migrations that this call applied.
        """

    @abstractmethod
    async def pending_migrations(self) -> Sequence[str]:
        """Names of the migrations that the store lacks."""

    @abstractmethod
    def migration_sql(self) -> str:
        """The whole DDL as text, for people who apply it by hand; empty where there is none."""

    @abstractmethod
    def describe(self) -> str:
        """The store in words for people, without secrets: ``sqlite file queue.db``."""

    @abstractmethod
    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call ``wake`` on the event loop when records may have changed, here or in another process.

        Wake-ups are a saving; polling is the law. A wake-up may be spurious, late or lost.

        Returns:
            A function that ends the subscription.
        """

    def on_listener_change(self, told: Callable[[Exception | None], None] | None) -> None:
        """Call ``told`` with the reason once wake-ups from other processes break off, and with ``None`` once they work.

        A store whose wake-ups cannot break off has nothing to tell.
        """

    # producers

    @abstractmethod
    async def enqueue_many(self, records: Sequence[NewRecord], *, connection: Any = None) -> Sequence[Enqueued]:
        """Insert the records, all or none, and return once they are durable.

        A record whose key is held (by a live record, or within another's ``unique_for`` window) is not written; its
        answer names the holder. That holds within one batch too.

        Args:
            records: In the order in which the answers come back. They may be minted as they are looked at, which is
                for the caller's context alone; what looking at one raises is raised, and nothing is stored.
            connection: The caller's own connection; then the records are committed by the caller.

        Raises:
            InvalidArgumentError: The backend does not take this connection.
        """

    @abstractmethod
    async def cancel_many(self, ids: Sequence[UUID], *, include_running: bool = False) -> Mapping[UUID, TaskStatus]:
        """Cancel waiting records at once; with ``include_running`` ask the holders of running ones to stop.

        Returns:
            For each record that was cancelled or asked: its state now (``CANCELLED`` or ``RUNNING``).
        """

    @abstractmethod
    async def retry_many(self, ids: Sequence[UUID]) -> Sequence[UUID]:
        """Make failed and cancelled records pending again with a fresh set of attempts; history stays.

        A record whose key another live record holds is left alone.

        Returns:
            The ids that are pending again.
        """

    # workers

    @abstractmethod
    async def claim_many(self, *, worker_id: str, queues: Sequence[str], limit: int, lease: float) -> ClaimBatch:
        """Hold up to ``limit`` due records under a fresh token for ``lease`` seconds; paused queues are passed over.

        Order: priority (bigger first), due time, id. A delayed record is claimable from its due time on. A record past
        its ``expires_at`` is cancelled instead. The attempt counter goes up by one.

        Args:
            worker_id: Who holds them.
            queues: Only these; none at all means every queue but :data:`~litestar_queues.records.CANARY_QUEUE`.
            limit: At least 1.
            lease: Seconds.
        """

    @abstractmethod
    async def finish_many(self, completions: Sequence[Completion]) -> Sequence[UUID]:
        """Write outcomes of records that are still held under their token; a stale token changes nothing.

        Returns:
            The refused ids. Sending the same completion twice is harmless: the second is refused.
        """

    @abstractmethod
    async def renew_many(self, held: Sequence[Held], *, lease: float) -> Renewal:
        """Extend the leases of all these claims to ``lease`` seconds from now, in one statement."""

    @abstractmethod
    async def cancel_requests(self, worker_id: str) -> Sequence[UUID]:
        """Running records of this worker that somebody asked to stop."""

    @abstractmethod
    async def save_progress(self, progress: Mapping[Held, bytes]) -> None:
        """Store the latest progress (a JSON object) of held records; stale tokens are ignored."""

    @abstractmethod
    async def rescue_many(self, *, limit: int, max_lost_leases: int) -> Sequence[Rescued]:
        """Take records back whose lease ran out.

        They become pending with one more lost lease and no attempt spent; failed once ``max_lost_leases`` is reached;
        cancelled where that had been asked for.
        """

    @abstractmethod
    async def rescue_predecessor(self, worker_id: str, *, max_lost_leases: int) -> Sequence[Rescued]:
        """Take back at once what a former process of the same worker name held (``name:nonce``, another nonce)."""

    # schedules

    @abstractmethod
    async def sync_schedules(self, schedules: Sequence[ScheduleSync]) -> None:
        """Store new and changed definitions; unchanged ones keep their next due time."""

    @abstractmethod
    async def due_schedules(self, names: Iterable[str]) -> DueSchedules:
        """Those of the named, unpaused schedules that are due, and the seconds until the next of the others is."""

    @abstractmethod
    async def fire_ticks(self, batch: TickBatch) -> int:
        """Write ticks, their records and the next due time in one transaction; each tick at most once, ever.

        Returns:
            How many records were made; 0 where another worker was first.
        """

    @abstractmethod
    async def list_schedules(self) -> Sequence[ScheduleRow]:
        """All stored schedules by name."""

    @abstractmethod
    async def pause_schedule(self, name: str, *, paused: bool) -> bool:
        """Pause a schedule or let it go on; ``False`` where there is none of that name."""

    # looking

    @abstractmethod
    async def get_many(self, ids: Sequence[UUID]) -> Mapping[UUID, QueuedTaskRecord]:
        """The records that exist."""

    @abstractmethod
    async def list_records(self, which: RecordFilter) -> Sequence[QueuedTaskRecord]:
        """A page of records in the order of their ids; a record may have moved on while it was read.

        What does not fit is passed over, however much there is: :meth:`page_bound` says where to end.

        Raises:
            ValueError: A time of the filter has no zone.
        """

    async def page_bound(self, which: RecordFilter, count: int) -> UUID | None:
        """The last record to look at for a page of the filter, where no more than ``count`` are to be looked at.

        ``None`` where the page ends earlier, or where the store goes straight to what fits.
        """

    @abstractmethod
    async def statistics(self, queue: str | None = None) -> QueueStatistics:
        """Counts by state, exact; their cost does not grow with history."""

    @abstractmethod
    async def queue_depths(self) -> Sequence[QueueDepth]:
        """Live records of each queue that has any, by name; their cost does not grow with history."""

    @abstractmethod
    async def canary_completed_at(self) -> datetime | None:
        """When a record of :data:`~litestar_queues.records.CANARY_QUEUE` last completed."""

    # retention

    @abstractmethod
    async def prune_many(self, status: TaskStatus, *, older_than: float, limit: int) -> int:
        """Delete up to ``limit`` records that reached the terminal ``status`` more than ``older_than`` seconds ago.

        Records that still hold a key by their ``unique_for`` window stay. Returns how many went.
        """

    @abstractmethod
    async def count_old(self, status: TaskStatus, *, older_than: float) -> int:
        """How many records :meth:`prune_many` would delete by and by."""

    @abstractmethod
    async def prune_ticks(self, *, older_than: float, limit: int) -> int:
        """Delete ticks, and schedules that no worker has vouched for, older than so many seconds."""

    @abstractmethod
    async def ledger(self) -> Mapping[str, int]:
        """The balance: ``enqueued``, ``live``, ``terminal``, ``pruned``; enqueued = live + terminal + pruned."""
