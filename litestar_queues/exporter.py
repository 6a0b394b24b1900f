"""In: a store that all workers share. Out: its queues as metrics and as JSON, for scrapers and autoscalers.

It counts when it is asked, keeps the answer for a few seconds, and has never more than one question before the store.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from litestar_queues.clock import Clock
from litestar_queues.errors import BackendUnavailableError, QueueConfigurationError
from litestar_queues.fleet import WORKER_STATES
from litestar_queues.metrics import METRICS_KIND, NOT_INSTALLED, build_info, is_installed, render
from litestar_queues.plain_http import Answer, PlainServer, Request
from litestar_queues.records import CANARY_QUEUE, QueueDepth, QueueStatistics
from litestar_queues.rooms import StoreHealth
from litestar_queues.signals import CLEAN, SIGNALS, ExitGuard

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from litestar_queues.service import QueueService

__all__ = ("QueueExporter", "run_exporter", "serve_exporter")

_KEPT_FOR = 3.0
_PATIENCE = 5.0
"""Seconds that a scrape waits for the store; Prometheus itself waits 10."""
_LONGEST_QUESTION = 60.0
_END_WITHIN = 2.0
_CLOSE_PATIENCE = 1.0
_COUNTS = ("pending", "scheduled", "running", "demand")
_PATHS = "/metrics, /queues.json and /healthz"


class _Findings(NamedTuple):
    depths: Sequence[QueueDepth]
    counts: QueueStatistics
    canary_age: float | None
    lags: Mapping[str, float]
    """Seconds for which each schedule is overdue."""
    workers: Mapping[str, int]
    """How many are in each state."""
    paused: Collection[str]
    """Queues."""


class _Look(NamedTuple):
    at: float
    findings: _Findings | None
    """``None``: the store cannot be reached, or not in time."""
    seconds: float


class QueueExporter:
    """Answers for the queues of one service.

    Args:
        service: It is opened by the first question, and again after each that failed.
        clock: Judges ages.
        kept_for: Seconds for which one answer of the store serves everybody who asks.
        patience: Seconds that a client waits for the store.
    """

    def __init__(
        self,
        service: QueueService,
        *,
        clock: Clock | None = None,
        kept_for: float = _KEPT_FOR,
        patience: float = _PATIENCE,
    ) -> None:
        self._service = service
        self._clock = clock or Clock()
        self._kept_for = kept_for
        self._patience = patience
        self._health = StoreHealth(service.bus)
        self._look: _Look | None = None
        self._asking: asyncio.Task[_Look] | None = None
        self._queues: set[str] = set()
        """All that were ever seen: their numbers go down to 0 rather than away."""

    async def answer(self, request: Request) -> Answer:
        """Answer a request."""
        match request.path:
            case "metrics":
                return Answer(200, render(partial(self._collect, await self.look())), METRICS_KIND)
            case "queues.json":
                findings = (await self.look()).findings
                if findings is None:  # an autoscaler then keeps what it has, or falls back as it is told
                    return Answer(503, json.dumps({"up": False}), "application/json")
                return Answer(200, json.dumps(self._as_json(findings)), "application/json")
            case "healthz":
                return Answer(200, "ok")
            case _:
                return Answer(404, f"there are {_PATHS}")

    async def look(self) -> _Look:
        """What the store says, or said a moment ago."""
        if self._look is not None and time.monotonic() - self._look.at < self._kept_for:
            return self._look
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        # a question is not cancelled with its client: the next one joins it, so that they do not pile up in the store
        done, _ = await asyncio.wait({self._asking}, timeout=self._patience)
        if done:
            return done.pop().result()
        self._health.down("exporter", BackendUnavailableError(f"no answer within {self._patience:g} s"))
        return _Look(time.monotonic(), None, self._patience)

    async def close(self) -> None:
        """End a question that is under way."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})

    async def _ask(self) -> _Look:
        began, findings = time.monotonic(), None
        try:
            async with asyncio.timeout(_LONGEST_QUESTION):
                findings = await self._find()
            self._health.up("exporter")
        except Exception as error:  # also tables that the migration has not made yet: whoever scrapes sees it
            self._health.down("exporter", error)
        finally:
            self._asking = None
        now = time.monotonic()
        self._look = _Look(now, findings, now - began)
        return self._look

    async def _find(self) -> _Findings:
        service = self._service
        await service.open()
        depths = await service.backend.queue_depths()
        counts = await service.get_statistics()
        canary_at = await service.canary_health()
        rows = await service.list_schedules()
        states = await service.backend.count_workers()
        paused = {one.queue for one in await service.paused_queues()}
        now, schedules = self._clock.now(), service.registry.scheduled()

        def since(moment: datetime) -> float:
            return max(0.0, (now - moment).total_seconds())

        # those that the code has no more are kept for a while, and nobody fires them
        lags = {row.name: 0.0 if row.paused else since(row.next_at) for row in rows if row.name in schedules}
        self._queues.update(service.known_queues(), (one.queue for one in depths), paused)
        workers = {state: states.get(state, 0) for state in WORKER_STATES}
        return _Findings(depths, counts, None if canary_at is None else since(canary_at), lags, workers, paused)

    def _depths(self, findings: _Findings) -> Iterator[QueueDepth]:
        """Every known queue, also where nothing is in it."""
        found = {one.queue: one for one in findings.depths}
        return (found.get(name) or QueueDepth(name, 0, 0, 0, None) for name in sorted(self._queues))

    def _as_json(self, findings: _Findings) -> dict[str, Any]:
        # the canary is claimed beside the slots, and no reason to start a worker
        depths = [one for one in self._depths(findings) if one.queue != CANARY_QUEUE]
        queues = {one.queue: _as_json(one, paused=one.queue in findings.paused) for one in depths}
        totals = {name: sum(one[name] for one in queues.values()) for name in _COUNTS}
        totals["oldest_due_age"] = max((one["oldest_due_age"] for one in queues.values()), default=0.0)
        return {"up": True, "queues": queues, "totals": totals, "workers": dict(findings.workers)}

    def _collect(self, look: _Look) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        yield build_info()
        yield GaugeMetricFamily(
            "litestar_queues_up", "Whether the store answers in time.", value=look.findings is not None
        )
        yield GaugeMetricFamily(
            "litestar_queues_scrape_duration_seconds", "How long the store took to answer.", value=look.seconds
        )
        if look.findings is not None:
            yield from self._collect_queues(look.findings)
            yield _collect_workers(look.findings)
            yield from _collect_schedules(look.findings)

    def _collect_queues(self, findings: _Findings) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        tasks = GaugeMetricFamily("litestar_queues_tasks", "Live records.", labels=("queue", "status"))
        ages = GaugeMetricFamily(
            "litestar_queues_oldest_due_age_seconds",
            "For how long the longest waiting record has been due; 0 where none is.",
            labels=("queue",),
        )
        pauses = GaugeMetricFamily(
            "litestar_queues_queue_paused", "Whether claims pass the queue over.", labels=("queue",)
        )
        for one in self._depths(findings):
            pauses.add_metric((one.queue,), one.queue in findings.paused)
            for status, count in (("pending", one.pending), ("scheduled", one.scheduled), ("running", one.running)):
                tasks.add_metric((one.queue, status), count)
            ages.add_metric((one.queue,), one.oldest_due_age or 0.0)
        counts = findings.counts
        ended = GaugeMetricFamily(
            "litestar_queues_tasks_ended", "Ended records that are still stored.", labels=("status",)
        )
        for status in ("completed", "failed", "cancelled"):
            ended.add_metric((status,), getattr(counts, status))
        yield from (tasks, ages, pauses, ended)


def _as_json(depth: QueueDepth, *, paused: bool) -> dict[str, Any]:
    return {
        "pending": depth.pending,
        "scheduled": depth.scheduled,
        "running": depth.running,
        # what waits in a paused queue would wait beside any number of workers
        "demand": depth.running if paused else depth.pending + depth.running,
        "oldest_due_age": depth.oldest_due_age or 0.0,
        "paused": paused,
    }


def _collect_workers(findings: _Findings) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    workers = GaugeMetricFamily(
        "litestar_queues_workers", "Workers that told the store of themselves within a day.", labels=("state",)
    )
    for state, count in findings.workers.items():
        workers.add_metric((state,), count)
    return workers


def _collect_schedules(findings: _Findings) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    if findings.canary_age is not None:
        yield GaugeMetricFamily(
            "litestar_queues_canary_age_seconds",
            "Time since the canary last completed; missing where it never has.",
            value=findings.canary_age,
        )
    lags = GaugeMetricFamily(
        "litestar_queues_schedule_lag_seconds", "For how long a tick is overdue.", labels=("schedule",)
    )
    for schedule, lag in findings.lags.items():
        lags.add_metric((schedule,), lag)
    yield lags


@asynccontextmanager
async def serve_exporter(exporter: QueueExporter, *, host: str, port: int) -> AsyncIterator[int]:
    """Serve until the block ends; gives the port.

    Raises:
        QueueConfigurationError: The address cannot be used, or prometheus_client is not installed.
    """
    if not is_installed():
        raise QueueConfigurationError(NOT_INSTALLED)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(exporter.close)
        server = PlainServer(exporter.answer, usage=f"send GET {_PATHS}")
        try:
            bound = await stack.enter_async_context(server.serve(host, port))
        except OSError as error:
            msg = f"the exporter cannot bind {host}:{port} ({error.strerror or error}): choose another --port or --host"
            raise QueueConfigurationError(msg) from error
        yield bound


def run_exporter(service: QueueService, *, host: str, port: int, announce: Callable[[int], None]) -> None:
    """Serve in this process until SIGTERM or SIGINT; then it ends with exit code 0, whatever hangs."""
    guard = ExitGuard()
    guard.code = CLEAN

    async def main() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()

        def on_signal(_: int) -> None:
            guard.end_within(_END_WITHIN)  # even where a thread or the loop hangs in a store that does not answer
            loop.call_soon_threadsafe(stop.set)

        with SIGNALS.listen(on_signal):
            async with serve_exporter(QueueExporter(service), host=host, port=port) as bound:
                announce(bound)
                await stop.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_PATIENCE):
                    await service.close()

    asyncio.run(main())
