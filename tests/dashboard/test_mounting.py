"""Where the dashboard stands in an app, and who gets in."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from litestar import Litestar
from litestar.config.csrf import CSRFConfig
from litestar.connection import ASGIConnection
from litestar.exceptions import PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.testing import AsyncTestClient

from litestar_queues import QueueConfig, QueuePlugin
from litestar_queues.dashboard import DashboardConfig
from litestar_queues.dashboard.render import _environment
from litestar_queues.errors import QueueConfigurationError
from tests.dashboard.conftest import Visitor, app_with


def only_with_key(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    if connection.headers.get("x-key") != "right":
        raise PermissionDeniedException


PATHS = (
    "/queues",
    "/queues/records",
    "/queues/records/01a217f7-7937-7e00-9fd4-4e734085d019",
    "/queues/search?q=x",
    "/queues/workers",
    "/queues/schedules",
    "/queues/live",
    "/queues/assets/dashboard.css",
    "/queues/assets/dashboard.js",
)
ACTIONS = (
    "/queues/records/retry",
    "/queues/records/cancel",
    "/queues/queues/pause",
    "/queues/queues/resume",
    "/queues/schedules/run",
    "/queues/schedules/pause",
    "/queues/schedules/resume",
)


def all_routes(app: Litestar) -> set[str]:
    return {route.path for route in app.routes if route.path.startswith("/queues")}


def test_the_paths_of_these_tests_are_all_that_there_are() -> None:
    app, _ = app_with()
    known = {path.partition("?")[0] for path in (*PATHS, *ACTIONS)}
    assert {path.partition("/{")[0] for path in all_routes(app)} == {
        path.rpartition("/")[0] if "assets" in path or "01a2" in path else path for path in known
    }


@pytest.mark.parametrize("path", PATHS)
async def test_who_may_not_see_it_gets_the_guards_status(path: str) -> None:
    app, _ = app_with(DashboardConfig(guards=[only_with_key]))
    async with AsyncTestClient(app) as client:
        assert (await client.get(path)).status_code == 403
        if not path.endswith("/live"):
            answer = await client.get(path, headers={"x-key": "right"}, follow_redirects=False)
            assert answer.status_code in {200, 303, 404}


@pytest.mark.parametrize("path", ACTIONS)
async def test_who_may_not_see_it_may_not_act(path: str) -> None:
    app, _ = app_with(DashboardConfig(guards=[only_with_key]))
    async with AsyncTestClient(app) as client:
        assert (await client.post(path)).status_code == 403


@pytest.mark.parametrize("path", ACTIONS)
async def test_action_guards_are_asked_too(path: str) -> None:
    app, plugin = app_with(DashboardConfig(allow_unguarded=True, action_guards=[only_with_key]))
    async with AsyncTestClient(app) as client:
        visitor = Visitor(client, plugin.service)
        assert (await visitor.get()).status_code == 200
        answer = await visitor.send(path.removeprefix("/queues"), csrf_token=await visitor.token())
        assert answer.status_code == 403
        assert "too old" not in answer.text


async def test_the_apps_own_csrf_protection_does_not_stand_in_the_way() -> None:
    app, plugin = app_with(csrf_config=CSRFConfig(secret="secret", exclude_from_csrf_key="open_door"))
    async with AsyncTestClient(app) as client:
        answer = await Visitor(client, plugin.service).post("/queues/pause", queue="mail")
        assert answer.status_code == 303
        assert [one.queue for one in await plugin.service.backend.paused_queues()] == ["mail", "shown"]


async def test_no_request_waits_for_templates_to_be_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    _environment.cache_clear()
    app, _ = app_with()
    assert not _environment().cache, "an app that is only loaded, as by commands, does not compile them"
    async with AsyncTestClient(app) as client:
        monkeypatch.setattr(_environment(), "compile", None)
        for path in PATHS:
            if not path.endswith("/live"):
                assert (await client.get(path, follow_redirects=False)).status_code in {200, 303, 404}


async def test_it_is_off_by_default() -> None:
    app = Litestar(plugins=[QueuePlugin(QueueConfig(queue_backend="memory", in_app_worker=False))])
    async with AsyncTestClient(app) as client:
        assert (await client.get("/queues")).status_code == 404


def test_it_stays_out_of_the_schema() -> None:
    app, _ = app_with()
    assert [path for path in app.openapi_schema.paths or {} if path.startswith("/queues")] == []


async def test_addresses_stand_below_what_a_proxy_puts_before_the_app() -> None:
    app, _ = app_with()
    async with AsyncTestClient(app, root_path="/intern") as client:
        answer = await client.get("/queues")
    assert 'href="/intern/queues/records"' in answer.text
    assert "Path=/intern/queues" in answer.headers["set-cookie"]


def test_without_guards_it_is_refused() -> None:
    with pytest.raises(QueueConfigurationError, match="allow_unguarded=True"):
        DashboardConfig()


@pytest.mark.parametrize("path", ["", "queues", "/", "//elsewhere", "/{name:str}"])
def test_wrong_paths_are_refused(path: str) -> None:
    with pytest.raises(QueueConfigurationError, match=r"DashboardConfig\.path="):
        DashboardConfig(path=path, allow_unguarded=True)


@pytest.mark.parametrize("numbers", [{"live_interval": 0.0}, {"live_interval": float("nan")}, {"most_watchers": 0}])
def test_wrong_numbers_are_refused(numbers: dict[str, Any]) -> None:
    with pytest.raises(QueueConfigurationError, match=next(iter(numbers))):
        DashboardConfig(allow_unguarded=True, **numbers)


def test_without_its_extra_one_line_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['jinja2'] = None\n"
        "from tests.dashboard.conftest import app_with\n"
        "try:\n    app_with()\nexcept ImportError as error:\n    print(error)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "the dashboard needs jinja2: pip install 'litestar-queues[dashboard]'\n"
