"""In: what workers tell and operators ask. Out: the laws of that half of the seam which is about no single record."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from litestar_queues.fleet import QueuePause, Tally, WorkerReport, WorkerRow

__all__ = ("FleetStore",)


class FleetStore(ABC):
    """Where workers, pauses and tallies live: beside the records."""

    @abstractmethod
    async def report_worker(self, report: WorkerReport, *, lease: float, tallies: Sequence[Tally] = ()) -> None:
        """Store what a worker tells of itself, for ``lease`` seconds, and add what ended in it, in one transaction.

        The tallies count for the minute in which they arrive, by the store's clock; their own ``minute`` is not read.
        """

    @abstractmethod
    async def forget_worker(self, worker_id: str) -> None:
        """Delete what a worker told; it has left in good order."""

    @abstractmethod
    async def list_workers(self) -> Sequence[WorkerRow]:
        """All workers by host and id, also those whose lease ran out, until they are pruned."""

    @abstractmethod
    async def count_workers(self) -> Mapping[str, int]:
        """How many of them are in each state; states in which none is may be left out."""

    @abstractmethod
    async def pause_queue(self, queue: str, *, seconds: float | None = None) -> None:
        """Let claims pass the queue over in every process, from the next one on; everything else goes on.

        Its records may be enqueued, renewed, finished, retried and cancelled; ticks make records that wait. Pausing
        a paused queue moves the end alone.

        Args:
            queue: Whether it has records or not.
            seconds: Until it goes on by itself, above 0; ``None``: until it is resumed.

        Raises:
            InvalidArgumentError: It is the canary's queue or no name of a queue, or ``seconds`` is no such number.
        """

    @abstractmethod
    async def resume_queue(self, queue: str) -> bool:
        """Let claims take the queue's records again; whether it was paused."""

    @abstractmethod
    async def paused_queues(self) -> Sequence[QueuePause]:
        """The pauses in force, by queue."""

    @abstractmethod
    async def list_tallies(self, *, seconds: float) -> Sequence[Tally]:
        """What ended in the minutes of the last so many seconds, oldest first, then by queue, summed over workers."""

    @abstractmethod
    async def prune_workers(self, *, older_than: float, limit: int) -> int:
        """Delete up to ``limit`` workers that were last seen more than so many seconds ago and whose lease ran out."""

    @abstractmethod
    async def prune_tallies(self, *, older_than: float, limit: int) -> int:
        """Delete up to ``limit`` tallies of minutes that began more than so many seconds ago."""
