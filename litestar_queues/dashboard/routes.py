"""In: a service and a :class:`DashboardConfig`. Out: the router that the plugin mounts."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from litestar import MediaType, Request, Response, Router, get

from litestar_queues.dashboard.page import message, overview
from litestar_queues.errors import BackendUnavailableError

if TYPE_CHECKING:
    from litestar_queues.dashboard.config import DashboardConfig
    from litestar_queues.service import QueueService

__all__ = ("dashboard_router",)

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def dashboard_router(service: QueueService, config: DashboardConfig) -> Router:
    """Make the router; it stays out of the app's OpenAPI schema and asks the guards before each answer."""
    base = config.path.rstrip("/")
    style = files("litestar_queues.dashboard").joinpath("dashboard.css").read_text(encoding="utf-8")

    @get("/", name="litestar_queues_dashboard")
    async def show_overview(request: Request[Any, Any, Any]) -> Response[str]:
        depths, schedules, canary = (
            await service.queue_depths(),
            await service.list_schedules(),
            await service.canary_health(),
        )
        return _html(overview(_root(request) + base, depths, schedules, canary))

    @get("/dashboard.css", sync_to_thread=False)
    def show_style() -> Response[str]:
        return Response(style, media_type=MediaType.CSS, headers=HEADERS)

    def unavailable(request: Request[Any, Any, Any], error: BackendUnavailableError) -> Response[str]:
        return _html(message(_root(request) + base, f"The queue is not available: {error}"), status=503)

    return Router(
        base,
        route_handlers=[show_overview, show_style],
        guards=list(config.guards),
        include_in_schema=False,
        exception_handlers={BackendUnavailableError: unavailable},
    )


def _root(request: Request[Any, Any, Any]) -> str:
    """The prefix under which a proxy or an outer app has mounted this one."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def _html(text: str, *, status: int = 200) -> Response[str]:
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=HEADERS)
