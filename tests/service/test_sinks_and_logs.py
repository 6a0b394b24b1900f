"""In: events of the engine. Out: a line in the log for each, and for a user's sink what befell the tasks, in order."""

from __future__ import annotations

import logging
from typing import Any, get_args
from uuid import UUID

import pytest

from litestar_queues import events
from litestar_queues.event_config import QueueEventConfig
from litestar_queues.events import (
    EngineEvent,
    EventBus,
    InMemoryQueueEventSink,
    QueueEvent,
    RecordsFinished,
    Run,
)
from litestar_queues.execution.context import TaskExecutionContext
from litestar_queues.logs import log_events
from litestar_queues.outcomes import Cancelled, Completed, Failed, Outcome, Released, Retried, RunError, Snoozed
from litestar_queues.records import Rescued
from litestar_queues.sinks import SinkForwarder
from litestar_queues.status import TaskStatus
from tests.worker.harness import PATIENCE, Shift, Shop, make_claim

SECRET = "the password is swordfish"
ONE = UUID(int=1)
ERROR = RunError("ValueError", "no luck", "Traceback ...")
RUN_FIELDS = {"task_id": str(ONE), "task_name": "greet", "queue": "default", "attempt": 1}


def ended(outcome: Outcome) -> RecordsFinished:
    claim = make_claim(payload=f'[["{SECRET}"],{{}}]'.encode(), metadata=SECRET.encode(), max_attempts=2)
    return RecordsFinished([Run(claim, outcome, 0.5)])


def rescued(status: TaskStatus) -> events.RecordsRescued:
    return events.RecordsRescued([Rescued(ONE, "greet", "default", "gone:1", status)])


GREET = f"greet {ONE} (attempt 1 of 2)"
CASES: list[tuple[EngineEvent, str, str]] = [
    (
        events.WorkerStarted("w:1", (), 7, "sqlite file q.db"),
        "INFO",
        "worker w:1 claims from every queue, 7 tasks at a time, on sqlite file q.db",
    ),
    (
        events.WorkerStarted("w:1", ("a", "b"), 7, "memory"),
        "INFO",
        "worker w:1 claims from a, b, 7 tasks at a time, on memory",
    ),
    (events.WorkerDraining("w:1", 3, 30.0), "INFO", "worker w:1 drains: 3 tasks are running and have 30 s to end"),
    (
        events.WorkerStopped("w:1", 0, 1.25),
        "INFO",
        "worker w:1 has drained in 1.2 s, 0 tasks were cancelled and given back",
    ),
    (
        events.SettingsMisspelled({"BACKEN": "BACKEND"}),
        "WARNING",
        "BACKEN is set and is no setting: is BACKEND meant?",
    ),
    (
        events.WorkerStopped("w:1", 2, 30.0),
        "WARNING",
        "worker w:1 has drained in 30.0 s, 2 tasks were cancelled and given back",
    ),
    (
        events.WorkerStopped("w:1", 2, 30.0, unsaved=1),
        "ERROR",
        (
            "worker w:1 has drained in 30.0 s, 2 tasks were cancelled and given back; "
            "1 outcomes could not be stored, and their records run again"
        ),
    ),
    (ended(Completed(SECRET.encode())), "DEBUG", f"completed in 0.500 s: {GREET}"),
    (ended(Failed(ERROR)), "WARNING", f"failed after 0.500 s: {GREET}: ValueError: no luck"),
    (
        ended(Retried(ERROR, 2.0)),
        "WARNING",
        f"failed after 0.500 s, to be tried again in 2.0 s: {GREET}: ValueError: no luck",
    ),
    (ended(Snoozed("no such task", 30.0)), "WARNING", f"given back for 30 s: {GREET}: no such task"),
    (ended(Cancelled("on request")), "INFO", f"cancelled after 0.500 s: {GREET}: on request"),
    (ended(Released()), "INFO", f"given back unfinished after 0.500 s: {GREET}"),
    (events.CompletionsRefused([ONE]), "ERROR", f"1 outcomes came too late, their claims were lost: {ONE}"),
    (events.ClaimsLost([ONE, ONE]), "ERROR", f"2 claims were lost, their runs are stopped: {ONE}, {ONE}"),
    (
        events.ClaimsLost([ONE] * 7),
        "ERROR",
        f"7 claims were lost, their runs are stopped: {', '.join([str(ONE)] * 5)} and 2 more",
    ),
    (
        rescued(TaskStatus.PENDING),
        "WARNING",
        f"taken back from worker gone:1, which vanished: greet {ONE} is pending now",
    ),
    (rescued(TaskStatus.FAILED), "ERROR", f"taken back from worker gone:1, which vanished: greet {ONE} is failed now"),
    (events.TicksFired("report", 2), "INFO", "schedule report fired, records: 2"),
    (events.Pruned("completed", 9), "DEBUG", "9 completed records were older than their retention and are deleted"),
    (
        events.BackendDown("claimer", OSError("refused")),
        "ERROR",
        "the store cannot be reached, it is tried again and again: refused (claimer)",
    ),
    (events.BackendUp("pruner", 3.21), "WARNING", "the store is reached again after 3.2 s (pruner)"),
    (
        events.ListenerDown(OSError("refused")),
        "ERROR",
        "wake-ups do not arrive, new records are found by polling: refused",
    ),
    (events.ListenerUp(3.21), "WARNING", "wake-ups arrive again after 3.2 s"),
    (events.RoomFailed("pruner", KeyError("x")), "ERROR", "pruner met an unexpected error and goes on"),
    (
        events.LoopLagged(2.0),
        "WARNING",
        (
            "the event loop stood still for 2.0 s: something in a coroutine blocks it; let it await, "
            "or make the task a plain function, which runs in a thread"
        ),
    ),
]


@pytest.mark.parametrize(("event", "level", "text"), CASES, ids=lambda value: type(value).__name__)
def test_each_event_has_its_line(caplog: pytest.LogCaptureFixture, event: EngineEvent, level: str, text: str) -> None:
    with caplog.at_level(logging.DEBUG, "litestar_queues"):
        log_events(event)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [(level, text)]


def test_no_event_is_without_a_line_but_what_tasks_publish(caplog: pytest.LogCaptureFixture) -> None:
    assert {type(event) for event, _, _ in CASES} | {events.TaskPublished} == set(get_args(EngineEvent))
    with caplog.at_level(logging.DEBUG, "litestar_queues"):
        log_events(events.TaskPublished(make_event("task.log", message=SECRET)))
    assert caplog.records == []


@pytest.mark.parametrize(
    "outcome",
    [Completed(SECRET.encode()), Failed(ERROR), Retried(ERROR, 1), Snoozed("no", 1), Cancelled("no"), Released()],
)
def test_lines_about_tasks_carry_ids_as_fields_and_never_arguments_or_results(
    caplog: pytest.LogCaptureFixture, outcome: Outcome
) -> None:
    with caplog.at_level(logging.DEBUG, "litestar_queues"):
        log_events(ended(outcome))
    (record,) = caplog.records
    assert record.name == "litestar_queues.tasks"
    assert {name: getattr(record, name) for name in RUN_FIELDS} == RUN_FIELDS
    assert SECRET not in repr(vars(record))


def test_an_unexpected_error_brings_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "litestar_queues"):
        log_events(events.RoomFailed("pruner", KeyError("x")))
    assert caplog.records[0].exc_info is not None


async def test_a_working_day_leaves_no_argument_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with Shop() as shop:

        def work(secret: str) -> str:
            raise ValueError

        shop.task(work, retries=1, retry_backoff=0)
        with caplog.at_level(logging.DEBUG):
            async with Shift(shop):
                await (await shop.service.enqueue("work", SECRET, metadata={"note": SECRET})).wait(PATIENCE)
    assert "failed after" in caplog.text
    assert SECRET not in caplog.text


async def test_who_opens_a_service_hears_of_a_misspelled_setting(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LITESTAR_QUEUES_QUEUE_BACKENT", "x")
    async with Shop():
        assert ["is LITESTAR_QUEUES_QUEUE_BACKEND meant?" in text for text in caplog.messages] == [True]


def test_a_subscriber_that_raises_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    bus, heard = EventBus(), list[Any]()

    def broken(event: EngineEvent) -> None:
        raise ValueError

    end = bus.subscribe(broken)
    bus.subscribe(heard.append)
    bus.emit(events.LoopLagged(1))
    assert heard == [events.LoopLagged(1)]
    assert "failed on LoopLagged" in caplog.text
    end()
    caplog.clear()
    bus.emit(events.LoopLagged(2))
    assert caplog.text == ""


# sinks


def make_event(kind: str, **details: Any) -> QueueEvent:
    return QueueEvent(type=kind, task_id=ONE, task_name="greet", queue="default", attempt=1, **details)


@pytest.mark.parametrize(
    ("outcome", "kind", "message", "payload"),
    [
        (Completed(b"1"), "task.completed", None, {}),
        (Failed(ERROR), "task.failed", "ValueError: no luck", {}),
        (Retried(ERROR, 2.0), "task.retried", "ValueError: no luck", {"delay": 2.0}),
        (Snoozed("no such task", 30.0), "task.snoozed", "no such task", {"delay": 30.0}),
        (Cancelled("on request"), "task.cancelled", "on request", {}),
        (Released(), "task.released", None, {}),
    ],
)
def test_each_ending_reaches_the_sink(
    outcome: Outcome, kind: str, message: str | None, payload: dict[str, Any]
) -> None:
    sink = InMemoryQueueEventSink()
    SinkForwarder(sink)(ended(outcome))
    (event,) = sink.events
    assert (event.type, event.message, event.payload) == (kind, message, {"duration": 0.5, **payload})
    assert (event.task_id, event.task_name, event.queue, event.attempt) == (ONE, "greet", "default", 1)


def test_what_concerns_the_worker_does_not_reach_the_sink() -> None:
    sink = InMemoryQueueEventSink()
    for event in (events.LoopLagged(1), events.Pruned("failed", 1), events.WorkerDraining("w:1", 0, 1)):
        SinkForwarder(sink)(event)
    assert list(sink.events) == []


async def test_what_a_task_publishes_arrives_in_order_and_before_its_end() -> None:
    sink = InMemoryQueueEventSink()
    async with Shop(event_config=QueueEventConfig(sink=sink)) as shop:

        async def work(context: TaskExecutionContext) -> None:
            context.progress(1, 2, "half")
            context.log("thinking", level="debug", depth=3)
            context.event("paid", amount=5)

        def work_in_thread(context: TaskExecutionContext) -> None:
            context.log("first")
            context.log("second")

        shop.task(work)
        shop.task(work_in_thread)
        async with Shift(shop):
            for name in ("work", "work_in_thread"):
                await (await shop.service.enqueue(name)).wait(PATIENCE)
    assert [(event.type, event.message, event.level) for event in sink.events] == [
        ("task.progress", "half", None),
        ("task.log", "thinking", "debug"),
        ("task.event", "paid", None),
        ("task.completed", None, None),
        ("task.log", "first", "info"),
        ("task.log", "second", "info"),
        ("task.completed", None, None),
    ]
    progress, log, paid = list(sink.events)[:3]
    assert progress.progress == {"current": 1, "total": 2, "message": "half"}
    assert (log.payload, paid.payload) == ({"depth": 3}, {"amount": 5})


def test_a_sink_in_memory_forgets_the_oldest() -> None:
    sink = InMemoryQueueEventSink(capacity=2)
    for kind in ("a", "b", "c"):
        sink.publish(make_event(kind))
    assert [event.type for event in sink.events] == ["b", "c"]
