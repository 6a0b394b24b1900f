"""In: a worker's demand. Out: the due records it now holds, in the order of the law."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec

from litestar_queues.backends.laws import EXPIRED, later
from litestar_queues.backends.sqlite.calls import Work
from litestar_queues.backends.statements import load_statements
from litestar_queues.clock import MICROSECONDS
from litestar_queues.ids import new_token
from litestar_queues.records import Claim, ClaimBatch

__all__ = ("ClaimRequest", "claim", "peek")

SQL = load_statements("sqlite")

_MOST_PROMOTED = 5000
"""Delayed records that one claim makes pending: the write lock is held for so long."""
_MOST_EXPIRED_ROUNDS = 20


class ClaimRequest(NamedTuple):
    """The arguments of one claim."""

    worker_id: str
    queues: str | None
    """JSON array of names; ``None``: every queue but the canary's."""
    limit: int
    lease: float


class _Pick(NamedTuple):
    """A waiting record; sorts as the law says."""

    priority: int
    """Negated."""
    due_at: int
    id: str
    n: int
    expired: int | None


class _HeldRow(NamedTuple):
    id: UUID
    task: str
    queue: str
    payload: msgspec.Raw
    attempt: int
    max_attempts: int
    due_at: int
    timeout: float | None = None
    metadata: str | None = None
    backoff: str | None = None
    execution_backend: str | None = None
    execution_profile: str | None = None
    schedule: str | None = None
    at_most_once: bool = False


_decode_picks = msgspec.json.Decoder(list[_Pick]).decode
_decode_held = msgspec.json.Decoder(list[_HeldRow]).decode


def peek(work: Work, request: ClaimRequest) -> ClaimBatch | None:
    """The empty answer where nothing is due; ``None`` where something is."""
    waiting, delayed = _look(work, request)
    if waiting or any(due_at <= work.now for due_at in delayed.values()):
        return None
    return ClaimBatch((), _until_next(delayed, work.now))


def claim(work: Work, request: ClaimRequest) -> ClaimBatch:
    """Hold what is due, up to the limit."""
    waiting, delayed = _look(work, request)
    due = [queue for queue, due_at in delayed.items() if due_at <= work.now]
    if due:
        for queue in due:
            work.execute(SQL["promote"], {"queue": queue, "now": work.now, "limit": _MOST_PROMOTED})
        waiting, delayed = _look(work, request)
    token = new_token()
    claims: list[Claim] = []
    for _ in range(_MOST_EXPIRED_ROUNDS):
        wanted = request.limit - len(claims)
        picks = _pick(work, waiting, wanted)
        alive = [pick.n for pick in picks if not pick.expired]
        if alive:
            claims += _hold(work, alive, token, request)
        if len(alive) < len(picks):
            _expire(work, picks)
        if len(picks) < wanted:
            return ClaimBatch(claims, _until_next(delayed, work.now))
        if len(alive) == wanted:
            return ClaimBatch(claims)
    return ClaimBatch(claims, 0.0)


def _look(work: Work, request: ClaimRequest) -> tuple[list[str], dict[str, int]]:
    """Queues with waiting records, and queues with delayed ones and the earliest due time; a pause is such a delay."""
    if request.queues is None:
        rows = work.execute(SQL["look_everywhere"], {"now": work.now}).fetchall()
    else:
        rows = work.execute(SQL["look_in"], {"queues": request.queues, "now": work.now}).fetchall()
    waiting = [queue for queue, due_at in rows if due_at is None]
    return waiting, {queue: due_at for queue, due_at in rows if due_at is not None}


def _until_next(delayed: dict[str, int], now: int) -> float | None:
    return max(0.0, (min(delayed.values()) - now) / MICROSECONDS) if delayed else None


def _pick(work: Work, queues: Sequence[str], limit: int) -> list[_Pick]:
    """The first waiting records of these queues together."""
    picks: list[_Pick] = []
    for queue in queues:
        wanted = {"queue": queue, "now": work.now, "limit": limit}
        picks += _decode_picks(work.execute(SQL["pick"], wanted).fetchone()[0])
    if len(queues) > 1:
        picks.sort()
        del picks[limit:]
    return picks


def _hold(work: Work, picked: Sequence[int], token: int, request: ClaimRequest) -> list[Claim]:
    # not "returning": each row would be a step for which the interpreter lock is let go and waited for
    ns = msgspec.json.encode(picked).decode()
    now = work.now
    held = {
        "ns": ns,
        "token": token,
        "lease_until": later(now, request.lease),
        "worker_id": request.worker_id,
        "now": now,
    }
    work.execute(SQL["hold"], held)
    return [
        Claim(
            record_id,
            token,
            task,
            queue,
            bytes(payload),
            attempt,
            max_attempts,
            timeout,
            None if metadata is None else metadata.encode(),
            None if backoff is None else backoff.encode(),
            execution_backend,
            execution_profile,
            schedule,
            (now - due_at) / MICROSECONDS if due_at < now else 0.0,
            at_most_once,
        )
        for record_id, task, queue, payload, attempt, max_attempts, due_at, timeout, metadata, backoff,
        execution_backend, execution_profile, schedule, at_most_once in _read_held(work, picked, ns)
    ]  # fmt: skip


def _read_held(work: Work, picked: Sequence[int], ns: str) -> list[_HeldRow]:
    try:
        return _decode_held(_held(work, ns))
    except (msgspec.DecodeError, RecursionError):
        # somebody else wrote a payload that is no JSON: it fails its own record, not all that are claimed beside it
        return [row for n in picked for row in _read_one(work, f"[{n}]")]


def _read_one(work: Work, ns: str) -> list[_HeldRow]:
    try:
        return _decode_held(_held(work, ns))
    except (msgspec.DecodeError, RecursionError):
        return _decode_held(_held(work, ns, quoted=True))


def _held(work: Work, ns: str, *, quoted: bool = False) -> str:
    return str(work.execute(SQL["held"], {"ns": ns, "quoted": quoted}).fetchone()[0])


def _expire(work: Work, picks: Sequence[_Pick]) -> None:
    expired = [pick.n for pick in picks if pick.expired]
    ns = msgspec.json.encode(expired).decode()
    for queue, number in work.execute(SQL["count_by_queue"], {"ns": ns}):
        work.counts[queue, "cancelled"] += number
    work.execute(SQL["expire"], {"ns": ns, "now": work.now, "error": EXPIRED})
