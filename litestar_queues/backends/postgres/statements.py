"""In: a prefix for the names of tables. Out: the statements and migrations of PostgreSQL, as that prefix makes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

from litestar_queues.backends.migrations import Migration, load_migrations
from litestar_queues.backends.statements import load_statements
from litestar_queues.errors import QueueConfigurationError

__all__ = ("Statements",)

_WRITTEN = "lq_"
_PREFIX = re.compile(r"([a-z_][a-z0-9_]{0,40}\.)?[a-z_][a-z0-9_]{0,40}")


class Statements:
    """Constant texts: made once, so that driver and server prepare each of them once.

    Args:
        prefix: Of all tables; ``"lq_"`` lies in the search path, ``"jobs.lq_"`` in the schema ``jobs``.

    Raises:
        QueueConfigurationError: The prefix is no lower-case name.
    """

    def __init__(self, prefix: str) -> None:
        if not _PREFIX.fullmatch(prefix):
            msg = (
                f"QueueConfig.postgres_prefix={prefix!r} is not accepted: use lower-case letters, digits and "
                "underscores, with a schema before a dot where wanted: 'lq_' or 'jobs.lq_'"
            )
            raise QueueConfigurationError(msg)
        self.prefix = prefix
        self.schema = prefix.partition(".")[0] if "." in prefix else None
        self.channel = prefix.replace(".", "_") + "wake"
        self._texts = _texts(prefix)

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    @property
    def migrations(self) -> Sequence[Migration]:
        """The migrations in order."""
        return [item._replace(sql=item.sql.replace(_WRITTEN, self.prefix)) for item in load_migrations("postgres")]


@cache
def _texts(prefix: str) -> Mapping[str, str]:
    return {name: text.replace(_WRITTEN, prefix) for name, text in load_statements("postgres").items()}
