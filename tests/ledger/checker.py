"""In: evidence. Out: every promise about records that it breaks, as sentences; none at all is the proof.

Each law is one function over one record or over all. Two things count that the library has no part in: what the tasks
and producers wrote down, and what the store's triggers did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from uuid import UUID

from tests.ledger.evidence import TERMINAL, Change, Evidence

__all__ = ("check",)

_TOLERANCE = 0.05
"""Seconds between the clocks of side logs and store; SQLite's own counts milliseconds."""
_MOST_LOST_LEASES = 3
"""The library's default."""


def check(evidence: Evidence) -> list[str]:
    """Every broken promise."""
    broken = [text for law in _OVER_ALL for text in law(evidence)]
    for record_id in evidence.changes.keys() | evidence.runs.keys() | evidence.rows.keys():
        broken += [f"{record_id}: {text}" for law in _OVER_EACH for text in law(evidence, record_id)]
    return broken


# over all records


def nothing_acknowledged_is_lost(evidence: Evidence) -> Iterator[str]:
    for ack in evidence.acks:
        record_id = ack["id"]
        gone = [change for change in evidence.changes.get(record_id, ()) if change.what == "pruned"]
        if not evidence.rows.get(record_id) and not gone:
            yield f"{record_id}: lost: {ack['process']} was told that it is durable"


def a_key_has_one_record(evidence: Evidence) -> Iterator[str]:
    keys = Counter(changes[0].key for changes in evidence.changes.values())
    for key, number in keys.items():
        if key is not None and number > 1:
            yield f"key {key} has {number} records"


def a_tick_has_one_record(evidence: Evidence) -> Iterator[str]:
    made = sum(changes[0].schedule is not None for changes in evidence.changes.values())
    if made > evidence.ticks:
        yield f"schedules made {made} records in {evidence.ticks} ticks"


def the_counts_balance(evidence: Evidence) -> Iterator[str]:
    status = Counter(row.status for rows in evidence.rows.values() for row in rows)
    terminal = sum(status[one] for one in TERMINAL)
    seen = {
        "enqueued": sum(change.what == "made" for changes in evidence.changes.values() for change in changes),
        "live": status.total() - terminal,
        "terminal": terminal,
        "pruned": sum(change.what == "pruned" for changes in evidence.changes.values() for change in changes),
    }
    if seen["enqueued"] != seen["live"] + seen["terminal"] + seen["pruned"]:
        yield f"the records do not balance: {seen}"
    if dict(evidence.balance) != seen:
        yield f"the library's balance is {dict(evidence.balance)}, and there are {seen}"


# over each record


def it_exists_once(evidence: Evidence, record_id: UUID) -> Iterator[str]:
    made = sum(change.what == "made" for change in evidence.changes[record_id])
    pruned = sum(change.what == "pruned" for change in evidence.changes[record_id])
    if made != 1:
        yield f"made {made} times"
    if len(evidence.rows[record_id]) + pruned != 1:
        yield f"stored {len(evidence.rows[record_id])} times and pruned {pruned} times"


def it_ends_at_most_once(evidence: Evidence, record_id: UUID) -> Iterator[str]:
    ends = [change for change in evidence.changes[record_id] if change.what in {"ended", "left", "kept"}]
    if len(ends) > 1 or any(change.what != "ended" for change in ends):
        yield f"ended {len(ends)} times: {[change.status for change in ends]}"


def it_has_one_holder_at_a_time(evidence: Evidence, record_id: UUID) -> Iterator[str]:
    """A claim finds it waiting; a holder loses it by its own word, or once its lease has run out."""
    for change in evidence.changes[record_id]:
        if change.what == "moved" and change.status == "running" and change.was == "running":
            yield f"claimed under token {change.token} while {change.old_token} held it"
    lost = 0
    for change in evidence.changes[record_id]:
        if change.lost_leases > lost and not change.overdue:
            yield f"taken from the holder of token {change.old_token} before its lease had run out"
        lost = change.lost_leases


def each_run_has_a_claim_of_its_own(evidence: Evidence, record_id: UUID) -> Iterator[str]:
    claims = Counter(change.token or 0 for change in evidence.changes[record_id] if change.status == "running")
    runs = Counter(run.token for run in evidence.runs[record_id])
    for token, number in (runs - claims).items():
        yield f"ran {number} times more often under token {token} than it was claimed under it"


def an_outcome_is_that_of_the_holder(evidence: Evidence, record_id: UUID) -> Iterator[str]:
    """What ends a held record is the end of the run under its present token, and not of one that came too late."""
    for change in evidence.changes[record_id]:
        if change.was != "running" or change.what != "ended" or _ended_without_a_run(change):
            continue
        runs = [run for run in evidence.runs[record_id] if run.token == change.old_token]
        if not any(run.ended is not None and run.ended <= change.at + _TOLERANCE for run in runs):
            yield f"{change.status} while the run under token {change.old_token} had not ended"
        elif change.status == "completed" and not any(run.how == "returned" for run in runs):
            yield f"completed, and the run under token {change.old_token} had raised {[run.how for run in runs]}"


def it_ran_unless_cancelled(evidence: Evidence, record_id: UUID) -> Iterator[str]:
    for change in evidence.changes[record_id]:
        if change.what != "ended" or evidence.runs[record_id] or _ended_without_a_run(change):
            continue
        yield f"{change.status} although it never ran"


def only_what_somebody_cancels_is_cancelled(evidence: Evidence, record_id: UUID) -> Iterator[str]:
    for change in evidence.changes[record_id]:
        is_cancelled = change.what == "ended" and change.status == "cancelled"
        if is_cancelled and record_id not in evidence.cancels and "expired" not in (change.error or ""):
            yield f"cancelled, which nobody asked for: {change.error}"


def it_is_tried_within_its_limit(evidence: Evidence, record_id: UUID) -> Iterator[str]:
    changes = evidence.changes[record_id]
    for row in evidence.rows[record_id]:
        if row.attempt > row.max_attempts:
            yield f"{row.attempt} attempts, {row.max_attempts} are allowed"
    limit = max((change.max_attempts for change in changes), default=1)
    given_back = sum(change.was == "running" and change.status in {"pending", "scheduled"} for change in changes)
    spent = sum(
        change.was == "running" and change.status == "scheduled" and change.what == "moved" for change in changes
    )
    claims = sum(change.status == "running" and change.what == "moved" for change in changes)
    if claims - (given_back - spent) > limit:
        yield f"claimed {claims} times and given back {given_back - spent} times, {limit} attempts are allowed"


def it_is_given_up_after_enough_lost_leases(evidence: Evidence, record_id: UUID) -> Iterator[str]:
    for change in evidence.changes[record_id]:
        if change.what == "ended" and _is_given_up(change) and change.lost_leases < _MOST_LOST_LEASES:
            yield f"given up after {change.lost_leases} lost leases"


def _ended_without_a_run(change: Change) -> bool:
    """By the rescuer, whose word is the lease; or before it was ever held."""
    return change.status == "cancelled" or (_is_given_up(change) and change.overdue)


def _is_given_up(change: Change) -> bool:
    return change.status == "failed" and (change.error or "").startswith("LeaseLost")


_OVER_ALL = (nothing_acknowledged_is_lost, a_key_has_one_record, a_tick_has_one_record, the_counts_balance)
_OVER_EACH = (
    it_exists_once,
    it_ends_at_most_once,
    it_has_one_holder_at_a_time,
    each_run_has_a_claim_of_its_own,
    an_outcome_is_that_of_the_holder,
    it_ran_unless_cancelled,
    only_what_somebody_cancels_is_cancelled,
    it_is_tried_within_its_limit,
    it_is_given_up_after_enough_lost_leases,
)
