"""In: wishes of users, lost leases, old age. Out: records cancelled, retried, rescued or deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from litestar_queues.backends.laws import CANCELLED_ON_REQUEST, fate_of_lost, is_former_self, later
from litestar_queues.backends.sqlite.calls import Work
from litestar_queues.backends.statements import load_statements
from litestar_queues.records import CANARY_QUEUE, Rescued
from litestar_queues.status import LIVE, TaskStatus

__all__ = ("cancel", "cancel_requests", "peek_old", "peek_stale", "prune", "rescue", "rescue_predecessor", "retry")

SQL = load_statements("sqlite")

_WAITING = (TaskStatus.PENDING.value, TaskStatus.SCHEDULED.value)


def cancel(work: Work, ids: Sequence[UUID], *, include_running: bool) -> dict[UUID, TaskStatus]:
    """Cancel waiting records and ask the holders of running ones to stop."""
    cancelled: dict[UUID, TaskStatus] = {}
    for record_id in dict.fromkeys(ids):
        row = work.execute(SQL["find_record"], {"id": record_id.bytes}).fetchone()
        if row is None:
            continue
        n, queue, status, _ = row
        if status in _WAITING:
            work.execute(SQL["cancel_waiting"], {"n": n, "now": work.now, "error": CANCELLED_ON_REQUEST})
            work.counts[queue, "cancelled"] += 1
            cancelled[record_id] = TaskStatus.CANCELLED
        elif include_running and status == TaskStatus.RUNNING.value:
            work.execute(SQL["ask_to_stop"], {"n": n})
            cancelled[record_id] = TaskStatus.RUNNING
    return cancelled


def cancel_requests(work: Work, worker_id: str) -> list[UUID]:
    """Running records of a worker that somebody asked to stop."""
    return [UUID(bytes=row[0]) for row in work.execute(SQL["cancel_requests"], {"worker_id": worker_id})]


def retry(work: Work, ids: Sequence[UUID]) -> list[UUID]:
    """Make failed and cancelled records pending again, where no live record holds their key."""
    retried = []
    for record_id in dict.fromkeys(ids):
        row = work.execute(SQL["find_record"], {"id": record_id.bytes}).fetchone()
        if row is None:
            continue
        n, queue, status, key = row
        if TaskStatus(status) in LIVE or status == TaskStatus.COMPLETED.value:
            continue
        if key is not None and work.execute(SQL["find_live_holder"], {"key": key}).fetchone():
            continue
        work.execute(SQL["retry"], {"n": n, "now": work.now})
        work.counts[queue, status] -= 1
        retried.append(record_id)
    return retried


class _Lost(NamedTuple):
    n: int
    id: bytes
    task: str
    queue: str
    worker_id: str
    cancel_requested: int
    lost_leases: int
    at_most_once: int


def peek_stale(work: Work) -> list[Rescued] | None:
    """The empty answer where every lease still runs."""
    return None if work.execute(SQL["any_stale"], {"now": work.now}).fetchone()[0] else []


def rescue(work: Work, *, limit: int, max_lost_leases: int) -> list[Rescued]:
    """Take records back whose lease ran out."""
    rows = work.execute(SQL["find_stale"], {"now": work.now, "limit": limit}).fetchall()
    return _take_back(work, [_Lost._make(row) for row in rows], max_lost_leases)


def rescue_predecessor(work: Work, worker_id: str, *, max_lost_leases: int) -> list[Rescued]:
    """Take back what a worker of the same name and another nonce held."""
    rows = [_Lost._make(row) for row in work.execute(SQL["find_running"])]
    return _take_back(work, [row for row in rows if is_former_self(row.worker_id, worker_id)], max_lost_leases)


def _take_back(work: Work, lost: Sequence[_Lost], max_lost_leases: int) -> list[Rescued]:
    fates: dict[tuple[TaskStatus, str | None], list[_Lost]] = {}
    for one in lost:
        fate = fate_of_lost(
            asked_to_stop=bool(one.cancel_requested),
            at_most_once=bool(one.at_most_once),
            lost_leases=one.lost_leases,
            max_lost_leases=max_lost_leases,
        )
        fates.setdefault(fate, []).append(one)
    rescued = []
    for (status, reason), ones in fates.items():
        ns = msgspec.json.encode([one.n for one in ones]).decode()
        if status is TaskStatus.PENDING:
            work.execute(SQL["rescue"], {"ns": ns})
        else:
            work.execute(SQL["end_lost"], {"ns": ns, "status": status.value, "now": work.now, "error": reason})
            for one in ones:
                work.counts[one.queue, status.value] += 1
        rescued += [Rescued(UUID(bytes=one.id), one.task, one.queue, one.worker_id, status) for one in ones]
    return rescued


def peek_old(work: Work, status: TaskStatus, *, older_than: float) -> int | None:
    """0 where no record is old enough."""
    return None if work.execute(SQL["any_old"], _age(work, status, older_than)).fetchone()[0] else 0


def count_old(work: Work, status: TaskStatus, *, older_than: float) -> int:
    """How many records of a terminal state could be deleted."""
    old = {**_age(work, status, older_than), "now": work.now}
    return int(work.execute(SQL["count_old"], old).fetchone()[0])


def prune(work: Work, status: TaskStatus, *, older_than: float, limit: int) -> int:
    """Delete the oldest records of a terminal state."""
    last = work.execute(SQL["last_number"]).fetchone()[0]
    pruned = 0
    old = {**_age(work, status, older_than), "limit": limit, "now": work.now}
    for queue, number, ns in work.execute(SQL["find_old"], old).fetchall():
        if queue == CANARY_QUEUE and status is TaskStatus.COMPLETED:
            _remember_canary(work, ns)
        work.execute(SQL["delete_records"], {"ns": ns})
        work.counts[queue, status.value] -= number
        work.counts[queue, "pruned"] += number
        pruned += number
    if pruned:
        work.counts["", "forgotten"] += last - work.execute(SQL["last_number"]).fetchone()[0]
    return pruned


def _remember_canary(work: Work, ns: str) -> None:
    """Note when it completed: a retention shorter than its interval must not make a healthy fleet look sick."""
    noted = work.execute(SQL["canary_pruned"]).fetchone()[0] + work.counts[CANARY_QUEUE, "last_pruned_at"]
    latest = work.execute(SQL["latest_end"], {"ns": ns}).fetchone()[0]
    work.counts[CANARY_QUEUE, "last_pruned_at"] += max(0, latest - noted)


def _age(work: Work, status: TaskStatus, older_than: float) -> Mapping[str, Any]:
    return {"status": status.value, "before": later(work.now, -older_than)}
