"""In: the command line of `make bench`. Out: the table of results, and a file of them where wanted."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench import drain, enqueue, footprint, history, memory, pickup, postgres, startup
from tests.bench.child import loop_factory
from tests.bench.lab import Lab
from tests.bench.report import Result, markdown

GROUPS: dict[str, Callable[[Lab], list[Result]]] = {
    "drain": drain.run,
    "enqueue": enqueue.run,
    "memory": memory.run,
    "pickup": pickup.run,
    "import": startup.run_import,
    "commands": startup.run_commands,
    "footprint": footprint.run,
    "history": history.run,
    "postgres": postgres.run,
}


def main() -> int:
    """Measure the groups that were asked for, one after another."""
    options = _parser().parse_args()
    cache = Path(os.environ.get("BENCH_WORK") or Path.home() / ".cache/litestar-queues-bench")
    cache.mkdir(parents=True, exist_ok=True)
    repeats = options.repeats or (1 if options.quick else 3)
    results: list[Result] = []
    print(_machine(), file=sys.stderr)
    with TemporaryDirectory(dir=cache, prefix="run-") as folder:
        lab = Lab(Path(folder), cache, repeats, quick=options.quick, peers=options.peers)
        for name in options.only or GROUPS:
            began = time.monotonic()
            print(f"{name} ...", end="", file=sys.stderr, flush=True)
            results += GROUPS[name](lab)
            print(f" {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print(markdown(results))
    if options.json:
        lines = [asdict(one) | {"verdict": one.verdict} for one in results]
        Path(options.json).write_text(json.dumps(lines, indent=1), "utf-8")
    return 0


def _machine() -> str:
    load = os.getloadavg()[0]
    loop = "uvloop" if loop_factory() else "asyncio"
    versions = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {loop}"
    return f"{os.cpu_count()} CPUs, load {load:.1f}; {versions}; {platform.system()} {platform.release()}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=GROUPS, metavar="NAME", help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--repeats", type=int, help="of each sample, in turns; 3, or 1 with --quick")
    parser.add_argument("--quick", action="store_true", help="smaller workloads, done within a minute")
    parser.add_argument("--peers", action="store_true", help="drain with other libraries too; installs them once")
    parser.add_argument("--json", metavar="FILE", help="also write the results to this file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
