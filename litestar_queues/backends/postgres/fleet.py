"""In: what workers tell and operators ask. Out: who is there, which queues rest, and what ended when."""

# ruff: noqa: D102 - the seam documents its methods
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from litestar_queues.backends.base import QueueBackend
from litestar_queues.backends.laws import check_pause
from litestar_queues.fleet import QueuePause, Tally, WorkerReport, WorkerRow, by_queue

if TYPE_CHECKING:
    from litestar_queues.backends.postgres.listener import Listener

__all__ = ("PostgresFleet",)


class PostgresFleet(QueueBackend):
    """The half of the PostgreSQL backend that is about no single record."""

    listener: Listener
    _channel: str | None

    @abstractmethod
    def _now(self) -> datetime | None: ...

    @abstractmethod
    async def _run(self, name: str, *arguments: Any) -> Sequence[Sequence[Any]]: ...

    async def report_worker(self, report: WorkerReport, *, lease: float, tallies: Sequence[Tally] = ()) -> None:
        columns: list[list[Any]] = [[], [], [], [], [], [], []]
        for _, *counts, waits, durations in by_queue(tallies):
            for column, value in zip(columns, (*counts, _as_array(waits), _as_array(durations)), strict=True):
                column.append(value)
        named = {**asdict(report), "queues": list(report.queues), "lease": float(lease)}
        await self._run("report_worker", self._now(), *named.values(), *columns)

    async def forget_worker(self, worker_id: str) -> None:
        await self._run("forget_worker", worker_id)

    async def list_workers(self) -> Sequence[WorkerRow]:
        return [_as_worker(row) for row in await self._run("list_workers", self._now())]

    async def count_workers(self) -> Mapping[str, int]:
        return {row[0]: row[1] for row in await self._run("count_workers", self._now())}

    async def pause_queue(self, queue: str, *, seconds: float | None = None) -> None:
        check_pause(queue, seconds)
        await self._run("pause_queue", self._now(), queue, None if seconds is None else float(seconds))
        self.listener.notify()

    async def resume_queue(self, queue: str) -> bool:
        rows = await self._run("resume_queue", self._now(), queue, self._channel)
        self.listener.notify()
        return any(row[0] for row in rows)

    async def paused_queues(self) -> Sequence[QueuePause]:
        return [QueuePause(*row) for row in await self._run("paused_queues", self._now())]

    async def list_tallies(self, *, seconds: float) -> Sequence[Tally]:
        rows = await self._run("list_tallies", self._now(), float(seconds))
        return [Tally._make((*row[:6], tuple(row[6]), tuple(row[7]))) for row in rows]

    async def prune_workers(self, *, older_than: float, limit: int) -> int:
        return len(await self._run("prune_workers", self._now(), float(older_than), limit))

    async def prune_tallies(self, *, older_than: float, limit: int) -> int:
        return len(await self._run("prune_tallies", self._now(), float(older_than), limit))


def _as_array(counts: Sequence[int]) -> str:
    return f"{{{','.join(map(str, counts))}}}"


def _as_worker(row: Sequence[Any]) -> WorkerRow:
    worker_id, host, pid, version, queues, most, running, draining, started_at, seen_at, alive = row
    return WorkerRow(
        worker_id=worker_id,
        host=host,
        pid=pid,
        version=version,
        queues=tuple(queues),
        max_concurrency=most,
        running=running,
        draining=draining,
        started_at=started_at,
        seen_at=seen_at,
        alive=alive,
    )
