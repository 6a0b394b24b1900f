"""In: each class of fault, as rooms tell of it. Out: one log line at its start, one at its end, a metric that moves.

That the rooms do tell of it is proved with real faults by `make test-faults`, which looks for the same lines.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import pytest

from litestar_queues import QueueConfig, QueueService, Worker, events
from litestar_queues.errors import BackendUnavailableError
from litestar_queues.events import EngineEvent
from litestar_queues.metrics import WorkerMetrics
from litestar_queues.records import Rescued
from litestar_queues.registry import TaskRegistry
from litestar_queues.status import TaskStatus

IDS = [UUID(int=1), UUID(int=2)]
GONE = BackendUnavailableError("postgresql database shop on db cannot be reached: it does not answer in time")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is told, logged and measured."""

    name: str
    begins: Callable[[Worker], EngineEvent | None]
    ends: Callable[[Worker], EngineEvent | None]
    first_line: str
    last_line: str | None
    """``None``: it is over once it is told."""
    metric: str
    moves: tuple[float, float, float]
    """Before, meanwhile, afterwards."""


def nothing(_: Worker) -> None:
    """It is over once it is told."""


FAULTS = [
    Fault(
        "the store is away, full or read-only",
        lambda worker: worker.health.down("claimer", GONE),
        lambda worker: worker.health.up("claimer"),
        "the store cannot be reached", "the store is reached again after", "litestar_queues_store_up", (1, 0, 1),
    ),
    Fault(
        "the listener is cut off",
        lambda _: events.ListenerDown(GONE), lambda _: events.ListenerUp(2.0),
        "wake-ups do not arrive", "wake-ups arrive again after 2.0 s", "litestar_queues_listener_up", (1, 0, 1),
    ),
    Fault(
        "a worker dies, and another takes back what it held",
        lambda _: events.RecordsRescued([Rescued(IDS[0], "greet", "default", "w:1", TaskStatus.PENDING)]), nothing,
        "taken back from worker w:1, which vanished", None,
        'litestar_queues_records_rescued_total{outcome="pending"}', (0, 1, 1),
    ),
    Fault(
        "a record loses its holder too often",
        lambda _: events.RecordsRescued([Rescued(IDS[0], "greet", "default", "w:1", TaskStatus.FAILED)]), nothing,
        "is failed now", None, 'litestar_queues_records_rescued_total{outcome="failed"}', (0, 1, 1),
    ),
    Fault(
        "a worker notices that it has lost its claims",
        lambda _: events.ClaimsLost(IDS), nothing,
        "2 claims were lost, their runs are stopped", None, "litestar_queues_claims_lost_total", (0, 2, 2),
    ),
    Fault(
        "a zombie finishes too late",
        lambda _: events.CompletionsRefused(IDS), nothing,
        "2 outcomes came too late", None, "litestar_queues_completions_refused_total", (0, 2, 2),
    ),
    Fault(
        "a task blocks the event loop",
        lambda _: events.LoopLagged(6.0), nothing,
        "the event loop stood still for 6.0 s", None, "litestar_queues_loop_lag_seconds_count", (0, 1, 1),
    ),
    Fault(
        "a drain cuts tasks off",
        lambda _: events.WorkerDraining("w:1", 2, 30.0), lambda _: events.WorkerStopped("w:1", 2, 31.5),
        "drains: 2 tasks are running", "has drained in 31.5 s, 2 tasks were cancelled", "litestar_queues_drain_seconds",
        (0, 0, 31.5),
    ),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault_says_once_that_it_began_and_once_that_it_ended_and_moves_a_metric(
    fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="litestar_queues")
    service = QueueService(QueueConfig(queue_backend="memory"), registry=TaskRegistry())
    worker = Worker(service)
    metrics = WorkerMetrics(worker)
    service.bus.subscribe(metrics)
    seen = [value_of(metrics, fault.metric)]
    for tell in (fault.begins, fault.ends):
        event = tell(worker)
        if event is not None:
            service.bus.emit(event)
        seen.append(value_of(metrics, fault.metric))
    lines = [record.getMessage() for record in caplog.records]
    expected = [fault.first_line] + ([] if fault.last_line is None else [fault.last_line])
    assert len(lines) == len(expected), lines
    assert all(text in line for text, line in zip(expected, lines, strict=True)), lines
    before, meanwhile, afterwards = fault.moves
    assert (seen[0], seen[2]) == (before, afterwards)
    assert seen[1] == pytest.approx(meanwhile, abs=1.0 if fault.metric.endswith("drain_seconds") else 0)


def value_of(metrics: WorkerMetrics, name: str) -> float:
    (value,) = (line.rpartition(" ")[2] for line in metrics.text().splitlines() if line.startswith(f"{name} "))
    return float(value)
