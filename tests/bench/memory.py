"""In: records in the memory backend. Out: how fast a whole worker gets through them, no disk in the way."""

from __future__ import annotations

from tests.bench.lab import Lab, median
from tests.bench.report import Result

__all__ = ("run",)

_CONCURRENCY = 500


def run(lab: Lab) -> list[Result]:
    """Measure."""
    number = lab.size(100_000, 20_000)
    taken = lab.in_turns(
        {"bare": lambda: lab.ask("bare_tasks", number), "ours": lambda: lab.ask("memory", number, _CONCURRENCY)}
    )
    return [
        Result(
            what="drain of no-op tasks, memory backend",
            value=median(taken["ours"]),
            unit="/s",
            limit=median(taken["bare"]),
            limit_is="/s, bare asyncio tasks",
            target=20_000,
            target_is="20,000 /s",
        )
    ]
