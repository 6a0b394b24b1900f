"""In: a scenario, a store and a seed. Out: what became of every record, and how long the fault was felt."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.ledger.checker import check
from tests.ledger.evidence import TERMINAL, Evidence, gather
from tests.ledger.scenarios import OUTAGE, Scenario
from tests.ledger.stage import Stage
from tests.ledger.stores import Postgres, SQLite, Store, small_disk

__all__ = ("Report", "play")

_MOST_OUTAGES = 3
"""Lines that one fault may cost in the log of one worker: one, or three where some statements get through all along."""

_LAST_WORDS = 12.0
"""Seconds for lines that may come after the last record has ended: who listens for wake-ups rests 10 s at most."""


@dataclass(slots=True)
class Report:
    """How a scenario went."""

    name: str
    store: str
    seed: int
    broken: list[str] = field(default_factory=list)
    """Promises that were broken, and logs and metrics that said nothing."""
    records: int = 0
    acknowledged: int = 0
    rescued: int = 0
    lost: int = 0
    doubled: int = 0
    again: int = 0
    """Runs beyond the first of an attempt: what at least once costs."""
    recovery: float = 0.0
    """Seconds from the fault's end until the last record that was there by then had ended."""
    seconds: float = 0.0


def play(scenario: Scenario, kind: str, seed: int, *, keep: bool = False) -> Report:
    """Play it in a folder of its own."""
    began = time.monotonic()
    report = Report(scenario.name, kind, seed)
    folder = Path(tempfile.mkdtemp(prefix=f"lq-ledger-{scenario.name}-"))
    folder.chmod(0o755)
    try:
        with ExitStack() as stack:
            _set_up_and_play(scenario, kind, folder, report, stack)
    except Exception as error:
        report.broken.append(f"{type(error).__name__}: {error}")
    report.seconds = time.monotonic() - began
    if report.broken or keep:
        report.broken.append(f"what everybody wrote down is kept in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return report


def _set_up_and_play(scenario: Scenario, kind: str, folder: Path, report: Report, stack: ExitStack) -> None:
    disk = stack.enter_context(small_disk(scenario.disk)) if scenario.disk else None
    store = _store(kind, folder, disk, report.seed)
    stack.callback(store.close)
    if scenario.pooler:
        store.add_pooler()  # type: ignore[attr-defined]
    stage = Stage(folder, store, seed=report.seed, **scenario.settings)
    stack.callback(stage.close)
    stage.disk = disk or folder
    _play(scenario, stage, report)


def _store(kind: str, folder: Path, disk: Path | None, seed: int) -> Store:
    if kind == "sqlite":
        return SQLite(folder, on=disk)
    return Postgres(seed=seed, driver=("asyncpg", "psycopg")[seed % 2], on=disk)


def _play(scenario: Scenario, stage: Stage, report: Report) -> None:
    stage.open(scenario.workers, scenario.producers)
    if scenario.before is not None:
        scenario.before(stage)
    stage.pause(1)
    scenario.fault(stage)
    well_again = time.time()
    stage.pause(2)
    stage.finish()
    said = _said(scenario.says, stage)
    report.broken += [f"no log line says {text!r}" for text in scenario.says if text not in said]
    if scenario.says[:1] == OUTAGE[:1] and not scenario.many:
        counts = {one.pid: one.err.count(OUTAGE[0]) for one in stage.workers}
        report.broken += [f"worker {pid} told of {n} outages" for pid, n in counts.items() if n > _MOST_OUTAGES]
    if scenario.moves is not None and not stage.metric(scenario.moves):
        report.broken.append(f"the metric {scenario.moves} has not moved")
    stage.leave()
    report.broken += [f"a traceback:\n{one.err}" for one in stage.all if "Traceback" in one.err]
    evidence = gather(stage.folder, stage.store.changes(), stage.store.all_rows())
    if not scenario.rescues and any(row.lost_leases for rows in evidence.rows.values() for row in rows):
        report.broken.append("records were rescued that should have been given back")
    evidence.ticks, evidence.balance = stage.store.ticks(), stage.store.balance()
    _judge(evidence, well_again, report)


def _said(lines: Sequence[str], stage: Stage) -> str:
    """What the workers printed, once the lines are there, or else when they could not come any more."""
    deadline = time.monotonic() + _LAST_WORDS
    while time.monotonic() < deadline and any(text not in stage.said() for text in lines):
        stage.pause(0.1)
    return stage.said()


def _judge(evidence: Evidence, well_again: float, report: Report) -> None:
    report.broken += check(evidence)
    report.records = len(evidence.changes)
    report.acknowledged = len(evidence.acks)
    report.lost = sum("lost:" in text for text in report.broken)
    ends = Counter(
        record_id for record_id, changes in evidence.changes.items() for change in changes if change.what == "ended"
    )
    report.doubled = sum(number > 1 for number in ends.values())
    report.rescued = sum(row.lost_leases > 0 for rows in evidence.rows.values() for row in rows)
    report.again = sum(max(0, len(runs) - 1) for runs in evidence.runs.values())
    waiting = [
        changes[-1].at
        for changes in evidence.changes.values()
        if changes[0].at < well_again and changes[-1].status in TERMINAL
    ]
    report.recovery = max(0.0, max(waiting, default=0.0) - well_again)
