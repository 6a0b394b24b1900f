"""In: an app's config, a service and a :class:`DashboardConfig`. Out: the app with the dashboard in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, Response, Router
from litestar.di import Provide

from litestar_queues.dashboard.actions import action_handlers
from litestar_queues.dashboard.desk import Desk
from litestar_queues.dashboard.pages import page_handlers
from litestar_queues.dashboard.refusals import RefusedError
from litestar_queues.dashboard.render import require_templates
from litestar_queues.errors import BackendUnavailableError, InvalidArgumentError

if TYPE_CHECKING:
    from litestar.config.app import AppConfig

    from litestar_queues.dashboard.config import DashboardConfig
    from litestar_queues.service import QueueService

__all__ = ("mount",)


def mount(app_config: AppConfig, service: QueueService, config: DashboardConfig) -> None:
    """Add the dashboard to the app; it stays out of the OpenAPI schema and asks the guards before each answer.

    Raises:
        MissingDependencyError: The template engine is not installed.
    """
    require_templates()
    desk = Desk(service, config)
    csrf = app_config.csrf_config
    actions = Router("/", route_handlers=action_handlers, guards=list(config.action_guards))
    router = Router(
        config.path.rstrip("/"),
        route_handlers=[*page_handlers, actions],
        guards=list(config.guards),
        dependencies={"desk": Provide(lambda: desk, sync_to_thread=False)},
        opt={csrf.exclude_from_csrf_key: True} if csrf else {},  # forms have a protection of their own
        include_in_schema=False,
        exception_handlers=_exception_handlers(desk),
    )
    app_config.route_handlers = [*app_config.route_handlers, router]
    app_config.on_shutdown = [*app_config.on_shutdown, desk.live.lookout.close]


def _exception_handlers(desk: Desk) -> Any:
    def say(request: Request[Any, Any, Any], status: int, sentence: str, record: str | None = None) -> Response[str]:
        return desk.page(request, "message.html", {"sentence": sentence, "record": record}, status=status)

    def refused(request: Request[Any, Any, Any], error: RefusedError) -> Response[str]:
        return say(request, error.status, error.sentence, error.record)

    def wrong(request: Request[Any, Any, Any], error: InvalidArgumentError) -> Response[str]:
        return say(request, 400, f"{error}.")

    def unavailable(request: Request[Any, Any, Any], error: BackendUnavailableError) -> Response[str]:
        return say(request, 503, f"The queue is not available: {error}")

    return {RefusedError: refused, InvalidArgumentError: wrong, BackendUnavailableError: unavailable}
