"""In: an id that a request, a task or the app names. Out: the same id on all that is enqueued and run from there.

It travels in the record's metadata, so no store knows of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from litestar_queues.errors import InvalidArgumentError

__all__ = (
    "CORRELATION_KEY",
    "bind_correlation_id",
    "current_correlation_id",
    "get_correlation_id",
    "is_correlation_id",
    "take_correlation_id",
)

CORRELATION_KEY = "correlation_id"
"""Where it stands in the metadata."""
_LONGEST = 200

_current: ContextVar[str | None] = ContextVar("litestar_queues_correlation_id", default=None)

current_correlation_id = _current.get
"""As :func:`get_correlation_id`, for each enqueue: without the call of a Python function."""
take_correlation_id = _current.set
"""Run the rest of this context under the id; for who owns the whole context, as the run of a task does."""


def is_correlation_id(value: object) -> bool:
    """Whether it can stand in metadata and in one line of a log: printable, of 1 to 200 characters."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable()


def get_correlation_id() -> str | None:
    """The id under which this code runs: of the request, of the running task, or as bound; ``None``: there is none."""
    return _current.get()


@contextmanager
def bind_correlation_id(value: str) -> Iterator[None]:
    """Run a block under an id: records that it enqueues carry it, and so do those that their tasks enqueue.

    Args:
        value: A printable text of 1 to 200 characters.

    Raises:
        InvalidArgumentError: It is something else.
    """
    if not is_correlation_id(value):
        msg = f"{value!r} is no correlation id: use a printable text of 1 to {_LONGEST} characters"
        raise InvalidArgumentError(msg)
    token = _current.set(value)
    try:
        yield
    finally:
        _current.reset(token)
