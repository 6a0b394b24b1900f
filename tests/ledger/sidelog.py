"""In: what a process did. Out: lines in a file of its own that survive its death, and all of them read again.

A line is one ``write`` to a file opened for appending: once the call has returned, ``kill -9`` takes nothing back.
Times are monotonic, so one clock for all processes of the machine, whatever their wall clocks say.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ("SideLog", "read")


class SideLog:
    """The log of this process.

    Args:
        folder: Where it lies; not on the disk that a scenario fills.
        role: ``worker`` or ``producer``.
    """

    def __init__(self, folder: Path, role: str) -> None:
        name = folder / f"{role}-{os.getpid()}-{time.monotonic_ns()}.log"
        self._file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, what: str, **fields: Any) -> None:
        """Append one line."""
        line = json.dumps({"what": what, "at": time.monotonic(), **fields}, default=str)
        os.write(self._file, f"{line}\n".encode())


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """Every line of every process; one that was cut short by a full stop of its process is left out."""
    for path in sorted(folder.glob("*.log")):
        for line in path.read_text("utf-8").splitlines():
            try:
                yield json.loads(line) | {"process": path.stem}
            except ValueError:
                continue
