"""In: an empty SQLite file. Out: how fast records become durable, one by one, from many callers, in bulk."""

from __future__ import annotations

from tests.bench.lab import Lab, median
from tests.bench.report import Result

__all__ = ("run",)

_BULK = 10_000


def run(lab: Lab) -> list[Result]:
    """Measure in one process, ours and plain in turns of less than a second."""
    rounds = lab.repeats * lab.size(3, 1)
    taken = lab.ask("enqueue", lab.path(".db"), lab.path(".db"), _BULK, rounds)
    rate = {name: median(values) for name, values in taken.items()}
    # a disk's flushes change from second to second, so neighbours are compared
    single, threaded, callers, bulk = (
        median([ours / other for ours, other in zip(taken[left], taken[right], strict=True)])
        for left, right in (
            ("one", "plain"),
            ("one", "plain thread"),
            ("callers", "one before"),
            ("bulk", "plain bulk"),
        )
    )
    return [
        Result(
            what="enqueue one by one, SQLite",
            value=rate["one"],
            unit="/s",
            limit=rate["plain"],
            limit_is="/s, sqlite3, a commit each",
            target=0.7,
            judged=single,
            target_is="70 % of that",
        ),
        Result(
            what="the same, beside sqlite3 by asyncio.to_thread",
            value=rate["one"],
            unit="/s",
            limit=rate["plain thread"],
            limit_is="/s, a commit each",
            judged=threaded,
        ),
        Result(
            what="enqueue from 32 callers at once",
            value=rate["callers"],
            unit="/s",
            limit=rate["plain groups"],
            limit_is="/s, 32 in a transaction",
            target=5.0,
            judged=callers,
            target_is="5 times one by one",
        ),
        Result(
            what=f"enqueue {_BULK:,} in one call",
            value=rate["bulk"],
            unit="/s",
            limit=rate["plain bulk"],
            limit_is="/s, one transaction",
            target=0.1,
            judged=bulk,
            target_is="10 % of one transaction",
        ),
    ]
