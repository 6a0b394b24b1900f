"""In: events of the engine. Out: the numbers that a scrape of the worker finds, under names that promtool approves."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, get_args
from uuid import UUID

import prometheus_client
import pytest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from litestar_queues import QueueConfig, QueueService, Worker, events, health, metrics
from litestar_queues.errors import BackendUnavailableError
from litestar_queues.events import EngineEvent, RecordsFinished, Run
from litestar_queues.metrics import WorkerMetrics
from litestar_queues.outcomes import Cancelled, Completed, Failed, Outcome, Released, Retried, Snoozed
from litestar_queues.plain_http import Request
from litestar_queues.records import Rescued
from litestar_queues.registry import TaskRegistry
from litestar_queues.status import TaskStatus
from litestar_queues.tallies import Histogram, Names
from tests.builders import make_error
from tests.worker.harness import make_claim

ONE, TWO = UUID(int=1), UUID(int=2)
ERROR = make_error()
LABELS = ("queue", "task", "outcome", "schedule", "state", "version", "le")


@pytest.fixture
def worker() -> Worker:
    service = QueueService(QueueConfig(queue_backend="memory", worker_max_concurrency=7), registry=TaskRegistry())
    return Worker(service)


@pytest.fixture
def counted(worker: Worker) -> WorkerMetrics:
    return WorkerMetrics(worker)


def samples(text: str, prefix: str = "litestar_queues_") -> dict[str, float]:
    """Each sample of a scrape, under its name with its labels."""
    found = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            labels = ",".join(f"{name}={one.labels[name]}" for name in LABELS if name in one.labels)
            found[f"{one.name}{{{labels}}}" if labels else one.name] = one.value
    return {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}


def run(outcome: Outcome | None = None, duration: float = 0.0, **claim: Any) -> Run:
    return Run(make_claim(**claim), outcome or Completed(None), duration)


def test_runs_are_counted_by_queue_task_and_outcome(counted: WorkerMetrics) -> None:
    outcomes: list[Outcome] = [
        Completed(None),
        Failed(ERROR),
        Retried(ERROR, 1),
        Snoozed("?", 1),
        Cancelled("asked"),
        Released(),
    ]
    counted(RecordsFinished([run(outcome) for outcome in outcomes]))
    counted(RecordsFinished([run(), run(queue="mail", task="send"), run(), run(Failed(ERROR), task="send")]))
    found = samples(counted.text())
    assert found["tasks_finished_total{queue=default,task=greet,outcome=completed}"] == 3
    for outcome in ("failed", "retried", "snoozed", "cancelled", "released"):
        assert found[f"tasks_finished_total{{queue=default,task=greet,outcome={outcome}}}"] == 1
    assert found["tasks_finished_total{queue=mail,task=send,outcome=completed}"] == 1
    assert found["tasks_finished_total{queue=default,task=send,outcome=failed}"] == 1
    assert found["tasks_finished_total{queue=mail,task=send,outcome=failed}"] == 0


def test_durations_and_waits_fall_into_their_buckets(counted: WorkerMetrics) -> None:
    counted(RecordsFinished([run(duration=0.005, waited=1800), run(duration=7.0, waited=1801), run(duration=1e6)]))
    found = samples(counted.text())
    duration = "task_duration_seconds{0}{{queue=default,task=greet{1}}}"
    assert found[duration.format("_bucket", ",le=0.005")] == 1
    assert found[duration.format("_bucket", ",le=5.0")] == 1
    assert found[duration.format("_bucket", ",le=10.0")] == 2
    assert found[duration.format("_bucket", ",le=+Inf")] == found[duration.format("_count", "")] == 3
    assert found[duration.format("_sum", "")] == pytest.approx(1_000_007.005)
    assert found["task_wait_seconds_bucket{queue=default,le=900.0}"] == 1
    assert found["task_wait_seconds_bucket{queue=default,le=1800.0}"] == 2
    assert found["task_wait_seconds_count{queue=default}"] == 3


def test_claims_completions_rescues_and_ticks_are_counted(counted: WorkerMetrics) -> None:
    counted(events.ClaimsLost([ONE, TWO]))
    counted(events.CompletionsRefused([ONE]))
    rescued = Rescued(ONE, "greet", "default", "gone:1", TaskStatus.PENDING)
    counted(events.RecordsRescued([rescued, rescued, rescued._replace(status=TaskStatus.FAILED)]))
    counted(events.TicksFired("nightly", 1))
    counted(events.TicksFired("nightly", 0))
    found = samples(counted.text())
    assert found["claims_lost_total"] == 2
    assert found["completions_refused_total"] == 1
    assert found["records_rescued_total{outcome=pending}"] == 2
    assert found["records_rescued_total{outcome=failed}"] == 1
    assert found["records_rescued_total{outcome=cancelled}"] == 0
    assert found["schedule_ticks_total{schedule=nightly}"] == 2


def test_a_worker_that_has_done_nothing_shows_its_zeros(counted: WorkerMetrics) -> None:
    found = samples(counted.text())
    assert {name: found[name] for name in ("claims_lost_total", "completions_refused_total", "drain_seconds")} == {
        "claims_lost_total": 0,
        "completions_refused_total": 0,
        "drain_seconds": 0,
    }
    assert found["worker_slots{state=busy}"] == 0
    assert found["worker_slots{state=limit}"] == 7
    assert found["loop_lag_seconds_count"] == 0
    assert [name for name in found if name.startswith("build_info{version=")]


def test_store_and_listener_are_up_until_they_are_down(worker: Worker, counted: WorkerMetrics) -> None:
    def up() -> tuple[float, float]:
        found = samples(counted.text())
        return found["store_up"], found["listener_up"]

    error = BackendUnavailableError("gone")
    assert up() == (1, 1)
    worker.health.down("claimer", error)
    counted(events.ListenerDown(error))
    assert up() == (0, 0)
    worker.health.up("claimer")
    counted(events.ListenerUp(1.0))
    assert up() == (1, 1)


def test_a_drain_is_timed_while_it_lasts_and_keeps_its_length(
    counted: WorkerMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("litestar_queues.metrics.time.monotonic", lambda: now)
    counted(events.WorkerDraining("w:1", 1, 30.0))
    now += 12.0
    assert samples(counted.text())["drain_seconds"] == 12.0
    counted(events.WorkerStopped("w:1", 0, 12.5))
    now += 60.0
    assert samples(counted.text())["drain_seconds"] == 12.5


def test_a_loop_that_stood_still_is_noted(counted: WorkerMetrics) -> None:
    counted(events.LoopLagged(3.0))
    found = samples(counted.text())
    assert (found["loop_lag_seconds_bucket{le=2.5}"], found["loop_lag_seconds_bucket{le=5.0}"]) == (0, 1)


def test_every_event_of_the_engine_is_taken_or_passed_over(counted: WorkerMetrics) -> None:
    passed_over = {
        events.WorkerStarted, events.Pruned, events.BackendDown, events.BackendUp, events.RoomFailed,
        events.TaskPublished, events.SettingsMisspelled,
    }  # fmt: skip
    assert set(get_args(EngineEvent)) - set(counted._takers) == passed_over
    counted(events.Pruned("completed", 5))


# bounds


def test_tasks_beyond_the_first_200_are_added_up_as_other(counted: WorkerMetrics) -> None:
    counted(RecordsFinished([run(task=f"task {n}") for n in range(1_000)]))
    counted(RecordsFinished([run(task="task 3"), run(task="task 999")]))
    found = samples(counted.text())
    completed = {name for name in found if name.endswith("outcome=completed}")}
    assert len(completed) == 201
    assert found["tasks_finished_total{queue=default,task=other,outcome=completed}"] == 801
    assert found["tasks_finished_total{queue=default,task=task 3,outcome=completed}"] == 2
    assert len(counted._series) == 201  # names that are folded are not remembered


def test_pairs_of_queue_and_task_are_bounded_too(counted: WorkerMetrics) -> None:
    runs = [run(queue=f"queue {queue}", task=f"task {task}") for queue in range(60) for task in range(20)]
    counted(RecordsFinished(runs))
    found = samples(counted.text())
    assert found["tasks_finished_total{queue=other,task=other,outcome=completed}"] == 60 * 20 - 500
    assert len(counted._series) == 501
    assert sum(value for name, value in found.items() if name.startswith("task_wait_seconds_count")) == 60 * 20


def test_schedules_are_bounded_too(counted: WorkerMetrics) -> None:
    for number in range(300):
        counted(events.TicksFired(f"schedule {number}", 1))
    assert samples(counted.text())["schedule_ticks_total{schedule=other}"] == 100


def test_a_histogram_counts_a_value_at_its_bound() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.5):
        histogram.observe(value)
    assert histogram.buckets() == [("1.0", 2.0), ("2.0", 3.0), ("+Inf", 4.0)]
    assert histogram.total == 5.5


def test_names_beyond_the_bound_are_folded_and_known_ones_are_not() -> None:
    names = Names(2)
    assert [names.fold(name) for name in ("a", "b", "c", "a", "d")] == ["a", "b", "other", "a", "other"]


# what is served


def test_labels_that_would_break_a_line_are_escaped(counted: WorkerMetrics) -> None:
    counted(RecordsFinished([run(task='odd "name"\\\n')]))
    assert samples(counted.text())['tasks_finished_total{queue=default,task=odd "name"\\\n,outcome=completed}'] == 1


def test_metrics_of_the_app_stand_beside_ours(counted: WorkerMetrics) -> None:
    gauge = prometheus_client.Gauge("shop_photos", "Of the app.")
    try:
        gauge.set(5)
        assert samples(counted.text(), prefix="shop_") == {"photos": 5}
    finally:
        prometheus_client.REGISTRY.unregister(gauge)


def test_a_collector_of_the_app_that_fails_does_not_hide_the_worker(
    counted: WorkerMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Collector):
        works = True

        def collect(self) -> Iterator[Metric]:
            if not self.works:
                raise ValueError("no luck")
            yield GaugeMetricFamily("shop_photos", "Of the app.", value=1)

    broken = Broken()
    prometheus_client.REGISTRY.register(broken)
    try:
        broken.works = False
        assert samples(counted.text())["store_up"] == 1
        assert "metrics of the app cannot be collected" in caplog.text
    finally:
        prometheus_client.REGISTRY.unregister(broken)


def test_names_and_helps_pass_promtool(counted: WorkerMetrics) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: Debian has it in the package prometheus")
    counted(RecordsFinished([run()]))
    counted(events.TicksFired("nightly", 1))
    text = metrics.render(counted.collect)
    answer = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout + answer.stderr) == (0, "")


async def test_the_bus_is_heard_for_as_long_as_the_health_port_is_served() -> None:
    config = QueueConfig(queue_backend="memory", health_port=0)
    async with QueueService(config, registry=TaskRegistry()) as service:
        worker = Worker(service)
        async with health.serve_health(worker):
            assert len(service.bus._subscribers) == 2  # the log, and these
            service.bus.emit(RecordsFinished([run()]))
        assert len(service.bus._subscribers) == 1


async def test_without_prometheus_client_the_path_answers_in_one_sentence(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    assert metrics.worker_metrics(worker) is None
    answer = health._answer(worker, None, Request("metrics", {}))
    assert answer.status == 404
    assert "pip install prometheus-client" in answer.text
    assert answer.text.count("\n") == 0


async def test_the_path_answers_in_the_type_that_prometheus_expects(worker: Worker, counted: WorkerMetrics) -> None:
    answer = health._answer(worker, counted, Request("metrics", {}))
    assert (answer.status, answer.kind) == (200, "text/plain; version=0.0.4")
    assert samples(answer.text)["store_up"] == 1
