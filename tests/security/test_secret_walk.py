"""In: a password in the address of the store and in errors of tasks. Out: no command, page or event that tells it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from litestar_queues import InMemoryQueueEventSink, QueueEventConfig, registry
from litestar_queues.backends import create_backend
from litestar_queues.cli import queues
from litestar_queues.config import QueueConfig
from litestar_queues.dashboard import DashboardConfig
from litestar_queues.events import RecordsFinished
from litestar_queues.registry import TaskRegistry
from tests.cli.desk import Desk
from tests.dashboard.conftest import TOKEN, talk_to
from tests.postgres.roles import plain
from tests.postgres.server import Server
from tests.security.test_secrets import FAILING, PASSWORD, address
from tests.telemetry.spans import Spans
from tests.worker.harness import Shift, Shop

NOBODY = UUID(int=1)
ERROR = f"cannot connect to postgresql://app:{PASSWORD}@db.example/app, host=db password={PASSWORD}"
WALK = {
    "list": ["list", "list --json", "list --status failed --task fail --oldest-first"],
    "show": ["show {failed}", "show {failed} --json", f"show {NOBODY}", "show 1"],
    "enqueue": ["enqueue greet", "enqueue nope", "enqueue greet --args {{", "enqueue greet --wait --timeout 0.01s"],
    "retry": ["retry {failed}", f"retry {NOBODY}", "retry --task fail --yes --json", "retry --queue mail --dry-run"],
    "cancel": [f"cancel {NOBODY}", "cancel --task greet --yes --running", "cancel --queue mail --dry-run --json"],
    "purge": ["purge --older-than 90d --yes --json", "purge --older-than 90d"],
    "pause": ["pause mail", "pause mail --for 10m --json", "resume mail"],
    "resume": ["resume mail"],
    "workers": ["workers", "workers --json"],
    "schedules": ["schedules", "schedules --json", "schedules run report", "schedules pause report", "schedules x"],
    "watch": ["watch --count 1", "watch --count 2 --interval 0.2s --json"],
    "status": ["status", "status --json", "status --queue mail"],
    "scheduler-health": ["scheduler-health", "scheduler-health --minutes 1"],
    "migrate": ["migrate", "migrate --check --json", "migrate --sql"],
}
"""Ways to call each command but those that go on, which have processes of their own in the other tests."""
PAGES = ["", "/records", "/records?status=failed", "/records/{failed}", "/search?q={failed}", "/workers", "/schedules"]
ACTIONS: dict[str, dict[str, str]] = {
    "/records/retry": {"id": "{failed}"}, "/records/cancel": {"id": "{failed}"}, "/queues/pause": {"queue": "mail"},
    "/queues/resume": {"queue": "mail"}, "/schedules/run": {"schedule": "nope"}, "/schedules/pause": {"schedule": "x"},
}  # fmt: skip
BROKEN = {**FAILING, "nobody listens": ("?host=", "?port=1&host="), "wrong schema": ("", "")}
del BROKEN["no such driver"], BROKEN["no such port"]  # the app does not even start


@pytest.fixture(autouse=True)
def _tasks(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A registry of its own, and whatever anybody logs."""
    monkeypatch.setattr(registry, "_registry", TaskRegistry())
    with caplog.at_level(logging.DEBUG):
        yield
    assert PASSWORD not in caplog.text


@pytest.fixture(params=["asyncpg", "psycopg"])
def settings(request: pytest.FixtureRequest, postgres_server: Server) -> dict[str, Any]:
    prefix = postgres_server.new_prefix()
    url = address(postgres_server, request.param)
    return {"queue_backend": url, "postgres_prefix": prefix, "scheduler_canary_task": "report"}


def broken(settings: dict[str, Any], wrong: str) -> dict[str, Any]:
    """The settings with an address that cannot be used, or tables that cannot."""
    before, after = BROKEN[wrong]
    url = settings["queue_backend"]
    if wrong == "wrong schema":
        with psycopg.connect(plain(url)) as root:
            root.execute(f"update {settings['postgres_prefix']}schema set version = 99 where version = 1")
    assert before in url
    return settings | {"queue_backend": url.replace(before, after)}


def failed_at(desk: Desk) -> UUID:
    """A record of a task whose error tells a password."""
    found = desk.enqueue("fail", ERROR, retries=0)
    desk.work()
    assert desk.status(found) == "failed"
    return found


def test_every_command_is_walked() -> None:
    assert {*WALK, "run", "exporter"} == set(queues.commands)


def test_no_command_tells_it(settings: dict[str, Any]) -> None:
    desk = Desk(**settings)
    for words in WALK.values():
        failed = failed_at(desk)
        for one in words:
            shown = desk.types(*one.format(failed=failed).split()).output
            assert PASSWORD not in shown, one
    assert "postgresql://app:***@db.example/app" in desk.types("show", str(failed)).output


@pytest.mark.parametrize("wrong", BROKEN)
def test_no_command_tells_it_where_the_store_cannot_be_used(settings: dict[str, Any], wrong: str) -> None:
    Desk(**settings).types("migrate")
    desk = Desk(**broken(settings, wrong))
    for first, *_ in WALK.values():
        result = desk.types(*first.format(failed=NOBODY).split())
        assert result.exit_code == 1, first
        assert (result.stdout, result.stderr.count("\n")) == ("", 1)
        assert PASSWORD not in result.stderr


def with_pages(settings: dict[str, Any]) -> Desk:
    return Desk(
        **settings,
        dashboard=DashboardConfig(allow_unguarded=True),
        event_config=QueueEventConfig(path="/tasks", allow_unguarded=True, show_results=True),
        in_app_worker=False,
    )


async def visit(client: httpx.AsyncClient, failed: UUID) -> list[httpx.Response]:
    """Every page, every form and the stream of one task."""
    answers = [await client.get(f"/queues{page.format(failed=failed)}") for page in PAGES]
    token = next((found[1] for answer in answers if (found := TOKEN.search(answer.text))), "")
    for path, fields in ACTIONS.items():
        form = {name: value.format(failed=failed) for name, value in fields.items()} | {"csrf_token": token}
        answers.append(await client.post(f"/queues{path}", data=form))
    return [*answers, await client.get(f"/tasks/{failed}")]


async def test_no_page_tells_it(settings: dict[str, Any]) -> None:
    desk = with_pages(settings)
    async with desk.plugin.service as service, talk_to(desk._env.app) as client:
        handle = await service.enqueue(service.registry.require("fail"), ERROR)
        await service.run_due()
        answers = await visit(client, handle.id)
    assert [answer.url for answer in answers if PASSWORD in answer.text or PASSWORD in str(answer.headers)] == []
    assert sum("db.example" in answer.text for answer in answers) >= 3  # else they showed nothing that could tell
    assert {answer.status_code for answer in answers} <= {200, 303, 404}


@pytest.mark.parametrize("wrong", ["no such host", "no such user", "nobody listens"])
async def test_no_page_tells_it_where_the_store_has_gone(settings: dict[str, Any], wrong: str) -> None:
    desk = with_pages(settings)
    async with desk.plugin.service as service, talk_to(desk._env.app) as client:
        await service.backend.close()
        service.backend = create_backend(QueueConfig(**broken(settings, wrong)))
        answers = await visit(client, NOBODY)
    assert [answer.url for answer in answers if PASSWORD in answer.text] == []
    assert 503 in {answer.status_code for answer in answers}


async def test_no_event_sink_or_span_tells_it(settings: dict[str, Any]) -> None:
    sink, spans = InMemoryQueueEventSink(), Spans()
    backend = create_backend(QueueConfig(**settings))

    async def fail() -> None:
        raise ValueError(ERROR)

    events = QueueEventConfig(sink=sink)
    async with Shop(backend=backend, event_config=events, tracing=spans.provider) as shop, Shift(shop) as shift:
        handle = await shop.service.enqueue(shop.task(fail, retries=1, retry_backoff=0.0))
        await handle.wait(20)
        await shift.drain()
    ended = [f"{span.to_json()}" for span in spans._exporter.get_finished_spans()]
    told = [*map(repr, shop.told.events), *map(repr, sink.events), *ended, repr(handle.record)]
    assert shop.told.all(RecordsFinished)
    assert sum("db.example" in one for one in told) >= 3
    assert [one for one in told if PASSWORD in one] == []
