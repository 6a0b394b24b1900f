"""In: tasks on real workers with a real OpenTelemetry SDK. Out: spans that hang together."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from litestar_queues import EnqueueSpec, QueueConfig, QueueService, bind_correlation_id
from litestar_queues.backends.postgres import Address, PostgresBackend
from litestar_queues.errors import QueueConfigurationError
from litestar_queues.registry import TaskRegistry
from litestar_queues.ticks import Tick, TickBatch
from tests.builders import NOON, make_record, make_schedule
from tests.postgres.callers import CALLERS
from tests.postgres.server import Server
from tests.telemetry.spans import Spans, attributes, id_of, linked, parent_of, trace_of
from tests.worker.harness import Shift, Shop, until

ROOT = Path(__file__).parents[2]


async def noop() -> None: ...


async def test_a_request_its_enqueue_the_wait_and_the_run_are_one_trace() -> None:
    spans = Spans()
    async with Shop(tracing=spans.provider) as shop, Shift(shop):

        async def work() -> None:
            with spans.tracer.start_as_current_span("inside"):
                pass

        task = shop.task(work, queue="mail")
        with spans.tracer.start_as_current_span("request"), bind_correlation_id("r-1"):
            handle = await shop.service.enqueue(task)
        await handle.wait(20)
        await until(lambda: spans.all("run mail"))
    request, enqueue, wait, run, inside = map(spans.one, ("request", "enqueue mail", "wait mail", "run mail", "inside"))
    assert {trace_of(span) for span in (request, enqueue, wait, run, inside)} == {trace_of(request)}
    assert [parent_of(span) for span in (enqueue, wait, run, inside)] == [
        id_of(request), id_of(enqueue), id_of(enqueue), id_of(run),
    ]  # fmt: skip
    assert (enqueue.kind, run.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert attributes(enqueue) == {
        "messaging.system": "litestar_queues",
        "messaging.operation.name": "enqueue",
        "messaging.operation.type": "send",
        "messaging.destination.name": "mail",
        "messaging.message.id": str(handle.id),
        "messaging.message.conversation_id": "r-1",
        "litestar_queues.task": "work",
        "litestar_queues.created": True,
    }
    told = attributes(run)
    assert told.pop("messaging.client.id")
    assert isinstance(told.pop("litestar_queues.wait"), float)
    assert told == {
        "messaging.system": "litestar_queues",
        "messaging.operation.name": "run",
        "messaging.operation.type": "process",
        "messaging.destination.name": "mail",
        "messaging.message.id": str(handle.id),
        "messaging.message.conversation_id": "r-1",
        "litestar_queues.task": "work",
        "litestar_queues.attempt": 1,
        "litestar_queues.outcome": "completed",
    }
    assert run.status.status_code is StatusCode.UNSET
    assert wait.start_time is not None
    assert wait.end_time is not None
    assert run.start_time is not None
    assert wait.start_time <= wait.end_time <= run.start_time


async def test_each_retry_is_a_trace_of_its_own_that_links_to_the_enqueue_and_tells_the_error() -> None:
    spans = Spans()
    async with Shop(tracing=spans.provider) as shop, Shift(shop):

        async def fail() -> None:
            raise ValueError("no luck")

        handle = await shop.service.enqueue(shop.task(fail, retries=1, retry_backoff=0.01))
        await handle.wait(20)
        await until(lambda: len(spans.all("run default")) > 1)
    enqueue = spans.one("enqueue default")
    first, second = spans.all("run default")
    assert (parent_of(first), linked(first)) == (id_of(enqueue), [])
    assert (parent_of(second), linked(second)) == (None, [id_of(enqueue)])
    assert trace_of(second) != trace_of(enqueue)
    assert [attributes(span)["litestar_queues.outcome"] for span in (first, second)] == ["retried", "failed"]
    for span in (first, second):
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description == "ValueError: no luck"
        (event,) = span.events
        assert event.name == "exception"
        assert "raise ValueError" in str((event.attributes or {})["exception.stacktrace"])


async def test_records_of_a_batch_link_to_its_one_span() -> None:
    spans = Spans()
    async with Shop(tracing=spans.provider) as shop:
        task = shop.task(noop)
        await shop.service.enqueue_many([EnqueueSpec(task), EnqueueSpec(task, queue="other"), EnqueueSpec(task)])
        await shop.service.run_due()
    enqueue = spans.one("enqueue")
    assert attributes(enqueue)["messaging.batch.message_count"] == 3
    runs = spans.all("run default") + spans.all("run other")
    assert [(parent_of(run), linked(run)) for run in runs] == [(None, [id_of(enqueue)])] * 3
    assert spans.all("wait default") == []


async def test_a_plain_function_in_its_thread_sees_the_span_of_its_run() -> None:
    spans = Spans()
    async with Shop(tracing=spans.provider) as shop:

        def current() -> int:
            return get_current_span().get_span_context().span_id

        handle = await shop.service.enqueue(shop.task(current))
        await shop.service.run_due()
        assert (await handle.refresh()).result == id_of(spans.one("run default"))


async def test_runs_of_a_schedule_tell_its_name_and_link_to_who_asked() -> None:
    spans = Spans()
    async with Shop(tracing=spans.provider) as shop:
        shop.task(noop, schedule={"interval": 3600.0})
        await shop.service.run_schedule_now("noop")
        await shop.service.run_due()
    run = spans.one("run default")
    assert attributes(run)["litestar_queues.schedule"] == "noop"
    assert linked(run) == [id_of(spans.one("enqueue default"))]


async def test_a_run_that_is_stopped_by_a_drain_says_so_and_is_no_error() -> None:
    spans = Spans()
    async with Shop(tracing=spans.provider) as shop, Shift(shop) as shift:
        begun = asyncio.Event()

        async def linger() -> None:
            begun.set()
            await asyncio.sleep(60)

        await shop.service.enqueue(shop.task(linger))
        await asyncio.wait_for(begun.wait(), 20)
        await shift.drain(force=True)
    run = spans.one("run default")
    assert attributes(run)["litestar_queues.outcome"] == "released"
    assert run.status.status_code is StatusCode.UNSET


async def test_an_enqueue_that_is_refused_by_the_store_is_an_error_of_its_span() -> None:
    spans = Spans()
    async with Shop(tracing=spans.provider) as shop:
        with pytest.raises(Exception, match="connection"):
            await shop.service.enqueue(shop.task(noop), connection=object())
    assert spans.one("enqueue default").status.status_code is StatusCode.ERROR


async def test_a_record_in_the_callers_transaction_carries_the_context_too(tmp_path: Path) -> None:
    spans, file = Spans(), tmp_path / "q.db"
    config = QueueConfig(queue_backend=f"sqlite:///{file}", tracing=spans.provider)
    registry = TaskRegistry()
    service = QueueService(config, registry=registry)
    from litestar_queues.options import TaskOptions
    from litestar_queues.tasks import Task

    task = Task(noop, name="noop", options=TaskOptions())
    registry.register(task)
    async with service:
        with sqlite3.connect(file) as connection:
            await service.enqueue(task, connection=connection)
        connection.close()
        await service.run_due()
    assert parent_of(spans.one("run default")) == id_of(spans.one("enqueue default"))


@pytest.mark.parametrize("caller", CALLERS)
async def test_a_record_in_a_transaction_on_postgresql_carries_the_context_once_it_is_committed(
    postgres_server: Server, caller: str
) -> None:
    spans = Spans()
    address = Address.from_url(postgres_server.url(), pooled=False)
    backend = PostgresBackend(address, prefix=postgres_server.new_prefix())
    async with Shop(backend=backend, tracing=spans.provider) as shop:
        task = shop.task(noop)
        for ending in ("rollback", "commit"):
            async with CALLERS[caller](postgres_server) as app:
                with spans.tracer.start_as_current_span(ending):
                    await shop.service.enqueue(task, connection=app.connection)
                assert await shop.service.run_due() == 0
                await getattr(app, ending)()
        assert await shop.service.run_due() == 1
    asked, run = spans.one("commit"), spans.one("run default")
    (enqueue,) = [span for span in spans.all("enqueue default") if parent_of(span) == id_of(asked)]
    assert (trace_of(run), parent_of(run)) == (trace_of(asked), id_of(enqueue))
    assert len(spans.all("enqueue default")) == 2


async def test_a_tick_is_one_span_whoever_else_was_after_it_and_its_run_links_to_it() -> None:
    spans = Spans()
    async with Shop(tracing=spans.provider) as shop:
        shop.task(noop, schedule={"interval": 3600.0})
        record = make_record(task="noop", schedule="noop")
        await shop.backend.sync_schedules([make_schedule("noop")])
        batch = TickBatch("noop", NOON, [Tick(NOON, record)], NOON + timedelta(hours=1), overlap=True)
        with spans.tracer.start_as_current_span("a worker that was started by a request"):
            made = [await shop.service.fire_ticks(batch) for _ in range(2)]
        await shop.service.run_due()
    enqueue, run = spans.one("enqueue default"), spans.one("run default")
    assert made == [1, 0]
    assert (enqueue.kind, parent_of(enqueue)) == (SpanKind.PRODUCER, None)
    assert attributes(enqueue) == {
        "messaging.system": "litestar_queues",
        "messaging.operation.name": "enqueue",
        "messaging.operation.type": "send",
        "messaging.destination.name": "default",
        "messaging.message.id": str(record.id),
        "litestar_queues.task": "noop",
        "litestar_queues.schedule": "noop",
    }
    assert (parent_of(run), linked(run)) == (None, [id_of(enqueue)])


async def test_the_ticks_of_a_worker_are_spans() -> None:
    spans = Spans()
    async with Shop(tracing=spans.provider) as shop:
        shop.task(noop, schedule={"interval": 0.2})
        async with Shift(shop):
            await until(lambda: spans.all("run default"))
    assert linked(spans.all("run default")[0]) == [id_of(spans.all("enqueue default")[0])]


async def test_metadata_that_is_no_context_is_passed_over() -> None:
    spans = Spans()
    async with Shop() as shop:
        odd: list[Any] = [5, "nonsense", "00-0-0-0", {"a": 1}]
        task = shop.task(noop)
        for value in odd:
            await shop.service.enqueue(task, metadata={"traceparent": value, "tracestate": value})
        config = QueueConfig(tracing=spans.provider)
        async with QueueService(config, backend=shop.backend, registry=shop.service.registry) as traced:
            assert await traced.run_due() == len(odd)
    assert [parent_of(run) for run in spans.all("run default")] == [None] * len(odd)


async def test_without_a_provider_nothing_is_carried() -> None:
    async with Shop(tracing=True) as shop:
        handle = await shop.service.enqueue(shop.task(noop))
        await shop.service.run_due()
        record = (await handle.refresh()).record
        assert record is not None
        assert record.metadata == {}


def test_what_is_no_provider_is_refused() -> None:
    with pytest.raises(QueueConfigurationError, match=r"QueueConfig\.tracing='yes' is not accepted: use true"):
        QueueConfig(tracing="yes")


def test_the_environment_switches_it_on_or_names_a_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITESTAR_QUEUES_TRACING", "true")
    assert QueueConfig().tracing is True
    monkeypatch.setenv("LITESTAR_QUEUES_TRACING", "opentelemetry.trace:ProxyTracerProvider")
    assert hasattr(QueueConfig().tracing, "get_tracer")


PRODUCER = """
import asyncio, json, sys
from litestar_queues import QueueConfig, QueueService, task
from tests.telemetry.spans import Spans, id_of, trace_of

spans = Spans()

@task("two.processes")
async def two() -> None: ...

async def main() -> None:
    config = QueueConfig(queue_backend="sqlite:///" + sys.argv[1], tracing=spans.provider)
    async with QueueService(config) as service:
        await service.enqueue(two)

asyncio.run(main())
span = spans.one("enqueue default")
print(json.dumps([trace_of(span), id_of(span)]))
"""


@pytest.mark.process
async def test_the_trace_goes_on_in_another_process(tmp_path: Path) -> None:
    file = tmp_path / "q.db"
    answer = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "error", "-c", PRODUCER, str(file)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    trace_id, span_id = json.loads(answer.stdout)
    spans = Spans()
    config = QueueConfig(queue_backend=f"sqlite:///{file}", tracing=spans.provider)
    registry = TaskRegistry()
    from litestar_queues.options import TaskOptions
    from litestar_queues.tasks import Task

    registry.register(Task(noop, name="two.processes", options=TaskOptions()))
    async with QueueService(config, registry=registry) as service:
        assert await service.run_due() == 1
    run = spans.one("run default")
    assert (trace_of(run), parent_of(run)) == (trace_id, span_id)


def test_an_absent_package_is_one_sentence() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from litestar_queues import MissingDependencyError, QueueConfig, QueueService\n"
        "try: QueueService(QueueConfig(queue_backend='memory', tracing=True))\n"
        "except MissingDependencyError as error: print(error)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (
        answer.stdout == "QueueConfig.tracing needs opentelemetry-api: pip install 'litestar-queues[opentelemetry]'\n"
    )
