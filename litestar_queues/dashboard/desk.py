"""In: a service and a :class:`DashboardConfig`. Out: what all handlers of the dashboard share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from litestar import MediaType, Request, Response

from litestar_queues.dashboard.csrf import issue
from litestar_queues.dashboard.live import Live
from litestar_queues.dashboard.render import link, render
from litestar_queues.dashboard.snapshot import Eyes, Snapshot
from litestar_queues.release import release

if TYPE_CHECKING:
    from litestar_queues.dashboard.config import DashboardConfig
    from litestar_queues.service import QueueService

__all__ = ("ASSETS", "HEADERS", "Desk")

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
ASSETS: Final = {
    name: (kind, files("litestar_queues.dashboard").joinpath("assets", name).read_bytes())
    for name, kind in (
        ("dashboard.css", "text/css"),
        ("dashboard.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
    )
}
"""Media type and content of each file that pages load."""
_VERSION = sha256(b"".join(content for _, content in ASSETS.values())).hexdigest()[:12]


class Desk:
    """Answers with pages, and looks at the store for them."""

    def __init__(self, service: QueueService, config: DashboardConfig) -> None:
        self.service = service
        self.config = config
        self.eyes = Eyes(service)
        self.live = Live(self.eyes.look, interval=config.live_interval, most=config.most_watchers)

    async def snapshot(self, request: Request[Any, Any, Any]) -> Snapshot:
        """The fleet now; a page that refreshes itself shares the look that told it to."""
        return await self.live.current(fresh="x-refresh" not in request.headers)

    def base(self, request: Request[Any, Any, Any]) -> str:
        """Where the dashboard stands, below what a proxy or an outer app puts before this one."""
        return str(request.scope.get("root_path", "")).rstrip("/") + self.config.path.rstrip("/")

    def link(self, request: Request[Any, Any, Any], *path: str, **query: object) -> str:
        """An address of ours."""
        return link(self.base(request), *path, **query)

    def page(
        self, request: Request[Any, Any, Any], template: str, values: Mapping[str, Any], *, status: int = 200
    ) -> Response[str]:
        """Fill a template, which gets ``values`` and what every page has."""
        base = self.base(request)
        token, cookie = issue(request, base)
        common = {
            "link": partial(link, base),
            "asset": partial(link, base, "assets", v=_VERSION),
            "token": token,
            "now": datetime.now(UTC),
            "release": release(),
            "store": self.service.backend.describe(),
            "show_payloads": self.config.show_payloads,
            "status": status,
            "is_read": request.method == "GET",
        }
        return Response(
            render(template, {**common, **values}),
            status_code=status,
            media_type=MediaType.HTML,
            headers=HEADERS,
            cookies=[cookie] if cookie else None,
        )
