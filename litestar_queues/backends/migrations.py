"""In: the numbered ``.sql`` files of one dialect. Out: the migrations in order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from litestar_queues.backends.statements import read_scripts

__all__ = ("Migration", "load_migrations", "pending_after")


class Migration(NamedTuple):
    """One step of the schema, applied in one transaction."""

    version: int
    """1 for the first; no number is left out."""
    name: str
    """The file's name without its ending: ``0001_records``."""
    sql: str


@cache
def load_migrations(dialect: str) -> Sequence[Migration]:
    """Read the folder ``migrations_<dialect>``; the versions must count up from 1."""
    scripts = read_scripts(f"migrations_{dialect}")
    migrations = tuple(Migration(int(name[:4]), name.removesuffix(".sql"), sql) for name, sql in scripts.items())
    if [item.version for item in migrations] != list(range(1, len(migrations) + 1)):
        msg = f"the {dialect} migrations do not count up from 0001: {', '.join(scripts)}"
        raise ValueError(msg)
    return migrations


def pending_after(dialect: str, version: int) -> Sequence[Migration]:
    """The migrations that a schema of this version lacks."""
    return load_migrations(dialect)[version:]
