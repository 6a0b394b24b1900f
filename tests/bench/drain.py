"""In: records waiting in a SQLite file. Out: how fast one worker process runs and durably finishes them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.bench import peers
from tests.bench.counter import Counter
from tests.bench.lab import Lab, median, until
from tests.bench.report import Result

__all__ = ("run",)

_CONCURRENCY = 200
_LEFT = "select count(*) from lq_record where status in ('pending', 'scheduled', 'running')"
_LONGEST = 15.0


def run(lab: Lab) -> list[Result]:
    """Measure, with the peers where they are wanted."""
    samples: dict[str, Callable[[], float | None]] = {
        "plain": lambda: lab.ask("plain", "drain", lab.path(".db"), lab.size(100_000, 30_000)),
        "ours": lambda: _ours(lab),
    }
    for peer in peers.install(lab):
        samples[peer.name] = lambda peer=peer: _peer(lab, peer)  # type: ignore[misc]
    taken = {name: median(values) for name, values in lab.in_turns(samples).items()}
    ours, plain = taken["ours"], taken["plain"]
    results = [
        Result(
            what=f"drain of no-op tasks, SQLite, {_CONCURRENCY} at a time",
            value=ours,
            unit="/s",
            limit=plain,
            limit_is="/s, sqlite3 loop of 100",
            target=0.1,
            judged=ours / plain,
            target_is="10 % of the loop",
        )
    ]
    for peer in peers.PEERS:
        if peer.name in taken:
            rate = taken[peer.name]
            goal = 4.0 if peer.name == "huey" else None
            note = "4 times huey" if goal else ""
            what = f"the same, as a multiple of {peer.title} ({rate:,.0f} /s)"
            results.append(Result(what=what, value=ours / rate, unit="x", target=goal, target_is=note))
    return results


def _ours(lab: Lab) -> float:
    path, number = lab.path(".db"), lab.size(60_000, 10_000)
    lab.ask("fill", path, number)
    counter = lab.path(".counter")
    seen = Counter(counter, create=True)
    with lab.worker(path, counter, _CONCURRENCY) as process:
        return _rate(seen, process, path, _LEFT, number)


def _peer(lab: Lab, peer: peers.Peer) -> float:
    path, number = lab.path(".db"), lab.size(peer.number, peer.number // 4)
    peer.call("fill", path, number)
    counter = lab.path(".counter")
    seen = Counter(counter, create=True)
    with lab.process(peer.command("worker", path, counter), cwd=lab.folder) as process:
        return _rate(seen, process, path, peer.left, number)


def _rate(seen: Counter, process: psutil.Process, path: Path, left: str, number: int) -> float:
    """From the first start until all have started and none is left in the file; a slow one is cut off."""
    until(lambda: seen.count > 0, process)
    until(lambda: seen.count >= number, process, within=_LONGEST)
    with sqlite3.connect(path, timeout=30) as connection:
        remaining = number
        while remaining:
            remaining = connection.execute(left).fetchone()[0]
            if time.monotonic() > seen.first + _LONGEST:
                break
            time.sleep(0.002)
        done_at = time.monotonic()
    connection.close()
    return (number - remaining) / (done_at - seen.first)
