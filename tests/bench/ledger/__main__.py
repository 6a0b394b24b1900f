"""In: nothing. Out: a table of what each library lost, doubled or left lying after a drain, a kill and a zombie."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from tests.bench import peers
from tests.bench.lab import ROOT
from tests.bench.postgres import databases

_HERE = Path(__file__).parent
_NUMBER = 20
_TASK, _LONG_TASK = 3.0, 8.0
_GRACE = 4.0
"""Seconds from SIGTERM to SIGKILL, as an orchestrator has them."""
_WAITS = {"default": 100.0, "safest": 30.0}
"""Seconds in which another worker may put things right: more than every library's own interval by default."""


@dataclass(frozen=True, slots=True)
class Library:
    """One library, and where its records are."""

    title: str
    script: str
    packages: Sequence[str]
    records: str
    """Statement that gives ``n`` and the state of each."""
    held: str
    """The state of a record that somebody holds."""
    python: Path = Path(sys.executable)

    def command(self, *arguments: str) -> list[str]:
        """One of its processes."""
        if not self.packages:
            return [str(self.python), "-m", f"tests.bench.ledger.{self.script}", *arguments]
        return [str(self.python), "-E", str(_HERE / f"{self.script}.py"), *arguments]


LIBRARIES = (
    Library(
        "litestar-queues, this library", "crew_ours", (),
        "select (payload::json->0->>0)::int, status from lq_live union all "
        "select (payload::json->0->>0)::int, status from lq_done",
        "running",
    ),
    Library(
        "PyPI's litestar-queues 0.12", "crew_litestar_queues", ("litestar-queues", "sqlspec", "asyncpg", "uvloop"),
        "select (task_args->>0)::int, status from queue_task", "running",
    ),
    Library(
        "procrastinate 3.10", "crew_procrastinate", ("procrastinate", "psycopg", "psycopg-binary", "uvloop"),
        "select (args->>'n')::int, status::text from procrastinate_jobs where task_name = 'work'", "doing",
    ),
)  # fmt: skip


class Play:
    """One fault for one library in one mode."""

    def __init__(self, library: Library, mode: str, url: str, folder: Path) -> None:
        self.library, self.mode, self._url = library, mode, url
        self.folder = folder
        self.notes = folder / "notes"
        self._stack = ExitStack()
        self._is_over = False

    def start(self, role: str, *arguments: str, seconds: float = _TASK) -> subprocess.Popen[bytes]:
        """Start one of its processes."""
        assert not self._is_over
        env = os.environ | {"LEDGER_NOTES": str(self.notes), "LEDGER_SECONDS": str(seconds)}
        log = self._stack.enter_context((self.folder / "log").open("ab"))
        command = self.library.command(role, self._url, self.mode, *arguments)
        process = subprocess.Popen(command, cwd=ROOT if not self.library.packages else "/", env=env, stderr=log)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def busy(self, seconds: float) -> subprocess.Popen[bytes]:
        """Enqueue, and start a worker that holds all of them."""
        assert self.start("fill", str(_NUMBER)).wait(60) == 0, (self.folder / "log").read_text("utf-8")[-1500:]
        first = self.start("worker", seconds=seconds)
        deadline = time.monotonic() + 60
        while len(self.lines("start")) < _NUMBER:
            assert time.monotonic() < deadline, (self.folder / "log").read_text("utf-8")[-1500:]
            time.sleep(0.05)
        return first

    def lines(self, what: str) -> dict[int, list[tuple[float, str]]]:
        """When each task started or ended, and in which process."""
        found: dict[int, list[tuple[float, str]]] = defaultdict(list)
        if self.notes.exists():
            for line in self.notes.read_text("utf-8").splitlines():
                kind, n, process, at = line.split()
                if kind == what:
                    found[int(n)].append((float(at), process))
        return found

    def settle(self, seconds: float) -> dict[int, float]:
        """Wait while others may put things right; gives when each record was first seen to have ended."""
        ended: dict[int, float] = {}
        deadline = time.monotonic() + seconds
        with psycopg.connect(self._url, autocommit=True) as connection:
            while time.monotonic() < deadline:
                for n, status in connection.execute(self.library.records.encode()).fetchall():
                    if status in {"completed", "succeeded"}:
                        ended.setdefault(n, time.time())
                time.sleep(0.2)
        return ended

    def verdict(self, ended: dict[int, float]) -> str:
        """What became of the records."""
        ends, starts = self.lines("end"), self.lines("start")
        with psycopg.connect(self._url, autocommit=True) as connection:
            states: dict[int, str] = dict(connection.execute(self.library.records.encode()).fetchall())
        done = sum(status in {"completed", "succeeded"} for status in states.values())
        held = sum(status == self.library.held for status in states.values())
        failed = _NUMBER - done - held - sum(status in {"pending", "todo", "scheduled"} for status in states.values())
        twice = sum(len(at) > 1 for at in ends.values())
        early = sum(self._ended_by_another(starts[n], ends[n], when) for n, when in ended.items())
        return f"{done} done, {held} held by nobody, {failed} failed | {twice} ran to the end twice | {early}"

    @staticmethod
    def _ended_by_another(starts: list[tuple[float, str]], ends: list[tuple[float, str]], when: float) -> bool:
        """Whether the process whose run ended last before that was not the one whose run had begun last."""
        begun = [process for at, process in starts if at < when]
        ended = [process for at, process in sorted(ends) if at < when]
        return bool(begun and ended) and begun[-1] != ended[-1]

    def close(self) -> None:
        """Kill what is left."""
        self._is_over = True
        self._stack.close()


def drain(play: Play) -> dict[int, float]:
    """SIGTERM to a worker whose tasks take longer than the drain may; after a grace period SIGKILL."""
    first = play.busy(_LONG_TASK)
    first.send_signal(signal.SIGTERM)
    try:
        first.wait(_GRACE)
    except subprocess.TimeoutExpired:
        first.kill()
    play.start("worker")
    return play.settle(_WAITS[play.mode])


def kill(play: Play) -> dict[int, float]:
    """``kill -9`` of a worker at work."""
    play.busy(_TASK).kill()
    play.start("worker")
    return play.settle(_WAITS[play.mode])


def zombie(play: Play) -> dict[int, float]:
    """A worker stands still until another has begun its tasks anew, and goes on while that one is still at work."""
    first = play.busy(_TASK)
    first.send_signal(signal.SIGSTOP)
    play.start("worker", seconds=_LONG_TASK)
    deadline = time.monotonic() + _WAITS[play.mode]
    while time.monotonic() < deadline and sum(map(len, play.lines("start").values())) < 2 * _NUMBER:
        time.sleep(0.2)
    time.sleep(_TASK)
    first.send_signal(signal.SIGCONT)
    return play.settle(_WAITS["safest"])


FAULTS: tuple[Callable[[Play], dict[int, float]], ...] = (drain, kill, zombie)


def main() -> int:
    """Play everything at once, since nearly all of it is waiting."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ledger", description=__doc__)
    parser.add_argument("--mode", nargs="+", choices=tuple(_WAITS), default=tuple(_WAITS))
    parser.add_argument("--only", nargs="+", choices=[library.script for library in LIBRARIES])
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # and its children with it
    cache = Path(os.environ.get("BENCH_WORK") or Path.home() / ".cache/litestar-queues-bench")
    with TemporaryDirectory(prefix="lq-peers-") as folder, databases() as made, ExitStack() as stack:
        placed = [_place(one, cache) for one in LIBRARIES if one.script in (options.only or one.script)]
        calls = []
        for mode, fault, library in product(options.mode, FAULTS, placed):
            name = Path(folder) / f"{fault.__name__}-{library.script}-{mode}"
            name.mkdir()
            play = Play(library, mode, made.plain(made.new()), name)
            stack.callback(play.close)
            calls.append(partial(_play, fault, play))
        lines = _at_once(calls)
    print("| settings | fault | library | records | ran twice | ended by a holder that had lost it |")
    print("|---|---|---|---|---|---|", *lines, sep="\n")
    return 0


def _at_once(calls: Sequence[Callable[[], str]]) -> list[str]:
    """Make all calls in threads that end with this process."""
    answers: dict[int, str] = {}

    def answer(at: int) -> None:
        answers[at] = calls[at]()

    threads = [threading.Thread(target=answer, args=(at,), daemon=True) for at in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answers[at] for at in range(len(calls))]


def _play(fault: Callable[[Play], dict[int, float]], play: Play) -> str:
    try:
        verdict = play.verdict(fault(play))
    except Exception as error:
        verdict = f"could not be played: {' '.join(str(error).split())[:300]} | |"
    finally:
        play.close()
    print(f"{play.folder.name}: {verdict}", file=sys.stderr, flush=True)
    return f"| {play.mode} | {fault.__name__} | {play.library.title} | {verdict} |"


def _place(library: Library, cache: Path) -> Library:
    if not library.packages:
        return library
    folder = cache / "peers" / f"{library.script}-ledger"
    peers.install_into(folder, library.packages)
    return replace(library, python=folder / "bin" / "python")


if __name__ == "__main__":
    sys.exit(main())
