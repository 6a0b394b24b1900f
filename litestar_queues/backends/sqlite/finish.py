"""In: outcomes, renewals and progress of held records. Out: what was written, fenced by the token of the claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never
from uuid import UUID

import msgspec

from litestar_queues.backends.laws import CANCELLED_ON_REQUEST, later, storable, summary
from litestar_queues.backends.sqlite.calls import Work
from litestar_queues.backends.statements import load_statements
from litestar_queues.outcomes import Cancelled, Completed, Completion, Failed, Released, Retried, RunError, Snoozed
from litestar_queues.records import Held, Renewal

__all__ = ("finish", "renew", "save_progress")

SQL = load_statements("sqlite")


def finish(work: Work, completions: Sequence[Completion]) -> list[UUID]:
    """Write outcomes of records that are still held; gives the refused ids."""
    if len(completions) > 1 and len({completion.id for completion in completions}) < len(completions):
        return [refused for completion in completions for refused in finish(work, (completion,))]
    refused: list[UUID] = []
    completed = []
    for completion in completions:
        if type(completion.outcome) is Completed:
            completed.append(completion)
        elif not _end(work, completion):
            refused.append(completion.id)
    if completed:
        refused += _complete(work, completed)
    return refused


def renew(work: Work, held: Sequence[Held], *, lease: float) -> Renewal:
    """Extend leases, and tell which claims are lost or asked to stop."""
    claims = _addressed((one.id, (one.token,)) for one in held)
    lost: list[UUID] = []
    cancelled: list[UUID] = []
    for position, asked in work.execute(SQL["find_troubled"], claims):
        (lost if asked is None else cancelled).append(held[position].id)
    work.execute(SQL["renew"], {**claims, "lease_until": later(work.now, lease)})
    return Renewal(lost, cancelled)


def save_progress(work: Work, progress: Mapping[Held, bytes]) -> None:
    """Store the latest progress of held records."""
    work.execute(SQL["progress"], _addressed((held.id, (held.token, text.decode())) for held, text in progress.items()))


def _complete(work: Work, completions: Sequence[Completion]) -> list[UUID]:
    """Complete many in few steps: for each step of a statement Python lets go of its lock and may wait for it."""
    done = _addressed((completion.id, (completion.token, _result(completion))) for completion in completions)
    held = 0
    for queue, number in work.execute(SQL["count_held"], done).fetchall():
        work.counts[queue, "completed"] += number
        held += number
    refused = []
    if held < len(completions):
        refused = [completions[row[0]].id for row in work.execute(SQL["find_unheld"], done)]
    if held:
        work.execute(SQL["complete"], {**done, "now": work.now})
    return refused


def _result(completion: Completion) -> str | None:
    result: bytes | None = completion.outcome.result  # type: ignore[union-attr]
    return None if result is None else result.decode()


def _addressed(rows: Any) -> dict[str, Any]:
    """Records and what concerns them: ids as one blob, since JSON cannot hold them, the rest as JSON beside it."""
    ids, rest = zip(*rows, strict=True)
    return {"ids": b"".join([one.bytes for one in ids]), "rows": msgspec.json.encode(rest).decode()}


def _end(work: Work, completion: Completion) -> bool:
    """Write an outcome other than success; ``False`` where the record is not held."""
    held = {"id": completion.id.bytes, "token": completion.token}
    row = work.execute(SQL["find_held"], held).fetchone()
    if row is None:
        return False
    n, queue, asked_to_stop = row
    outcome = completion.outcome
    match outcome:
        case Failed():
            _add_error(work, n, outcome.error)
            _close(work, n, queue, "failed", summary(outcome.error))
        case Cancelled():
            _close(work, n, queue, "cancelled", storable(outcome.reason))
        case Retried():
            _add_error(work, n, outcome.error)
            if asked_to_stop:
                _close(work, n, queue, "cancelled", summary(outcome.error))
            else:
                work.execute(SQL["try_again"], {"n": n, "error": summary(outcome.error), **_due(work, outcome.delay)})
        case Snoozed() | Released() if asked_to_stop:
            _close(work, n, queue, "cancelled", CANCELLED_ON_REQUEST)
        case Snoozed():
            work.execute(SQL["give_back"], {"n": n, "error": storable(outcome.reason), **_due(work, outcome.delay)})
        case Released():
            work.execute(SQL["give_back"], {"n": n, "error": None, "status": "pending", "due_at": None})
        case Completed():
            return not _complete(work, [completion])
        case _:
            assert_never(outcome)
    return True


def _close(work: Work, n: int, queue: str, status: str, error: str) -> None:
    work.execute(SQL["end_held"], {"n": n, "status": status, "error": error, "now": work.now})
    work.counts[queue, status] += 1


def _due(work: Work, delay: float) -> dict[str, Any]:
    due_at = later(work.now, delay)
    return {"due_at": due_at, "status": "scheduled" if due_at > work.now else "pending"}


def _add_error(work: Work, n: int, error: RunError) -> None:
    entry = {
        "n": n,
        "now": work.now,
        "type": storable(error.type),
        "message": storable(error.message),
        "traceback": storable(error.traceback),
    }
    work.execute(SQL["add_error"], entry)
