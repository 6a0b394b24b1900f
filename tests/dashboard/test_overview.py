"""The dashboard in a real app on the memory store."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.exceptions import PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.testing import AsyncTestClient

from litestar_queues import QueueConfig, QueuePlugin, task
from litestar_queues.dashboard import DashboardConfig
from litestar_queues.errors import BackendUnavailableError, QueueConfigurationError


def only_with_key(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    if connection.headers.get("x-key") != "right":
        raise PermissionDeniedException


def app_with(dashboard: DashboardConfig | None) -> tuple[Litestar, QueuePlugin]:
    plugin = QueuePlugin(QueueConfig(queue_backend="memory", in_app_worker=False, dashboard=dashboard))
    return Litestar(plugins=[plugin]), plugin


async def test_overview_shows_queues_and_escapes_their_names() -> None:
    @task("dashboard.held", queue="<b>odd</b>")
    async def held() -> None: ...

    app, plugin = app_with(DashboardConfig(guards=[only_with_key]))
    async with AsyncTestClient(app) as client:
        await plugin.service.enqueue(held)
        answer = await client.get("/queues", headers={"x-key": "right"})
    assert answer.status_code == 200
    row = '<th scope="row">&lt;b&gt;odd&lt;/b&gt;</th><td>1</td><td>0</td><td>0</td>'
    assert row in answer.text
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "<script" not in answer.text
    assert "style=" not in answer.text


@pytest.mark.parametrize("path", ["/queues", "/queues/dashboard.css"])
async def test_who_may_not_see_it_gets_the_guards_status(path: str) -> None:
    app, _ = app_with(DashboardConfig(guards=[only_with_key]))
    async with AsyncTestClient(app) as client:
        assert (await client.get(path)).status_code == 403
        assert (await client.get(path, headers={"x-key": "right"})).status_code == 200


async def test_it_is_off_by_default() -> None:
    app, _ = app_with(None)
    async with AsyncTestClient(app) as client:
        assert (await client.get("/queues")).status_code == 404


def test_it_stays_out_of_the_schema() -> None:
    app, _ = app_with(DashboardConfig(path="/ops", allow_unguarded=True))
    assert "/ops" in {route.path for route in app.routes}
    assert not [path for path in app.openapi_schema.paths or {} if path.startswith("/ops")]


async def test_a_store_that_is_away_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    app, plugin = app_with(DashboardConfig(allow_unguarded=True))

    async def away() -> None:
        raise BackendUnavailableError("no route <there>")

    async with AsyncTestClient(app) as client:
        monkeypatch.setattr(plugin.service.backend, "queue_depths", away)
        answer = await client.get("/queues")
    assert answer.status_code == 503
    assert "The queue is not available: no route &lt;there&gt;" in answer.text


def test_without_guards_it_is_refused() -> None:
    with pytest.raises(QueueConfigurationError, match="allow_unguarded=True"):
        DashboardConfig()


@pytest.mark.parametrize("path", ["", "queues", "/", "//elsewhere", "/{name:str}"])
def test_wrong_paths_are_refused(path: str) -> None:
    with pytest.raises(QueueConfigurationError, match=r"DashboardConfig\.path="):
        DashboardConfig(path=path, allow_unguarded=True)
