"""In: a sink, a path and guards. Out: a checked :class:`QueueEventConfig`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from litestar_queues.events import QueueEventSink
from litestar_queues.mounts import check_mount

__all__ = ("QueueEventConfig",)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEventConfig:
    """Where task events go, and how pages follow tasks.

    Raises:
        QueueConfigurationError: The path is no path below the root, or nothing guards it.
    """

    sink: QueueEventSink | None = None
    """``None``: nowhere, and nothing is built."""
    path: str | None = None
    """Path below which a page follows one task by its id, by server-sent events or a WebSocket: ``"/tasks"`` gives
    ``/tasks/{id}``. ``None``: off. It shows what is stored, so it needs no sink and works over processes."""
    guards: Sequence[Callable[..., Any]] = ()
    """Litestar guards, asked before each stream; they find the id in ``connection.path_params["task_id"]``."""
    allow_unguarded: bool = False
    """Let everybody follow who knows an id."""
    show_results: bool = False
    """Tell followers the result and the error too, which may hold what is not for everybody."""

    def __post_init__(self) -> None:
        if self.path is not None:
            check_mount(
                "QueueEventConfig", self.path, self.guards, allow_unguarded=self.allow_unguarded, example="/tasks",
                danger="everybody who knows an id could follow its task: "
                "name a guard, or set allow_unguarded=True where that is meant",
            )  # fmt: skip

    @property
    def enabled(self) -> bool:
        """Whether there is a sink."""
        return self.sink is not None
