"""In: the command line of `make test-faults`. Out: a table of what was survived; exit code 1 where a promise broke."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.ledger.mixture import mixture
from tests.ledger.play import Report, play
from tests.ledger.scenarios import SCENARIOS
from tests.ledger.stage import LEASE

_TARGET = LEASE + 5
_HEAD = ("scenario", "store", "seed", "records", "acknowledged", "rescued", "run again", "lost", "doubled", "recovery")


def main() -> int:
    """Play what was asked for, some at a time, since most of it is waiting."""
    options = _parser().parse_args()
    seed = random.randrange(10_000) if options.seed is None else options.seed
    plays = [
        (scenario, kind)
        for scenario in ([mixture(options.soak)] if options.soak else SCENARIOS)
        for kind in scenario.stores
        if scenario.name in (options.only or [scenario.name]) and kind in (options.store or [kind])
    ]
    print(f"seed {seed}: {len(plays)} scenarios, leases of {LEASE:g} s, {options.at_once} at a time", flush=True)
    began = time.monotonic()
    print(_line(*_HEAD), flush=True)
    with ThreadPoolExecutor(options.at_once) as pool:
        playing = []
        for scenario, kind in plays:
            if lacks := scenario.lacks():
                print(f"{scenario.name} on {kind} is left out: this machine lacks {', '.join(lacks)}", flush=True)
                continue
            playing.append(pool.submit(play, scenario, kind, seed, keep=options.keep))
            playing[-1].add_done_callback(lambda done: _tell(done.result()))
    reports = [one.result() for one in playing]
    bad = [report for report in reports if report.broken]
    slow = [report for report in reports if report.recovery > _TARGET]
    print(
        f"{sum(report.records for report in reports):,} records, {sum(report.lost for report in reports)} lost, "
        f"{sum(report.doubled for report in reports)} doubled outcomes, {len(slow)} recoveries above "
        f"{_TARGET:g} s, {len(bad)} scenarios with broken promises, {time.monotonic() - began:.0f} s"
    )
    if bad:
        print(f"again: python -m tests.ledger --seed {seed} --only {' '.join(sorted({one.name for one in bad}))}")
    return bool(bad)


def _tell(report: Report) -> None:
    print(
        _line(
            report.name, report.store, report.seed, report.records, report.acknowledged, report.rescued, report.again,
            report.lost, report.doubled, f"{report.recovery:.1f} s", f"({report.seconds:.0f} s)",
            *(["BROKEN"] if report.broken else []),
        ),
        *(f"    {text}" for text in report.broken[:20]),
        sep="\n", flush=True,
    )  # fmt: skip


def _line(name: object, store: object, *rest: object) -> str:
    return f"{name:<28}{store:<10}" + "".join(f"{one!s:>14}" for one in rest)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.ledger", description=__doc__)
    parser.add_argument("--seed", type=int, help="of every random choice; without it one is drawn and printed")
    parser.add_argument("--only", nargs="+", choices=sorted({one.name for one in SCENARIOS}), metavar="NAME")
    parser.add_argument("--store", nargs="+", choices=["sqlite", "postgres"])
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="one fault after another for so long instead")
    parser.add_argument("--at-once", type=int, default=(os.cpu_count() or 2) + 1, help="scenarios at a time")
    parser.add_argument("--keep", action="store_true", help="keep the folders of side logs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
