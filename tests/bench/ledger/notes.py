"""In: a run of a task, in any library's process. Out: lines in one file that survive it; standard library only."""

from __future__ import annotations

import asyncio
import os
import time

__all__ = ("SECONDS", "work")

SECONDS = float(os.environ.get("LEDGER_SECONDS", "3"))


def note(what: str, n: int) -> None:
    """Append one line."""
    file = os.open(os.environ["LEDGER_NOTES"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(file, f"{what} {n} {os.getpid()} {time.time()}\n".encode())
    os.close(file)


async def work(n: int) -> int:
    """Take a while, and note when it began and ended."""
    note("start", n)
    await asyncio.sleep(SECONDS)
    note("end", n)
    return os.getpid()
