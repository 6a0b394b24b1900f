"""In: events of the engine. Out: the worker's own metrics, for whoever scrapes its health port.

Events are counted in plain numbers, which prometheus_client sees only when it is asked: its own counters take a lock
for each observation, and a worker makes tens of thousands a second. Events and scrapes come on one event loop, so
nobody sees half of a batch.
"""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from litestar_queues import events
from litestar_queues.events import EngineEvent
from litestar_queues.outcomes import Cancelled, Completed, Failed, Outcome, Released, Retried, Snoozed
from litestar_queues.release import release
from litestar_queues.tallies import DURATION_BOUNDS, MOST_QUEUES, OTHER, WAIT_BOUNDS, Histogram, Names

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from litestar_queues.worker import Worker

__all__ = ("METRICS_KIND", "NOT_INSTALLED", "WorkerMetrics", "build_info", "is_installed", "render", "worker_metrics")

logger = logging.getLogger("litestar_queues.metrics")

METRICS_KIND = "text/plain; version=0.0.4"
NOT_INSTALLED = "there are no metrics, since prometheus-client is not installed: pip install prometheus-client"

_MOST_TASKS, _MOST_SCHEDULES, _MOST_PAIRS = 200, 200, 500
"""Names that are told apart, and pairs of queue and task; all further ones are added up as ``other``."""
_LAGS = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_OUTCOMES: dict[type[Outcome], str] = {
    Completed: "completed",
    Failed: "failed",
    Retried: "retried",
    Snoozed: "snoozed",
    Cancelled: "cancelled",
    Released: "released",
}


def is_installed() -> bool:
    """Whether prometheus_client is there; it is loaded now, rather than at the first scrape."""
    try:
        import prometheus_client  # noqa: F401
    except ImportError:
        return False
    return True


def worker_metrics(worker: Worker) -> WorkerMetrics | None:
    """Metrics of a worker, to be subscribed to its bus; ``None`` where prometheus_client is not installed."""
    return WorkerMetrics(worker) if is_installed() else None


class _Series:
    """What is counted of one task in one queue."""

    __slots__ = ("durations", "outcomes", "waits")

    def __init__(self, waits: Histogram) -> None:
        self.outcomes: dict[type[Outcome], int] = dict.fromkeys(_OUTCOMES, 0)
        self.durations = Histogram(DURATION_BOUNDS)
        self.waits = waits


class WorkerMetrics:
    """Counts what happens in one worker, as a subscriber of its bus and a collector of prometheus_client.

    Args:
        worker: Whose slots and store are looked at in each scrape.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._queues, self._tasks, self._schedules = Names(MOST_QUEUES), Names(_MOST_TASKS), Names(_MOST_SCHEDULES)
        self._series: dict[tuple[str, str], _Series] = {}
        self._waits: dict[str, Histogram] = {}
        self._lags = Histogram(_LAGS)
        self._lost = self._refused = 0
        self._rescued = Counter(dict.fromkeys(("pending", "failed", "cancelled"), 0))
        self._ticks: Counter[str] = Counter()
        self._listener_up = True
        self._drain_began: float | None = None
        self._drain_seconds = 0.0
        self._takers: Mapping[type[EngineEvent], Callable[[Any], None]] = {
            events.RecordsFinished: self._take_finished,
            events.ClaimsLost: self._take_lost,
            events.CompletionsRefused: self._take_refused,
            events.RecordsRescued: self._take_rescued,
            events.TicksFired: self._take_ticks,
            events.ListenerDown: self._take_listener_down,
            events.ListenerUp: self._take_listener_up,
            events.LoopLagged: self._take_lag,
            events.WorkerDraining: self._take_draining,
            events.WorkerStopped: self._take_stopped,
        }

    def __call__(self, event: EngineEvent) -> None:
        """Count an event."""
        taker = self._takers.get(type(event))
        if taker is not None:
            taker(event)

    def text(self) -> str:
        """All of it, and what the app's tasks put into prometheus_client's own registry."""
        from prometheus_client import REGISTRY, generate_latest

        try:
            of_app = generate_latest(REGISTRY).decode()
        except Exception:  # a collector of the app, which must not hide the worker
            logger.exception("metrics of the app cannot be collected")
            of_app = ""
        return render(self.collect) + of_app

    def _take_finished(self, event: events.RecordsFinished) -> None:
        """Count a batch, at half a microsecond a record: hence neither calls nor look-ups where none is needed."""
        queue = task = one = None
        for claim, outcome, duration in event.runs:
            if one is None or claim.task != task or claim.queue != queue:
                queue, task = claim.queue, claim.task
                # found by the names as they are; none is remembered that is folded, so this does not grow without end
                one = self._series.get((queue, task)) or self._series_of(queue, task)
                outcomes, durations, waits = one.outcomes, one.durations, one.waits
            outcomes[type(outcome)] += 1
            durations.counts[bisect_left(DURATION_BOUNDS, duration)] += 1
            durations.total += duration
            waited = claim.waited
            waits.counts[bisect_left(WAIT_BOUNDS, waited)] += 1
            waits.total += waited

    def _series_of(self, queue: str, task: str) -> _Series:
        queue, task = self._queues.fold(queue), self._tasks.fold(task)
        one = self._series.get((queue, task))
        if one is None and len(self._series) >= _MOST_PAIRS:
            queue = task = OTHER
            one = self._series.get((queue, task))
        if one is None:
            waits = self._waits.setdefault(queue, Histogram(WAIT_BOUNDS))
            one = self._series[queue, task] = _Series(waits)
        return one

    def _take_lost(self, event: events.ClaimsLost) -> None:
        self._lost += len(event.ids)

    def _take_refused(self, event: events.CompletionsRefused) -> None:
        self._refused += len(event.ids)

    def _take_rescued(self, event: events.RecordsRescued) -> None:
        self._rescued.update(one.status.value for one in event.records)

    def _take_ticks(self, event: events.TicksFired) -> None:
        self._ticks[self._schedules.fold(event.schedule)] += 1

    def _take_listener_down(self, _: events.ListenerDown) -> None:
        self._listener_up = False

    def _take_listener_up(self, _: events.ListenerUp) -> None:
        self._listener_up = True

    def _take_lag(self, event: events.LoopLagged) -> None:
        self._lags.observe(event.seconds)

    def _take_draining(self, _: events.WorkerDraining) -> None:
        self._drain_began = time.monotonic()

    def _take_stopped(self, event: events.WorkerStopped) -> None:
        self._drain_began, self._drain_seconds = None, event.seconds

    def collect(self) -> Iterator[Metric]:
        """Give the numbers their names."""
        yield build_info()
        yield from self._collect_runs()
        yield from self._collect_counts()
        yield from self._collect_state()

    def _collect_runs(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

        finished = CounterMetricFamily(
            "litestar_queues_tasks_finished", "Runs whose outcome is stored.", labels=("queue", "task", "outcome")
        )
        durations = HistogramMetricFamily(
            "litestar_queues_task_duration_seconds", "Time from start to end of a run.", labels=("queue", "task")
        )
        for key, one in self._series.items():
            durations.add_metric(key, one.durations.buckets(), one.durations.total)
            for outcome, count in one.outcomes.items():
                finished.add_metric((*key, _OUTCOMES[outcome]), count)
        waits = HistogramMetricFamily(
            "litestar_queues_task_wait_seconds", "Time from due to claimed, of runs that have ended.", labels=("queue",)
        )
        for queue, histogram in self._waits.items():
            waits.add_metric((queue,), histogram.buckets(), histogram.total)
        yield from (finished, durations, waits)

    def _collect_counts(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily

        yield CounterMetricFamily(
            "litestar_queues_claims_lost", "Claims that another worker took over.", value=self._lost
        )
        yield CounterMetricFamily(
            "litestar_queues_completions_refused",
            "Outcomes of claims that were no longer held; they changed nothing.",
            value=self._refused,
        )
        rescued = CounterMetricFamily(
            "litestar_queues_records_rescued",
            "Records of vanished workers that this one took back, by what they are now.",
            labels=("outcome",),
        )
        for outcome, count in self._rescued.items():
            rescued.add_metric((outcome,), count)
        ticks = CounterMetricFamily(
            "litestar_queues_schedule_ticks", "Times that this worker fired a schedule.", labels=("schedule",)
        )
        for schedule, count in self._ticks.items():
            ticks.add_metric((schedule,), count)
        yield from (rescued, ticks)

    def _collect_state(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily

        slots = GaugeMetricFamily("litestar_queues_worker_slots", "Tasks at a time.", labels=("state",))
        slots.add_metric(("busy",), self._worker.running)
        slots.add_metric(("limit",), self._worker.max_concurrency)
        yield slots
        yield GaugeMetricFamily(
            "litestar_queues_store_up", "Whether this worker reaches its store.", value=self._worker.health.ok
        )
        yield GaugeMetricFamily(
            "litestar_queues_listener_up",
            "Whether wake-ups from other processes arrive; 1 too where the store has none that could break off.",
            value=self._listener_up,
        )
        lags = HistogramMetricFamily(
            "litestar_queues_loop_lag_seconds",
            "How long the event loop stood still, each time that this was longer than worker_loop_lag_warning.",
        )
        lags.add_metric((), self._lags.buckets(), self._lags.total)
        yield lags
        drain = self._drain_seconds if self._drain_began is None else time.monotonic() - self._drain_began
        yield GaugeMetricFamily(
            "litestar_queues_drain_seconds", "Time since this worker was told to stop; 0 until then.", value=drain
        )


def build_info() -> Metric:
    """The release that runs."""
    from prometheus_client.core import InfoMetricFamily

    return InfoMetricFamily("litestar_queues_build", "Release of litestar-queues.", value={"version": release()})


def render(collect: Callable[[], Iterator[Metric]]) -> str:
    """The text of what a function collects."""
    from prometheus_client import generate_latest
    from prometheus_client.registry import Collector, CollectorRegistry

    class Once(Collector):
        def collect(self) -> Iterator[Metric]:
            return collect()

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Once())
    return generate_latest(registry).decode()
