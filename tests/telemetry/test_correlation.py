"""In: ids of requests, blocks and calls. Out: the same id on records, in tasks and on what tasks enqueue."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Litestar, get, post
from litestar.di import NamedDependency
from litestar.testing import AsyncTestClient
from litestar.types import ASGIApp, Receive, Scope, Send

from litestar_queues import (
    EnqueueSpec,
    QueueConfig,
    QueuePlugin,
    QueueService,
    TaskExecutionContext,
    bind_correlation_id,
    get_correlation_id,
    get_current_task_context,
    task,
)
from litestar_queues.errors import InvalidArgumentError
from tests.worker.harness import Shop

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def seen() -> list[str | None]:
    context = get_current_task_context()
    assert context is not None
    return [context.correlation_id, get_correlation_id()]


async def test_what_a_block_enqueues_carries_its_id_and_so_does_what_the_task_enqueues() -> None:
    async with Shop() as shop:

        async def child() -> list[str | None]:
            return seen()

        async def parent(context: TaskExecutionContext) -> str:
            return str((await shop.service.enqueue(inner)).id)

        inner, outer = shop.task(child), shop.task(parent)
        with bind_correlation_id("order-7"):
            handle = await shop.service.enqueue(outer)
        assert get_correlation_id() is None
        await shop.service.run_due()
        record = (await handle.refresh()).record
        assert record is not None
        assert record.metadata == {"correlation_id": "order-7"}
        nested = await shop.service.get_task(record.result)
        assert nested is not None
        assert nested.result == ["order-7", "order-7"]


async def test_a_plain_function_in_its_thread_runs_under_the_id() -> None:
    async with Shop() as shop:
        read = shop.task(seen)
        handle = await shop.service.enqueue(read, metadata={"correlation_id": "given"})
        await shop.service.run_due()
        assert (await handle.refresh()).result == ["given", "given"]


async def test_an_id_that_is_given_wins_over_the_bound_one_and_the_rest_of_the_metadata_stays() -> None:
    async with Shop() as shop:

        async def noop() -> None: ...

        idle = shop.task(noop)
        with bind_correlation_id("bound"):
            given = await shop.service.enqueue(idle, metadata={"correlation_id": "given", "a": 1})
            many = await shop.service.enqueue_many([EnqueueSpec(idle, metadata={"a": 1}), EnqueueSpec(idle)])
        found = [(await handle.refresh()).record for handle in (given, *many)]
        assert [record.metadata for record in found if record] == [
            {"correlation_id": "given", "a": 1},
            {"correlation_id": "bound", "a": 1},
            {"correlation_id": "bound"},
        ]


async def test_without_an_id_nothing_is_stored_and_a_task_has_none() -> None:
    async with Shop() as shop:
        handle = await shop.service.enqueue(shop.task(seen))
        with bind_correlation_id("of the caller of this inline run alone"):
            await shop.service.run_due()
        record = (await handle.refresh()).record
        assert record is not None
        assert record.metadata == {}
        assert record.result == [None, None]


@pytest.mark.parametrize("value", ["", "a\nb", "x" * 201, None])
def test_what_is_no_id_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="is no correlation id"), bind_correlation_id(value):
        pass


@task("telemetry.correlated")
async def correlated() -> None: ...


def app_with(**settings: Any) -> Litestar:
    @post("/")
    async def enqueue(queue_service: NamedDependency[QueueService]) -> dict[str, Any]:
        record = (await (await queue_service.enqueue(correlated)).refresh()).record
        assert record is not None
        return dict(record.metadata)

    config = QueueConfig(queue_backend="memory", in_app_worker=False, **settings)
    return Litestar([enqueue], plugins=[QueuePlugin(config)])


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"x-request-id": "r-1", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, "r-1"),
        ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, TRACE),
        ({"traceparent": "00-nonsense-01"}, None),
        ({"x-request-id": "x" * 201}, None),
        ({"x-request-id": b"a\tb"}, None),
        ({}, None),
    ],
)
async def test_a_request_gives_its_id_to_what_it_enqueues(headers: Any, found: str | None) -> None:
    async with AsyncTestClient(app_with()) as client:
        answer = await client.post("/", headers=headers)
    assert answer.json() == ({} if found is None else {"correlation_id": found})


async def test_another_header_and_none_at_all() -> None:
    headers = {"x-request-id": "r-1", "x-amzn-trace": "a-1"}
    for header, found in (("X-Amzn-Trace", {"correlation_id": "a-1"}), (None, {})):
        async with AsyncTestClient(app_with(correlation_header=header)) as client:
            assert (await client.post("/", headers=headers)).json() == found


async def test_a_middleware_of_the_app_wins_over_the_header() -> None:
    def middleware(app: ASGIApp) -> ASGIApp:
        async def bound(scope: Scope, receive: Receive, send: Send) -> None:
            with bind_correlation_id("of the app"):
                await app(scope, receive, send)

        return bound

    @get("/")
    async def show() -> str | None:
        return get_correlation_id()

    config = QueueConfig(queue_backend="memory", in_app_worker=False)
    app = Litestar([show], plugins=[QueuePlugin(config)], middleware=[middleware])
    async with AsyncTestClient(app) as client:
        assert (await client.get("/", headers={"x-request-id": "r-1"})).text == "of the app"
