"""In: starts of tasks in worker processes. Out: how many, and when, for the process that measures.

A small file mapped by all of them. Its cells of 8 bytes: how many tasks have started, when the first and the latest
did, and from the third on the start of task number i. The clock is monotonic, one for all processes of a machine.
Nothing else of the library is imported, so that the environments of other libraries can use it too.
"""

from __future__ import annotations

import mmap
import time
from pathlib import Path

__all__ = ("Counter",)

_HEAD = 3
_STARTS = 4096


class Counter:
    """The counter in one file; several processes may read it, one counts."""

    def __init__(self, path: str | Path, *, create: bool = False) -> None:
        size = 8 * (_HEAD + _STARTS)
        if create:
            Path(path).write_bytes(bytes(size))
        with Path(path).open("r+b") as file:
            self._cells = memoryview(mmap.mmap(file.fileno(), size)).cast("q")

    def hit(self, i: int) -> None:
        """Count one start; the first thing that a measured task does."""
        cells, now = self._cells, time.monotonic_ns()
        if not cells[0]:
            cells[1] = now
        cells[2] = now
        cells[0] += 1
        if i < _STARTS:
            cells[_HEAD + i] = now

    @property
    def count(self) -> int:
        """Tasks that have started."""
        return self._cells[0]

    @property
    def first(self) -> float:
        """When the first of them did, in seconds."""
        return self._cells[1] / 1e9

    def started_at(self, i: int) -> float:
        """When task number i did; 0 where it has not."""
        return self._cells[_HEAD + i] / 1e9
