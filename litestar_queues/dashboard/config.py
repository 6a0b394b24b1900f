"""In: a path and guards. Out: a checked :class:`DashboardConfig`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from litestar_queues.errors import QueueConfigurationError

__all__ = ("DashboardConfig",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardConfig:
    """Where the dashboard stands in the app, and who may see it.

    Raises:
        QueueConfigurationError: The path is no path below the root, or nothing guards it.
    """

    path: str = "/queues"
    """Path of the overview; begins with a slash."""
    guards: Sequence[Callable[..., Any]] = ()
    """Litestar guards, asked before every answer, that of the style sheet too."""
    allow_unguarded: bool = False
    """Let everybody in who reaches the path, where something before the app decides who does."""

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or not self.path.strip("/") or "//" in self.path or "{" in self.path:
            msg = f"DashboardConfig.path={self.path!r} is not accepted: use one such as '/queues', without parameters"
            raise QueueConfigurationError(msg)
        if not self.guards and not self.allow_unguarded:
            msg = (
                "DashboardConfig.guards is empty, so everybody could see the queues: "
                "name a guard, or set allow_unguarded=True where something before the app decides who gets in"
            )
            raise QueueConfigurationError(msg)
