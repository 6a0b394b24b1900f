"""In: pages that follow one task. Out: its state as it changes, to its end, whoever runs it, however slow they are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException, WebSocketDisconnect
from litestar.handlers import BaseRouteHandler
from litestar.testing import AsyncTestClient, TestClient

from litestar_queues import QueueConfig, QueueEventConfig, QueuePlugin, QueueService, publish_task_progress, task
from litestar_queues.errors import BackendUnavailableError, QueueConfigurationError
from litestar_queues.follow import followers as module
from litestar_queues.follow import routes
from litestar_queues.follow.followers import Followers, State, TooManyFollowersError
from litestar_queues.records import QueuedTaskRecord
from litestar_queues.worker import Worker
from tests.postgres.server import Server
from tests.worker.harness import until, until_found

OPEN = QueueEventConfig(path="/tasks", allow_unguarded=True)
SHOW = QueueEventConfig(path="/tasks", allow_unguarded=True, show_results=True)


@task("follow.steps")
async def steps() -> str:
    publish_task_progress(1, 2, "half")
    return "secret"


@task("follow.fails")
async def fails() -> None:
    raise ValueError("secret")


def app_with(config: QueueEventConfig, **store: Any) -> tuple[Litestar, QueuePlugin]:
    store = store or {"queue_backend": "memory"}
    plugin = QueuePlugin(QueueConfig(in_app_worker=False, event_config=config, **store))
    return Litestar(plugins=[plugin]), plugin


def only_with_key(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    if connection.headers.get("x-key") != "right":
        raise PermissionDeniedException


def events(lines: Iterable[str]) -> list[dict[str, str]]:
    blocks = "\n".join(lines).strip().split("\n\n")
    read = [dict(line.split(": ", 1) for line in block.splitlines() if ": " in line) for block in blocks]
    return [one for one in read if "data" in one]


async def run_until_idle(store: Mapping[str, Any]) -> None:
    async with QueueService(QueueConfig(**store)) as service:
        worker = Worker(service)
        working = asyncio.create_task(worker.start())
        await until_found(lambda: ended(service))
        worker.stop()
        await working


async def ended(service: QueueService) -> bool:
    return (await service.get_statistics()).completed > 0


@pytest.fixture(params=["sqlite", "asyncpg", "psycopg"])
def shared_store(request: pytest.FixtureRequest) -> Mapping[str, Any]:
    """The settings of a store that processes share."""
    if request.param == "sqlite":
        return {"queue_backend": f"sqlite:///{request.getfixturevalue('tmp_path')}/q.db"}
    server: Server = request.getfixturevalue("postgres_server")
    return {"queue_backend": server.url(request.param), "postgres_prefix": server.new_prefix()}


def test_a_page_follows_a_task_that_a_worker_elsewhere_runs(shared_store: Mapping[str, Any]) -> None:
    app, plugin = app_with(OPEN, **shared_store)
    with TestClient(app) as client:
        handle = client.blocking_portal.call(plugin.service.enqueue, steps)
        elsewhere = Thread(target=lambda: asyncio.run(run_until_idle(shared_store)))
        elsewhere.start()
        answer = client.get(f"/tasks/{handle.id}")
        elsewhere.join()
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    told = events(answer.text.splitlines())
    assert told[-1]["event"] == "end"
    assert json.loads(told[-1]["data"]) == {
        "id": str(handle.id),
        "task": "follow.steps",
        "status": "completed",
        "attempt": 1,
        "max_attempts": 1,
        "progress": {"current": 1, "total": 2, "message": "half"},
    }
    assert all("event" not in one for one in told[:-1])
    assert "secret" not in answer.text


async def test_who_comes_back_after_the_end_is_told_to_stay_away_and_others_get_the_end() -> None:
    app, plugin = app_with(SHOW)
    async with AsyncTestClient(app) as client:
        handle = await plugin.service.enqueue(steps)
        await plugin.service.run_due()
        first = events((await client.get(f"/tasks/{handle.id}")).text.splitlines())
        again = await client.get(f"/tasks/{handle.id}", headers={"last-event-id": first[-1]["id"]})
        other = await client.get(f"/tasks/{handle.id}", headers={"last-event-id": "another"})
    assert json.loads(first[-1]["data"])["result"] == "secret"
    assert (again.status_code, again.text) == (204, "")
    assert events(other.text.splitlines()) == first


async def test_a_failure_tells_its_error_only_where_results_are_shown() -> None:
    for config, expected in ((OPEN, None), (SHOW, "ValueError: secret")):
        app, plugin = app_with(config)
        async with AsyncTestClient(app) as client:
            handle = await plugin.service.enqueue(fails)
            await plugin.service.run_due()
            (end,) = events((await client.get(f"/tasks/{handle.id}")).text.splitlines())
        read = json.loads(end["data"])
        assert (read["status"], read.get("error")) == ("failed", expected)


async def test_a_stream_ends_after_a_while_and_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "LONGEST_STREAM", 0.3)
    monkeypatch.setattr(routes, "_BEAT", 0.1)
    app, plugin = app_with(OPEN)
    async with AsyncTestClient(app) as client:
        handle = await plugin.service.enqueue(steps)
        first = await client.get(f"/tasks/{handle.id}")
        (state,) = events(first.text.splitlines())
        again = await client.get(f"/tasks/{handle.id}", headers={"last-event-id": state["id"]})
    assert first.text.startswith("retry: 1000\n\n")
    assert ": still there" in first.text
    assert events(again.text.splitlines()) == []


async def test_unknown_and_wrong_ids_are_not_found() -> None:
    app, _ = app_with(OPEN)
    async with AsyncTestClient(app) as client:
        unknown = await client.get(f"/tasks/{uuid4()}")
        wrong = await client.get("/tasks/nonsense")
    assert (unknown.status_code, wrong.status_code) == (404, 404)
    assert "there is no record" in unknown.json()["detail"]


async def only_the_known(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    if "x-key" not in connection.headers:
        raise NotAuthorizedException(detail="say who you are " + "\u00e4" * 200)


def test_a_websocket_that_is_refused_learns_the_status_and_the_reason() -> None:
    app, plugin = app_with(QueueEventConfig(path="/tasks", guards=[only_the_known, only_with_key]))
    with TestClient(app) as client:
        handle = client.blocking_portal.call(plugin.service.enqueue, steps)
        unknown = uuid4()
        for headers, record_id, code, reason in (
            ({}, unknown, 4401, "say who you are \u00e4"),
            ({"x-key": "wrong"}, handle.id, 4403, "Forbidden"),
            ({"x-key": "wrong"}, unknown, 4403, "Forbidden"),
            ({"x-key": "right"}, unknown, 4404, f"there is no record {unknown}: "),
        ):
            with (
                client.websocket_connect(f"/tasks/{record_id}", headers=headers) as socket,
                pytest.raises(WebSocketDisconnect) as refused,
            ):
                socket.receive_json(timeout=20)
            assert (refused.value.code, refused.value.detail[: len(reason)]) == (code, reason)
            assert len(refused.value.detail.encode()) <= 123


async def test_guards_are_asked_before_anything_is_told() -> None:
    app, plugin = app_with(QueueEventConfig(path="/tasks", guards=[only_with_key]))
    async with AsyncTestClient(app) as client:
        handle = await plugin.service.enqueue(steps)
        await plugin.service.run_due()
        path = f"/tasks/{handle.id}"
        assert (await client.get(path)).status_code == 403
        assert (await client.get(f"/tasks/{uuid4()}")).status_code == 403
        assert (await client.get(path, headers={"x-key": "right"})).status_code == 200


def test_a_websocket_gets_the_states_and_is_closed_at_the_end() -> None:
    app, plugin = app_with(OPEN)
    with TestClient(app) as client:
        handle = client.blocking_portal.call(plugin.service.enqueue, steps)
        with client.websocket_connect(f"/tasks/{handle.id}") as socket:
            first = socket.receive_json(timeout=20)
            client.blocking_portal.call(plugin.service.run_due)
            last = socket.receive_json(timeout=20)
            with pytest.raises(WebSocketDisconnect) as closed:
                socket.receive_json(timeout=20)
    assert (first["status"], last["status"]) == ("pending", "completed")
    assert closed.value.code == 1000


async def test_a_store_that_is_away_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    app, plugin = app_with(OPEN)

    async def away(ids: object) -> None:
        raise BackendUnavailableError("password in the address")

    async with AsyncTestClient(app) as client:
        monkeypatch.setattr(plugin.service.backend, "get_many", away)
        answer = await client.get(f"/tasks/{uuid4()}")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "password" not in answer.text


def test_without_guards_and_on_wrong_paths_it_is_refused() -> None:
    with pytest.raises(QueueConfigurationError, match="allow_unguarded=True"):
        QueueEventConfig(path="/tasks")
    for path in ("", "tasks", "/", "//x", "/{id:int}"):
        with pytest.raises(QueueConfigurationError, match=r"QueueEventConfig\.path="):
            QueueEventConfig(path=path, allow_unguarded=True)


async def test_it_is_off_by_default() -> None:
    app, _ = app_with(QueueEventConfig())
    assert not [route.path for route in app.routes if route.path.startswith("/tasks")]


class Shelf:
    """Records that a test changes, and how often they were looked at."""

    def __init__(self, *ids: UUID) -> None:
        self.looks: list[int] = []
        self.progress = dict.fromkeys(ids, 0)
        self.broken = False

    async def look(self, ids: Sequence[UUID]) -> Mapping[UUID, QueuedTaskRecord]:
        self.looks.append(len(ids))
        if self.broken:
            raise BackendUnavailableError
        return {one: make(one, self.progress[one]) for one in ids if one in self.progress}


def make(record_id: UUID, current: int) -> QueuedTaskRecord:
    from datetime import UTC, datetime

    from litestar_queues.status import TaskStatus

    now = datetime(2026, 1, 2, tzinfo=UTC)
    return QueuedTaskRecord(
        id=record_id, task_name="t", args=(), kwargs={}, queue="default", priority=0, attempt=1, max_attempts=1,
        timeout=None, key=None, created_at=now, scheduled_at=now, progress={"current": current},
        status=TaskStatus.COMPLETED if current < 0 else TaskStatus.RUNNING,
    )  # fmt: skip


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_INTERVAL", 0.005)


async def begin(followers: Followers, one: UUID) -> AsyncIterator[State | None]:
    state = await followers.current(one)
    assert state is not None
    return followers.follow(one, state, seconds=20, beat=20)


@pytest.mark.usefixtures("quick")
async def test_a_thousand_followers_are_one_statement_a_look_and_none_when_they_have_gone() -> None:
    one, two = uuid4(), uuid4()
    shelf = Shelf(one, two)
    followers = Followers(shelf.look)
    streams = [await begin(followers, record) for record in [one, two] * 500]
    waiting = [asyncio.ensure_future(anext(stream)) for stream in streams]
    await asyncio.sleep(0.02)
    shelf.looks.clear()
    shelf.progress = {one: 5, two: 6}
    states = await asyncio.wait_for(asyncio.gather(*waiting), 20)
    assert {json.loads(state.data)["progress"]["current"] for state in states if state} == {5, 6}
    assert set(shelf.looks) == {2}
    assert followers.lookout.watchers == 1_000
    with pytest.raises(TooManyFollowersError, match="as many followers as it may"):
        await followers.current(one)
    for stream in streams:
        await stream.aclose()  # type: ignore[attr-defined]
    assert followers.lookout.watchers == 0
    await until(lambda: not [one for one in asyncio.all_tasks() if one.get_name() == "litestar-queues-followers"])


@pytest.mark.usefixtures("quick")
async def test_a_slow_follower_misses_what_lay_between_and_sees_the_end() -> None:
    one = uuid4()
    shelf = Shelf(one)
    followers = Followers(shelf.look)
    stream = await begin(followers, one)
    seen = []
    for current in (1, 2, 3, -1):
        shelf.progress[one] = current
        if current == 1:
            seen.append(await asyncio.wait_for(anext(stream), 20))
        else:
            await asyncio.sleep(0.03)  # a client that does not read
    seen += [state async for state in stream]
    assert [json.loads(state.data)["progress"]["current"] for state in seen if state] == [1, -1]


@pytest.mark.usefixtures("quick")
async def test_an_outage_is_waited_out_and_a_pruned_record_ends_the_stream() -> None:
    one = uuid4()
    shelf = Shelf(one)
    followers = Followers(shelf.look)
    stream = await begin(followers, one)
    waiting = asyncio.ensure_future(anext(stream))
    shelf.broken = True
    await asyncio.sleep(0.02)
    shelf.broken, shelf.progress[one] = False, 7
    state = await asyncio.wait_for(waiting, 20)
    assert state is not None
    del shelf.progress[one]
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(anext(stream), 20)


@pytest.mark.usefixtures("quick")
async def test_closing_lets_every_follower_go() -> None:
    one = uuid4()
    followers = Followers(Shelf(one).look)
    stream = await begin(followers, one)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.02)
    await followers.lookout.close()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(waiting, 20)
    with pytest.raises(TooManyFollowersError):
        await followers.current(one)
