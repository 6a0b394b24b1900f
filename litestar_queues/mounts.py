"""In: a path for pages of ours, and what guards them. Out: nothing, or an error that says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from litestar_queues.errors import QueueConfigurationError

__all__ = ("check_mount",)


def check_mount(
    owner: str, path: str, guards: Sequence[Callable[..., Any]], *, allow_unguarded: bool, example: str, danger: str
) -> None:
    """Refuse a path that is none below the root, and pages that nothing guards.

    Args:
        owner: The class of the config.
        path: As it was given.
        guards: As they were given.
        allow_unguarded: Whether it is meant that there are none.
        example: A path that would be accepted.
        danger: What could happen without guards, and when that is meant.

    Raises:
        QueueConfigurationError: One of these.
    """
    if not path.startswith("/") or not path.strip("/") or "//" in path or "{" in path:
        msg = f"{owner}.path={path!r} is not accepted: use one such as {example!r}, without parameters"
        raise QueueConfigurationError(msg)
    if not guards and not allow_unguarded:
        msg = f"{owner}.guards is empty, so {danger}"
        raise QueueConfigurationError(msg)
