"""In: a server of PostgreSQL that flushes each commit. Out: what the library does on it, beside asyncpg alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import count
from typing import Any

import psutil

from tests.bench import peers
from tests.bench.counter import Counter
from tests.bench.lab import ROOT, Lab, median, until
from tests.bench.report import Result
from tests.postgres.server import Server, running_server

__all__ = ("Databases", "databases", "run")

_CONCURRENCY = 1_000
_SLEEPERS = 100
_PAUSE = 0.05
_LONGEST = 20.0
_LEFT = "select count(*) from lq_live"
_SETTINGS = ("fsync = on", "synchronous_commit = on", "shared_buffers = '256MB'", "max_wal_size = '4GB'", "jit = off")
_numbers = count()


@dataclass(frozen=True, slots=True)
class Databases:
    """New databases on one server."""

    server: Server

    def new(self) -> str:
        """An empty one; gives its URL."""
        name = f"bench{next(_numbers)}"
        self.server.run(f"create database {name}")
        return self.server.url(database=name)

    @staticmethod
    def plain(url: str) -> str:
        """The URL as drivers and other libraries take it."""
        return url.replace("+asyncpg", "")

    def ask(self, url: str, sql: str) -> Any:
        """One value."""
        with import_module("psycopg").connect(self.plain(url), autocommit=True) as connection:
            return connection.execute(sql).fetchone()[0]


@contextmanager
def databases() -> Iterator[Databases]:
    """A server with the settings of production, as far as durability goes."""
    with running_server() as server:
        for setting in _SETTINGS:
            server.run(f"alter system set {setting}")
        server.stop()
        server.start()
        yield Databases(server)


def run(lab: Lab) -> list[Result]:
    """Measure."""
    with databases() as made:
        return [*_enqueue(lab, made), *_drain(lab, made), *_pickup(lab, made)]


def _enqueue(lab: Lab, made: Databases) -> list[Result]:
    rates: dict[str, list[float]] = {}
    for _ in range(lab.repeats):
        bulk, rounds = lab.size(10_000, 2_000), lab.size(5, 2)
        answer = lab.ask("enqueue_postgres", made.new(), made.plain(made.new()), bulk, rounds)
        for name, values in answer.items():
            rates.setdefault(name, []).extend(values)
    lines = (
        ("enqueue one by one", "one", "plain", "a commit and NOTIFY each", 0.8),
        ("enqueue from 32 callers at once", "callers", "plain groups", "32 in a statement", 0.3),
        ("enqueue 10,000 in one call", "bulk", "plain bulk", "COPY", None),
    )
    return [
        Result(
            what=f"{what}, PostgreSQL",
            value=median(rates[ours]),
            unit="/s",
            limit=median(rates[raw]),
            limit_is=f"/s, {note}",
            target=share,
            judged=median(rates[ours]) / median(rates[raw]),
            target_is="" if share is None else f"{share:.0%} of that",
        )
        for what, ours, raw, note, share in lines
    ]


def _drain(lab: Lab, made: Databases) -> list[Result]:
    samples: dict[str, Callable[[], float | None]] = {
        "plain": lambda: lab.ask("plain", "postgres drain", made.plain(made.new()), lab.size(60_000, 10_000)),
        "ours": partial(_ours, lab, made, lab.size(60_000, 10_000), "bench.noop", _CONCURRENCY),
        "sleepers": partial(_ours, lab, made, lab.size(10_000, 3_000), "bench.sleep", _SLEEPERS),
    }
    for peer in peers.install(lab, "postgres"):
        samples[peer.name] = partial(_peer, lab, made, peer)
    taken = {name: median(values) for name, values in lab.in_turns(samples).items()}
    results = [
        Result(
            what=f"drain of no-op tasks, PostgreSQL, {_CONCURRENCY} at a time",
            value=taken["ours"],
            unit="/s",
            limit=taken["plain"],
            limit_is="/s, asyncpg loop of 500",
            target=0.65,
            judged=taken["ours"] / taken["plain"],
            target_is="65% of the loop",
        ),
        Result(
            what="drain of tasks that wait 10 ms, PostgreSQL, 100 at a time",
            value=taken["sleepers"],
            unit="/s",
            limit=10_000,
            limit_is="/s, nothing but the waits",
        ),
    ]
    for peer in peers.PEERS:
        if peer.store == "postgres" and peer.name in taken:
            rate = taken[peer.name]
            what = f"the no-op drain, as a multiple of {peer.title} ({rate:,.0f} /s)"
            results.append(Result(what=what, value=taken["ours"] / rate, unit="x"))
    return results


def _ours(lab: Lab, made: Databases, number: int, name: str, concurrency: int) -> float:
    url = made.new()
    lab.ask("fill", url, number, 0, name)
    seen, counter = _counter(lab)
    command = lab.child("worker", url, counter, concurrency)
    with lab.process(command, cwd=ROOT) as process:
        return _rate(made, seen, process, url, _LEFT, number)


def _peer(lab: Lab, made: Databases, peer: peers.Peer) -> float:
    url, number = made.new(), lab.size(peer.number, peer.number // 4)
    peer.call("fill", made.plain(url), number)
    seen, counter = _counter(lab)
    with lab.process(peer.command("worker", made.plain(url), counter), cwd=lab.folder) as process:
        return _rate(made, seen, process, url, peer.left, number)


def _counter(lab: Lab) -> tuple[Counter, str]:
    path = lab.path(".counter")
    return Counter(path, create=True), str(path)


def _rate(made: Databases, seen: Counter, process: psutil.Process, url: str, left: str, number: int) -> float:
    """From the first start until all have started and none is left; a slow one is cut off."""
    until(lambda: seen.count > 0, process)
    until(lambda: seen.count >= number, process, within=_LONGEST)
    remaining = number
    with import_module("psycopg").connect(made.plain(url), autocommit=True) as connection:
        while remaining and time.monotonic() < seen.first + _LONGEST:
            remaining = connection.execute(left).fetchone()[0]
        done_at = time.monotonic()
    return (number - remaining) / (done_at - seen.first)


def _pickup(lab: Lab, made: Databases) -> list[Result]:
    waits, commits, idle = list[float](), list[float](), list[float]()
    number, rest = lab.size(100, 25), lab.size(10, 3)
    for _ in range(lab.repeats):
        commits += lab.ask("plain", "postgres commits", made.plain(made.new()), number)
        url = made.new()
        seen, counter = _counter(lab)
        lab.ask("fill", url, 1)
        with lab.process(lab.child("worker", url, counter, 100), cwd=ROOT) as process:
            until(lambda seen=seen: seen.count > 0, process)  # type: ignore[misc]
            time.sleep(2)
            idle.append(_transactions(made, url, rest))
            calls = lab.ask("produce", url, number, _PAUSE)
            until(lambda seen=seen: seen.count > number + 1, process)  # type: ignore[misc]
        waits += [(seen.started_at(i) - called) * 1000 for i, called in enumerate(calls)]
    return [
        *(
            _latency(name, waits, share, commits, target)
            for name, share, target in (("p50", 0.5, 1.3), ("p99", 0.99, 0))
        ),
        Result(
            what="transactions of an idle worker, PostgreSQL",
            value=median(idle),
            unit="/s",
            target=1.0,
            target_is="below 1 /s",
            better="less",
        ),
    ]


def _transactions(made: Databases, url: str, seconds: float) -> float:
    """Per second, without those of the look itself."""
    with import_module("psycopg").connect(made.plain(url), autocommit=True) as connection:
        seen = []
        for _ in range(2):
            connection.execute("select pg_stat_clear_snapshot()")
            time.sleep(seconds)
            seen.append(connection.execute(_TRANSACTIONS).fetchone()[0])
    return float(max(0, seen[1] - seen[0] - 2) / seconds)


_TRANSACTIONS = "select xact_commit from pg_stat_database where datname = current_database()"


def _latency(name: str, waits: list[float], share: float, commits: list[float], target: float) -> Result:
    value, limit = (sorted(values)[int(len(values) * share)] for values in (waits, commits))
    return Result(
        what=f"pick-up from another process, PostgreSQL, {name}",
        value=value,
        unit="ms",
        limit=limit,
        limit_is="ms, an insert and the next claim",
        target=target or 7.0,
        judged=value / limit if target else value,
        target_is=f"at most {target:g} times" if target else "below 7 ms",
        better="less",
    )
