"""In: an open backend. Out: the verbs as tests say them, and the laws that hold at any time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar_queues.backends.base import QueueBackend
from litestar_queues.outcomes import Completed, Completion, Outcome
from litestar_queues.records import Claim, Held, QueuedTaskRecord
from litestar_queues.status import LIVE, TERMINAL, TaskStatus
from tests.builders import make_record

__all__ = (
    "WORKER",
    "assert_balanced",
    "claim",
    "claim_one",
    "enqueue",
    "finish",
    "get",
    "held",
    "ids_of",
    "run_one",
    "status_of",
)

WORKER = "worker:1"


async def enqueue(backend: QueueBackend, **options: Any) -> UUID:
    """Enqueue one record; its id, or the id of the holder of its key."""
    (enqueued,) = await backend.enqueue_many([make_record(**options)])
    return enqueued.id


async def claim(
    backend: QueueBackend, *queues: str, limit: int = 100, lease: float = 60, worker_id: str = WORKER
) -> list[Claim]:
    batch = await backend.claim_many(worker_id=worker_id, queues=queues, limit=limit, lease=lease)
    return list(batch.claims)


async def claim_one(backend: QueueBackend, *queues: str, lease: float = 60, worker_id: str = WORKER) -> Claim:
    """Claim the one record that is due."""
    (one,) = await claim(backend, *queues, lease=lease, worker_id=worker_id)
    return one


async def finish(backend: QueueBackend, one: Claim, outcome: Outcome) -> bool:
    """Whether the outcome was accepted."""
    refused = list(await backend.finish_many([Completion(one.id, one.token, outcome)]))
    assert refused in ([], [one.id])
    return not refused


async def run_one(backend: QueueBackend, outcome: Outcome | None = None, **options: Any) -> UUID:
    """Bring a record of its own queue to this end; the others are left alone."""
    options = {"queue": "run-one", **options}
    record_id = await enqueue(backend, **options)
    one = await claim_one(backend, options["queue"])
    assert one.id == record_id
    assert await finish(backend, one, outcome or Completed(None))
    return record_id


async def get(backend: QueueBackend, record_id: UUID) -> QueuedTaskRecord:
    return (await backend.get_many([record_id]))[record_id]


async def status_of(backend: QueueBackend, record_id: UUID) -> TaskStatus:
    return (await get(backend, record_id)).status


def held(one: Claim) -> Held:
    return Held(one.id, one.token)


def ids_of(claims: Sequence[Claim]) -> list[UUID]:
    return [one.id for one in claims]


async def assert_balanced(backend: QueueBackend) -> None:
    """The ledger balances, and the counts agree with it."""
    ledger = await backend.ledger()
    assert set(ledger) == {"enqueued", "live", "terminal", "pruned"}
    assert ledger["enqueued"] == ledger["live"] + ledger["terminal"] + ledger["pruned"]
    counts = (await backend.statistics()).as_dict()
    assert ledger["live"] == sum(counts[status.value] for status in LIVE)
    assert ledger["terminal"] == sum(counts[status.value] for status in TERMINAL)
