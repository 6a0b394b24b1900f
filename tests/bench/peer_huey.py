"""In: a role and a database file. Out: huey on its SQLite storage, as its own documentation sets it up.

A job that huey has claimed is gone from its file: it needs no second write, and is lost with the process.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

_WORKERS = 8
"""Threads; fewer and more drain slower."""


def make(path: str, hit: Any) -> tuple[Any, Any]:
    """The queue and its task. Each commit is flushed, huey's default."""
    queue = import_module("huey").SqliteHuey("bench", filename=path, results=False)

    @queue.task(name="noop")  # type: ignore[untyped-decorator]
    def noop(i: int) -> None:
        hit(i)

    return queue, noop


def fill(path: str, number: str) -> None:
    """Enqueue."""
    queue, noop = make(path, int)
    for i in range(int(number)):
        noop(i)
    queue.storage.close()


def worker(path: str, counter: str) -> None:
    """Work until the process is ended."""
    queue, _ = make(path, import_module("counter").Counter(counter).hit)
    queue.create_consumer(workers=_WORKERS, periodic=False, initial_delay=0.005, backoff=1.0, max_delay=0.005).run()


if __name__ == "__main__":
    {"fill": fill, "worker": worker}[sys.argv[1]](*sys.argv[2:])
