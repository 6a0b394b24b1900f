"""In: work in steps. Out: how far it has come, as a bar in a terminal and as a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click

__all__ = ("Advance", "progress")

_LINE_EACH = 5.0
"""Seconds between two lines where there is no terminal."""
_WORTH_A_BAR = 0.5
"""Seconds."""


class Advance(Protocol):
    """Tells of further steps that are done."""

    def __call__(self, steps: int) -> None:
        """So many more."""


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Advance]:
    """Show on stderr how far the work in the block has come.

    Args:
        what: What is done: ``retried``.
        total: Of how many; ``None``: nobody knows.
    """
    if not sys.stderr.isatty():
        yield _lines(what, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar, began = Progress(*columns, console=Console(stderr=True), transient=True), time.monotonic()
    task = bar.add_task(what, total=total)

    def advance(steps: int) -> None:
        bar.advance(task, steps)
        if time.monotonic() - began >= _WORTH_A_BAR:
            bar.start()

    try:
        yield advance
    finally:
        bar.stop()


def _lines(what: str, total: int | None) -> Advance:
    done, told_at = 0, time.monotonic()

    def advance(steps: int) -> None:
        nonlocal done, told_at
        done += steps
        if time.monotonic() - told_at >= _LINE_EACH:
            told_at = time.monotonic()
            click.echo(f"{what} {done:,}{'' if total is None else f' of {total:,}'}", err=True)

    return advance
