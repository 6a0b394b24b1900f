"""In: Litestar's own look-up of the app. Out: the app's queue service, open for one question where wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from litestar import Litestar

    from litestar_queues.plugin import QueuePlugin
    from litestar_queues.service import QueueService

__all__ = (
    "app_and_plugin",
    "ask",
    "names_in_code",
    "names_to_complete",
    "note_if_private",
    "queue_service",
    "shared_service",
)

T = TypeVar("T")

_NO_APP = "no Litestar app was found: name it by --app module:app or LITESTAR_APP, or call its file app.py"
_NO_PLUGIN = "the app {0} has no queue: give it plugins=[QueuePlugin()] from litestar_queues"
_PRIVATE = (
    "the records of this backend ({0}) live in the process of the app, where no command reaches them: "
    "set queue_backend to sqlite or postgresql"
)


def ask(question: Callable[[QueueService], Coroutine[Any, Any, T]], service: QueueService | None = None) -> T:
    """Open a service for one question; the app's own where left out.

    Raises:
        ClickException: No command reaches the records of the app's own.
    """
    service = service or shared_service()

    async def answer() -> T:
        async with service:
            return await question(service)

    return asyncio.run(answer())


def shared_service() -> QueueService:
    """The app's queue service, not opened yet, whose records other processes see too."""
    service = queue_service()
    if not service.backend.capabilities.shared:
        raise click.ClickException(_PRIVATE.format(service.backend.describe()))
    return service


def note_if_private(service: QueueService, consequence: str) -> None:
    """Say on stderr what follows from a store that lives in the app's process."""
    if not service.backend.capabilities.shared:
        click.echo(f"Note: this backend lives in one process, so {consequence}", err=True)


def queue_service() -> QueueService:
    """The app's queue service, not opened yet."""
    return app_and_plugin()[1].service


def app_and_plugin() -> tuple[Litestar, QueuePlugin]:
    """The app that Litestar finds, and its queue.

    Raises:
        ClickException: There is no app, or it has no queue.
    """
    from litestar_queues.plugin import QueuePlugin

    root = click.get_current_context().find_root()
    try:
        env = root.obj() if callable(root.obj) else root.obj
    except click.ClickException as error:
        raise click.ClickException(_NO_APP) from error
    root.obj = env
    try:
        plugin = env.app.plugins.get(QueuePlugin)
    except KeyError:
        raise click.ClickException(_NO_PLUGIN.format(env.app_path)) from None
    plugin.bind(env.app)
    return env.app, plugin


def names_to_complete(ctx: click.Context, what: str) -> Sequence[str]:
    """The names that the app's code has, for a shell; none where something is wrong, for it has no place to say so."""
    try:
        with ctx:
            service = queue_service()
        service.load_tasks()
        return names_in_code(service, what)
    except Exception:
        return ()


def names_in_code(service: QueueService, what: str) -> Sequence[str]:
    """The names of tasks, schedules or queues that the app's code has."""
    match what:
        case "task":
            return service.registry.names()
        case "schedule":
            return tuple(service.registry.scheduled())
        case "queue":
            return sorted(service.known_queues())
        case _:
            return ()
