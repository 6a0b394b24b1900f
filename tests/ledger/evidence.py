"""In: side logs and the store's own account. Out: what is known of each record, as plain values."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.ledger import sidelog

__all__ = ("Change", "Evidence", "Row", "Run", "gather")

TERMINAL = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of one record, as the store's triggers wrote it down."""

    what: str
    """``made``, ``moved``, ``ended`` or ``pruned``."""
    at: float
    """Wall clock of the store."""
    was: str | None = None
    status: str | None = None
    old_token: int | None = None
    token: int | None = None
    overdue: bool = False
    """The lease had run out."""
    attempt: int = 0
    max_attempts: int = 1
    lost_leases: int = 0
    key: str | None = None
    schedule: str | None = None
    error: str | None = None


@dataclass(slots=True)
class Run:
    """One run, as the task noted it."""

    token: int
    process: str
    started: float
    ended: float | None = None
    """``None``: the process died before."""
    how: str | None = None
    """``returned``, or the name of what was raised."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record as it is stored in the end."""

    status: str
    attempt: int
    max_attempts: int
    lost_leases: int


@dataclass(slots=True)
class Evidence:
    """All that was written down about one scenario; times are wall clock of the machine."""

    acks: list[Mapping[str, Any]] = field(default_factory=list)
    unsure: int = 0
    cancels: set[UUID] = field(default_factory=set)
    runs: dict[UUID, list[Run]] = field(default_factory=lambda: defaultdict(list))
    changes: dict[UUID, list[Change]] = field(default_factory=lambda: defaultdict(list))
    rows: dict[UUID, list[Row]] = field(default_factory=lambda: defaultdict(list))
    ticks: int = 0
    balance: Mapping[str, int] = field(default_factory=dict)
    """What the library says: enqueued, live, terminal, pruned."""


def gather(logs: Path, changes: Iterable[Sequence[Any]], rows: Iterable[Sequence[Any]]) -> Evidence:
    """Bring everything together.

    Args:
        logs: Folder of the side logs.
        changes: Rows of ``ledger_audit`` in their order.
        rows: Id, status, attempt, max_attempts and lost_leases of every stored record.
    """
    found = Evidence()
    _read_logs(found, logs)
    _read_changes(found, changes)
    for record_id, *rest in rows:
        found.rows[_id(record_id)].append(Row(*rest))
    return found


def _read_logs(found: Evidence, logs: Path) -> None:
    wall = time.time() - time.monotonic()
    for line in sidelog.read(logs):
        match line["what"]:
            case "ack":
                found.acks.append(line | {"id": UUID(line["id"])})
            case "unsure":
                found.unsure += 1
            case "cancel":
                found.cancels.add(UUID(line["id"]))
            case "start":
                run = Run(line["token"], line["process"], line["at"] + wall)
                found.runs[UUID(line["id"])].append(run)
            case "end":
                run = next(
                    one
                    for one in found.runs[UUID(line["id"])]
                    if one.token == line["token"] and one.process == line["process"] and one.ended is None
                )
                run.ended, run.how = line["at"] + wall, line["how"]


_COLUMNS = (
    "what", "at", "was", "status", "old_token", "token", "overdue", "attempt", "max_attempts", "lost_leases", "key",
    "schedule", "error",
)  # fmt: skip


def _read_changes(found: Evidence, changes: Iterable[Sequence[Any]]) -> None:
    leaving: dict[UUID, dict[str, Any]] = {}
    for raw, *values in changes:
        record_id = _id(raw)
        known = {name: value for name, value in zip(_COLUMNS, values, strict=True) if value is not None}
        known["overdue"] = bool(known.get("overdue"))
        if known["what"] in {"left", "kept"}:  # two tables: the end is the one and the other
            other = leaving.pop(record_id, None)
            if other is None:
                leaving[record_id] = known
                continue
            left, kept = (other, known) if known["what"] == "kept" else (known, other)
            overdue = left["overdue"]
            known = left | kept | {"what": "ended", "overdue": overdue}
        found.changes[record_id].append(Change(**known))
    for record_id, known in leaving.items():
        if [change.what for change in found.changes[record_id]] == ["made"] and known["was"] != "running":
            del found.changes[record_id]  # taken back in the transaction that made it: its key was taken
        else:
            found.changes[record_id].append(Change(**known))


def _id(raw: Any) -> UUID:
    return raw if isinstance(raw, UUID) else UUID(bytes=bytes(raw))
