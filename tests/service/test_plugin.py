"""In: a Litestar app. Out: the app with its queue: in handlers, in state, in its lifespan, after its responses."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

import pytest
from litestar import Litestar, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath
from litestar.status_codes import HTTP_200_OK, HTTP_500_INTERNAL_SERVER_ERROR, HTTP_503_SERVICE_UNAVAILABLE
from litestar.testing import AsyncTestClient, TestClient

from litestar_queues import registry
from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.background import QueuedBackgroundTask
from litestar_queues.config import QueueConfig
from litestar_queues.errors import BackendUnavailableError, QueueConfigurationError
from litestar_queues.event_config import QueueEventConfig
from litestar_queues.events import InMemoryQueueEventSink, WorkerStopped
from litestar_queues.plugin import QueuePlugin
from litestar_queues.registry import TaskRegistry, task
from litestar_queues.service import QueueService
from litestar_queues.status import TaskStatus
from litestar_queues.tasks import Task
from tests.faults.faulty import FaultyBackend
from tests.worker.harness import PATIENCE, Told, until, until_found, within


@pytest.fixture(autouse=True)
def tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty registry for each test."""
    monkeypatch.setattr(registry, "_registry", TaskRegistry())


def make_plugin(**settings: Any) -> QueuePlugin:
    return QueuePlugin(QueueConfig(**{"queue_backend": "memory", **settings}))


def make_task() -> Task[[str], Any]:
    @task
    async def greet(name: str) -> str:
        return f"hello {name}"

    return greet


@post("/greet/{name:str}")
async def enqueue_greeting(name: FromPath[str], queue_service: NamedDependency[QueueService]) -> str:
    return str((await queue_service.enqueue("greet", name)).id)


async def test_handlers_receive_the_service_and_state_has_it_too() -> None:
    make_task()
    plugin = make_plugin(execution_backend="immediate")
    async with AsyncTestClient(Litestar([enqueue_greeting], plugins=[plugin])) as client:
        answer = await client.post("/greet/ada")
        assert answer.status_code == 201
        assert client.app.state.queue_service is plugin.service
        record = await plugin.service.get_task(UUID(answer.text))
        assert record is not None
        assert record.result == "hello ada"


async def test_the_service_may_have_other_names() -> None:
    make_task()

    @post("/")
    async def enqueue(jobs: NamedDependency[QueueService]) -> bool:
        return (await jobs.enqueue("greet", "ada")).created

    plugin = make_plugin(queue_service_dependency_key="jobs", queue_service_state_key="the_jobs")
    async with AsyncTestClient(Litestar([enqueue], plugins=[plugin])) as client:
        assert (await client.post("/")).json() is True
        assert client.app.state.the_jobs is plugin.service
        assert not hasattr(client.app.state, "queue_service")


async def test_a_background_task_is_enqueued_after_the_response() -> None:
    greet = make_task()

    @post("/")
    async def handler() -> Response[str]:
        return Response("sent", background=QueuedBackgroundTask(greet, "ada"))

    plugin = make_plugin()
    async with AsyncTestClient(Litestar([handler], plugins=[plugin])) as client:
        assert (await client.post("/")).text == "sent"
        found = await until_found(lambda: plugin.service.list_tasks(status=TaskStatus.COMPLETED))
    assert [(record.args, record.result) for record in found] == [(("ada",), "hello ada")]


def test_a_memory_queue_is_worked_on_inside_the_app_which_drains_before_it_goes() -> None:
    @post("/")
    async def handler(queue_service: NamedDependency[QueueService]) -> str:
        handle = await queue_service.enqueue("greet", "ada")
        return str((await handle.wait(PATIENCE)).result)

    make_task()
    plugin = make_plugin()
    app = Litestar([handler], plugins=[plugin])
    told = Told(plugin.service.bus)
    with TestClient(app) as client:
        assert client.post("/").text == "hello ada"
    assert [event.cancelled for event in told.all(WorkerStopped)] == [0]
    assert not plugin.service.is_open


@pytest.mark.parametrize(
    ("settings", "hosts"),
    [({}, True), ({"in_app_worker": False}, False), ({"execution_backend": "immediate"}, False)],
)
def test_a_worker_lives_in_the_app_only_where_no_other_could_reach_the_records(
    settings: dict[str, Any], *, hosts: bool
) -> None:
    plugin = make_plugin(**settings)
    app = Litestar(plugins=[plugin])
    told = Told(plugin.service.bus)
    with TestClient(app):
        pass
    assert bool(told.all(WorkerStopped)) is hosts


async def test_tasks_receive_the_dependencies_of_the_app() -> None:
    @task
    async def greet(name: str, greeting: str, state: Any = None) -> str:
        return f"{greeting} {name}"

    def greeting(state: State) -> str:
        return str(state.greeting)

    plugin = make_plugin(execution_backend="immediate")
    app = Litestar(
        [enqueue_greeting], plugins=[plugin], dependencies={"greeting": Provide(greeting, sync_to_thread=False)}
    )
    app.state.greeting = "good morning"
    async with AsyncTestClient(app) as client:
        record = await plugin.service.get_task((await client.post("/greet/ada")).text)
        assert record is not None
        assert record.result == "good morning ada"


async def test_a_sink_hears_of_the_tasks() -> None:
    make_task()
    sink = InMemoryQueueEventSink()
    plugin = make_plugin(event_config=QueueEventConfig(sink=sink))
    async with AsyncTestClient(Litestar([enqueue_greeting], plugins=[plugin])) as client:
        await client.post("/greet/ada")
        await until(lambda: sink.events)
    assert [(event.type, event.task_name) for event in sink.events] == [("task.completed", "greet")]


async def test_the_app_serves_although_the_store_cannot_be_reached_and_recovers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    make_task()
    backend = FaultyBackend(MemoryBackend())
    backend.fail("open", 3)

    @get("/")
    async def home() -> str:
        return "at home"

    def unavailable(_: Any, error: Exception) -> Response[str]:
        return Response(str(error), status_code=HTTP_503_SERVICE_UNAVAILABLE)

    plugin = make_plugin(queue_backend=backend, in_app_worker=False)
    app = Litestar(
        [home, enqueue_greeting],
        plugins=[plugin],
        exception_handlers={BackendUnavailableError: unavailable},
        logging_config=None,
    )
    with caplog.at_level(logging.WARNING, "litestar_queues"):
        async with AsyncTestClient(app) as client:
            assert (await client.get("/")).status_code == HTTP_200_OK
            answers = [(await client.post("/greet/ada")).status_code for _ in range(3)]
            assert answers == [HTTP_503_SERVICE_UNAVAILABLE, HTTP_503_SERVICE_UNAVAILABLE, 201]
    assert "the queue is not available yet: the line is cut" in caplog.messages


async def test_the_worker_in_the_app_waits_for_a_store_that_cannot_be_reached_yet(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("litestar_queues.rooms._FIRST_PAUSE", 0.001)
    make_task()
    backend = FaultyBackend(MemoryBackend())
    backend.fail("open", 5)
    plugin = make_plugin(queue_backend=backend)
    app = Litestar([enqueue_greeting], plugins=[plugin], logging_config=None)
    with caplog.at_level(logging.WARNING, "litestar_queues"):
        async with AsyncTestClient(app) as client, within():
            while (await client.post("/greet/ada")).status_code == HTTP_500_INTERNAL_SERVER_ERROR:
                pass
            (done,) = await until_found(lambda: plugin.service.list_tasks(status=TaskStatus.COMPLETED))
    assert done.result == "hello ada"
    assert not [message for message in caplog.messages if "has ended" in message]


def test_an_app_goes_although_the_store_of_its_worker_never_came(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = FaultyBackend(MemoryBackend())
    backend.fail("open", 1_000)
    with TestClient(Litestar(plugins=[make_plugin(queue_backend=backend)])):
        pass


async def test_a_worker_that_breaks_is_told_and_the_app_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    backend = FaultyBackend(MemoryBackend())
    backend.fail("claim_many", error=QueueConfigurationError("the tables are gone"))

    @get("/")
    async def home() -> str:
        return "at home"

    plugin = make_plugin(queue_backend=backend)
    with caplog.at_level(logging.ERROR, "litestar_queues"):
        async with AsyncTestClient(Litestar([home], plugins=[plugin], logging_config=None)) as client:
            await until(lambda: caplog.messages)
            assert (await client.get("/")).text == "at home"
    assert caplog.messages == ["the worker in this app has ended: the tables are gone"]


def test_wrong_settings_are_refused_when_the_app_is_made() -> None:
    with pytest.raises(QueueConfigurationError, match="queue_backend='mysql'"):
        Litestar(plugins=[make_plugin(queue_backend="mysql")])
    with pytest.raises(QueueConfigurationError, match="worker_max_concurrency"):
        make_plugin(worker_max_concurrency=0)


def test_a_schema_that_does_not_fit_keeps_the_app_from_starting() -> None:
    backend = FaultyBackend(MemoryBackend())
    backend.fail("open", error=QueueConfigurationError("run `litestar queues migrate`"))
    app = Litestar(plugins=[make_plugin(queue_backend=backend)])
    with pytest.raises(ExceptionGroup) as caught, TestClient(app):
        pass
    assert caught.group_contains(QueueConfigurationError, match="migrate")


def test_without_a_config_it_has_the_defaults() -> None:
    assert QueuePlugin().config == QueueConfig()
    assert QueuePlugin(QueueConfig(queue_backend="memory")).service is not None
