"""In: a path and guards. Out: a checked :class:`DashboardConfig`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from litestar_queues.errors import QueueConfigurationError
from litestar_queues.mounts import check_mount

__all__ = ("DashboardConfig",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardConfig:
    """Where the dashboard stands in the app, who may see it and who may act.

    Raises:
        QueueConfigurationError: The path is no path below the root, nothing guards it, or a number is too small.
    """

    path: str = "/queues"
    """Path of the overview; begins with a slash."""
    guards: Sequence[Callable[..., Any]] = ()
    """Litestar guards, asked before every answer, those of the style sheet and of the live stream too."""
    action_guards: Sequence[Callable[..., Any]] = ()
    """Further guards, asked before whatever changes something: retry, cancel, pause, resume, run now."""
    allow_unguarded: bool = False
    """Let everybody in who reaches the path, where something before the app decides who does."""
    show_payloads: bool = True
    """Show arguments, results and metadata of records; errors are shown in any case."""
    live_interval: float = 2.0
    """Seconds between two looks at the store while somebody watches, from 0.1 on; one look serves all watchers."""
    most_watchers: int = 100
    """Pages that each web process keeps live at a time, from 1 on; all others work too, and are as fresh as their
    last reload."""

    def __post_init__(self) -> None:
        check_mount(
            "DashboardConfig", self.path, self.guards, allow_unguarded=self.allow_unguarded, example="/queues",
            danger="everybody could see the queues: "
            "name a guard, or set allow_unguarded=True where something before the app decides who gets in",
        )  # fmt: skip
        for name, least in (("live_interval", 0.1), ("most_watchers", 1)):
            value = getattr(self, name)
            if not value >= least:  # NaN is not either
                msg = f"DashboardConfig.{name}={value!r} is not accepted: use a number from {least} on"
                raise QueueConfigurationError(msg)
