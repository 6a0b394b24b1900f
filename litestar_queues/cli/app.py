"""In: Litestar's own look-up of the app. Out: the app's queue service, open for one question where wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from litestar import Litestar

    from litestar_queues.plugin import QueuePlugin
    from litestar_queues.service import QueueService

__all__ = ("app_and_plugin", "ask", "queue_service")

T = TypeVar("T")

_NO_APP = "no Litestar app was found: name it by --app module:app or LITESTAR_APP, or call its file app.py"
_NO_PLUGIN = "the app {0} has no queue: give it plugins=[QueuePlugin()] from litestar_queues"


def ask(question: Callable[[QueueService], Coroutine[Any, Any, T]]) -> T:
    """Open the app's service for one question."""
    service = queue_service()

    async def answer() -> T:
        async with service:
            return await question(service)

    return asyncio.run(answer())


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
        return env.app, env.app.plugins.get(QueuePlugin)
    except KeyError:
        raise click.ClickException(_NO_PLUGIN.format(env.app_path)) from None
