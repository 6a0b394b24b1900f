"""In: a service with records and scrapes of its exporter. Out: metrics and JSON, whatever the store does meanwhile."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.errors import QueueConfigurationError, SchemaVersionError
from litestar_queues.events import BackendDown, BackendUp, RecordsFinished, Run, TicksFired
from litestar_queues.exporter import QueueExporter, serve_exporter
from litestar_queues.metrics import WorkerMetrics, render
from litestar_queues.outcomes import Completed, Failed
from litestar_queues.plain_http import Answer, Request
from litestar_queues.records import CANARY_QUEUE
from litestar_queues.worker import Worker
from tests.builders import FakeClock, make_error, make_record, make_report, make_schedule
from tests.contract.laws import claim, run_one
from tests.faults.faulty import FaultyBackend
from tests.worker.harness import Shop, make_claim, within

GUIDE = (Path(__file__).parents[2] / "docs/howto/metrics.md").read_text("utf-8")
EVERY = {"kept_for": 0.0}
"""Ask the store for each scrape."""
LABELS = ("queue", "schedule", "status", "state")


@pytest.fixture
async def shop(clock: FakeClock) -> AsyncIterator[Shop]:
    async with Shop(backend=FaultyBackend(MemoryBackend(clock=clock)), worker_queues=("mail",)) as shop:
        yield shop


def faulty(shop: Shop) -> FaultyBackend:
    assert isinstance(shop.backend, FaultyBackend)
    return shop.backend


async def get(exporter: QueueExporter, path: str) -> Answer:
    async with within():
        return await exporter.answer(Request(path, {}))


async def scrape(exporter: QueueExporter) -> dict[str, float]:
    """Samples by name and labels, without our prefix."""
    answer = await get(exporter, "metrics")
    assert answer.status == 200
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for one in family.samples:
            labels = ",".join(
                one.labels[name] for name in ("queue", "schedule", "status", "state") if name in one.labels
            )
            found[f"{one.name.removeprefix('litestar_queues_')} {labels}".strip()] = one.value
    return found


async def as_json(exporter: QueueExporter) -> Any:
    answer = await get(exporter, "queues.json")
    assert (answer.status, answer.kind) == (200, "application/json")
    return json.loads(answer.text)


async def test_live_records_are_told_by_queue_and_ended_ones_together(shop: Shop, clock: FakeClock) -> None:
    await shop.backend.enqueue_many([make_record(queue="photos") for _ in range(4)])
    await shop.backend.enqueue_many([make_record(queue="photos", delay=60)])
    await claim(shop.backend, "photos", limit=1)
    await run_one(shop.backend, Completed(None))
    await run_one(shop.backend, Failed(make_error()))
    clock.advance(7)
    found = await scrape(QueueExporter(shop.service, clock=clock))
    assert found["up"] == 1
    assert (found["tasks photos,pending"], found["tasks photos,scheduled"], found["tasks photos,running"]) == (3, 1, 1)
    assert found["oldest_due_age_seconds photos"] == 7
    assert (found["tasks_ended completed"], found["tasks_ended failed"], found["tasks_ended cancelled"]) == (1, 1, 0)
    assert 0 <= found["scrape_duration_seconds"] < 20
    assert found["build_info"] == 1


async def test_known_queues_have_zeros_and_those_once_seen_keep_theirs(shop: Shop, clock: FakeClock) -> None:
    shop.task(lambda: None, name="resize", queue="photos")
    await shop.backend.enqueue_many([make_record(queue="rare")])
    exporter = QueueExporter(shop.service, clock=clock, **EVERY)
    assert (await scrape(exporter))["tasks rare,pending"] == 1
    await claim(shop.backend, "rare")
    found = await scrape(exporter)
    assert (found["tasks rare,pending"], found["tasks rare,running"]) == (0, 1)
    for queue in ("mail", "photos"):  # of the settings, of a task
        assert [found[f"tasks {queue},{status}"] for status in ("pending", "scheduled", "running")] == [0, 0, 0]
        assert found[f"oldest_due_age_seconds {queue}"] == 0


async def test_the_canary_has_an_age_once_it_has_completed(shop: Shop, clock: FakeClock) -> None:
    exporter = QueueExporter(shop.service, clock=clock, **EVERY)
    assert "canary_age_seconds" not in await scrape(exporter)
    await run_one(shop.backend, Completed(None), queue=CANARY_QUEUE)
    clock.advance(90)
    assert (await scrape(exporter))["canary_age_seconds"] == 90


async def test_schedules_that_the_app_has_are_told_with_what_they_are_overdue(shop: Shop, clock: FakeClock) -> None:
    for name in ("late", "paused", "early"):
        shop.task(lambda: None, name=name, schedule={"interval": 60})
    early = make_schedule("early", first_at=clock.now())
    clock.advance(-100)
    late, paused, gone = (make_schedule(name, first_at=clock.now()) for name in ("late", "paused", "gone"))
    await shop.backend.sync_schedules([late, paused, gone, early])
    await shop.backend.pause_schedule("paused", paused=True)
    clock.advance(40)
    found = await scrape(QueueExporter(shop.service, clock=clock))
    lags = {name: value for name, value in found.items() if name.startswith("schedule_lag_seconds")}
    assert lags == {
        "schedule_lag_seconds late": 40,
        "schedule_lag_seconds paused": 0,
        "schedule_lag_seconds early": 0,
    }


async def test_a_store_that_is_down_is_a_metric_without_queues_and_then_is_up_again(
    shop: Shop, clock: FakeClock
) -> None:
    exporter = QueueExporter(shop.service, clock=clock, **EVERY)
    assert (await scrape(exporter))["up"] == 1
    faulty(shop).is_down = True
    for _ in range(3):
        found = await scrape(exporter)
        assert set(found) == {"up", "scrape_duration_seconds", "build_info"}
        assert found["up"] == 0
        answer = await get(exporter, "queues.json")
        assert (answer.status, json.loads(answer.text)) == (503, {"up": False})
        assert (await get(exporter, "healthz")).status == 200
    faulty(shop).is_down = False
    assert (await scrape(exporter))["up"] == 1
    assert [event.room for event in shop.told.all(BackendDown)] == ["exporter"]  # told once
    assert len(shop.told.all(BackendUp)) == 1


async def test_missing_tables_are_a_store_that_is_not_up_yet(shop: Shop, clock: FakeClock) -> None:
    await shop.service.close()
    faulty(shop).fail("open", error=SchemaVersionError("run `litestar queues migrate`"))
    exporter = QueueExporter(shop.service, clock=clock, **EVERY)
    assert (await scrape(exporter))["up"] == 0
    assert (await scrape(exporter))["up"] == 1


async def test_an_answer_serves_all_who_ask_within_seconds(shop: Shop, clock: FakeClock) -> None:
    exporter = QueueExporter(shop.service, clock=clock, kept_for=60.0)
    await asyncio.gather(*(get(exporter, path) for path in ("metrics", "queues.json") * 20))
    await shop.backend.enqueue_many([make_record()])
    assert (await scrape(exporter)).get("tasks default,pending", 0) == 0
    assert faulty(shop).calls.count("queue_depths") == 1


async def test_a_store_that_hangs_is_not_up_and_is_asked_one_question_at_a_time(shop: Shop, clock: FakeClock) -> None:
    hang = faulty(shop).hang("queue_depths")
    exporter = QueueExporter(shop.service, clock=clock, patience=0.02, **EVERY)
    scrapes = await asyncio.gather(*(scrape(exporter) for _ in range(5)))
    assert {found["up"] for found in scrapes} == {0}
    assert (await scrape(exporter))["up"] == 0
    assert faulty(shop).calls.count("queue_depths") == 1
    hang.release()
    async with within():
        while (await scrape(exporter))["up"] == 0:  # noqa: ASYNC110 - the question under way ends, and the next one is answered
            await asyncio.sleep(0)


async def test_closing_ends_a_question_that_hangs(shop: Shop, clock: FakeClock) -> None:
    faulty(shop).hang("queue_depths")
    exporter = QueueExporter(shop.service, clock=clock, patience=0.01)
    assert (await scrape(exporter))["up"] == 0
    async with within():
        await exporter.close()
        await exporter.close()


async def test_autoscalers_read_the_demand_of_each_queue_and_of_all(shop: Shop, clock: FakeClock) -> None:
    await shop.backend.enqueue_many([make_record(queue="photos") for _ in range(3)])
    await shop.backend.enqueue_many([make_record(queue="mail", delay=delay) for delay in (10, 90)])
    await shop.backend.enqueue_many([make_record(queue=CANARY_QUEUE)])
    await claim(shop.backend, "photos", limit=1)
    clock.advance(30)
    found = await as_json(QueueExporter(shop.service, clock=clock))
    assert found["up"] is True
    photos = {"pending": 2, "scheduled": 0, "running": 1, "demand": 3, "oldest_due_age": 30.0, "paused": False}
    mail = {"pending": 1, "scheduled": 1, "running": 0, "demand": 1, "oldest_due_age": 20.0, "paused": False}
    assert found["queues"] == {"mail": mail, "photos": photos}  # the canary is no reason to start a worker
    assert found["totals"] == {"pending": 3, "scheduled": 1, "running": 1, "demand": 4, "oldest_due_age": 30.0}


async def test_other_paths_are_not_found(shop: Shop) -> None:
    answer = await get(QueueExporter(shop.service), "")
    assert answer == (404, "there are /metrics, /queues.json and /healthz", "text/plain")


async def test_names_and_helps_pass_promtool(shop: Shop, clock: FakeClock) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: Debian has it in the package prometheus")
    shop.task(lambda: None, name="nightly", schedule={"interval": 60})
    await shop.backend.sync_schedules([make_schedule("nightly")])
    await run_one(shop.backend, Completed(None), queue=CANARY_QUEUE)
    text = (await get(QueueExporter(shop.service, clock=clock), "metrics")).text
    answer = await asyncio.to_thread(
        subprocess.run, [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert "litestar_queues_schedule_lag_seconds" in text
    assert (answer.returncode, answer.stdout + answer.stderr) == (0, "")


async def test_a_paused_queue_is_told_and_asks_for_no_workers(shop: Shop, clock: FakeClock) -> None:
    await shop.backend.enqueue_many([make_record(queue="photos") for _ in range(3)])
    await claim(shop.backend, "photos", limit=1)
    await shop.backend.pause_queue("photos", seconds=60)
    await shop.backend.pause_queue("unheard of")
    exporter = QueueExporter(shop.service, clock=clock, **EVERY)
    found = await scrape(exporter)
    assert [found[f"queue_paused {queue}"] for queue in ("photos", "unheard of", "mail")] == [1, 1, 0]
    told = await as_json(exporter)
    assert (told["queues"]["photos"]["paused"], told["queues"]["photos"]["demand"]) == (True, 1)
    assert (told["totals"]["pending"], told["totals"]["demand"]) == (2, 1)
    clock.advance(60)
    assert (await scrape(exporter))["queue_paused photos"] == 0
    assert (await as_json(exporter))["totals"]["demand"] == 3


async def test_workers_are_counted_by_what_they_do(shop: Shop, clock: FakeClock) -> None:
    exporter = QueueExporter(shop.service, clock=clock, **EVERY)
    assert (await as_json(exporter))["workers"] == {"working": 0, "draining": 0, "lost": 0}
    await shop.backend.report_worker(make_report("lost:1"), lease=10)
    clock.advance(10)
    for number in range(3):
        await shop.backend.report_worker(make_report(f"a:{number}", draining=number == 2), lease=60)
    found = await scrape(exporter)
    assert [found[f"workers {state}"] for state in ("working", "draining", "lost")] == [2, 1, 1]
    assert (await as_json(exporter))["workers"] == {"working": 2, "draining": 1, "lost": 1}


async def test_the_guide_names_every_metric_with_its_type_and_labels_and_no_other(shop: Shop, clock: FakeClock) -> None:
    guide = {
        (name, kind, frozenset(labels.split(", ")) - {""})
        for name, kind, labels in re.findall(
            r"^\| `(litestar_queues_\w+)` \| (\w+) \| ([\w, ]*?) ?\|", GUIDE, re.MULTILINE
        )
    }
    shop.task(lambda: None, name="nightly", schedule={"interval": 60})
    await shop.backend.sync_schedules([make_schedule("nightly")])
    await run_one(shop.backend, Completed(None), queue=CANARY_QUEUE)
    counted = WorkerMetrics(Worker(shop.service))
    counted(RecordsFinished([Run(make_claim(), Completed(None), 0.0)]))
    counted(TicksFired("nightly", 1))
    exported = set()
    for text in (render(counted.collect), (await get(QueueExporter(shop.service, clock=clock), "metrics")).text):
        for family in text_string_to_metric_families(text):
            labels = frozenset(label for one in family.samples for label in one.labels) - {"le"}
            total = "_total" if family.type == "counter" else ""
            exported.add((family.name + total, family.type, labels))
    assert guide == exported


# over HTTP


@asynccontextmanager
async def serving(shop: Shop) -> AsyncIterator[int]:
    async with serve_exporter(QueueExporter(shop.service), host="127.0.0.1", port=0) as port:
        yield port


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with within():
            writer.write(request)
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_it_is_served_with_the_type_that_prometheus_expects(shop: Shop) -> None:
    async with serving(shop) as port:
        answer = await ask(port, b"GET /metrics HTTP/1.1\r\nHost: pod\r\nAccept: text/plain\r\n\r\n")
        head, _, body = answer.decode().partition("\r\n\r\n")
        assert head.startswith("HTTP/1.0 200 OK")
        assert "Content-Type: text/plain; version=0.0.4; charset=utf-8" in head
        assert "litestar_queues_up 1.0" in body
        assert (await ask(port, b"GET /healthz HTTP/1.0\r\n\r\n")).endswith(b"\r\n\r\nok\n")


@pytest.mark.parametrize(
    "request_line", [b"x" * 100_000, b"GET /metrics?" + b"x" * 100_000 + b"\r\n", b"\r\n", b"GET\n"]
)
async def test_a_senseless_request_does_not_hurt_the_next_one(shop: Shop, request_line: bytes) -> None:
    async with serving(shop) as port:
        answer = await ask(port, request_line)
        assert answer == b"" or answer.startswith(b"HTTP/1.0 400")
        assert (await ask(port, b"GET /healthz HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.0 200")


async def test_a_port_that_is_taken_is_an_error_that_names_the_option(shop: Shop) -> None:
    async with serving(shop) as port:
        with pytest.raises(QueueConfigurationError, match=f"cannot bind 127.0.0.1:{port} .*: choose another --port"):
            async with serve_exporter(QueueExporter(shop.service), host="127.0.0.1", port=port):
                pass


async def test_without_prometheus_client_it_does_not_start(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(QueueConfigurationError, match="pip install prometheus-client"):
        async with serving(shop):
            pass
