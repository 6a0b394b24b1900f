"""In: what the rooms do. Out: every subscriber told, in order, and none able to hurt the engine."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from litestar_queues.event_config import QueueEventConfig
from litestar_queues.events import (
    EngineEvent,
    EventBus,
    InMemoryQueueEventSink,
    LoopLagged,
    QueueEvent,
    QueueEventSink,
)


def make_event(**fields: Any) -> QueueEvent:
    needed: dict[str, Any] = {
        "type": "task.log",
        "task_id": UUID(int=1),
        "task_name": "send",
        "queue": "mail",
        "attempt": 1,
    }
    return QueueEvent(**needed | fields)


def test_every_subscriber_hears_every_event_at_once_and_in_order() -> None:
    bus, heard = EventBus(), list[tuple[str, EngineEvent]]()
    bus.subscribe(lambda event: heard.append(("first", event)))
    bus.subscribe(lambda event: heard.append(("second", event)))
    bus.emit(LoopLagged(1.0))
    bus.emit(LoopLagged(2.0))
    assert heard == [(who, LoopLagged(seconds)) for seconds in (1.0, 2.0) for who in ("first", "second")]


def test_who_has_left_hears_nothing_more() -> None:
    bus, heard = EventBus(), list[EngineEvent]()
    leave = bus.subscribe(heard.append)
    bus.emit(LoopLagged(1.0))
    leave()
    bus.emit(LoopLagged(2.0))
    assert heard == [LoopLagged(1.0)]


def test_a_subscriber_may_leave_while_it_is_told() -> None:
    bus, heard = EventBus(), list[EngineEvent]()

    def once(event: EngineEvent) -> None:
        heard.append(event)
        leave()

    leave = bus.subscribe(once)
    bus.subscribe(heard.append)
    bus.emit(LoopLagged(1.0))
    bus.emit(LoopLagged(2.0))
    assert heard == [LoopLagged(1.0), LoopLagged(1.0), LoopLagged(2.0)]


def test_a_subscriber_that_raises_is_logged_and_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    bus, heard = EventBus(), list[EngineEvent]()

    def broken(event: EngineEvent) -> None:
        raise RuntimeError("no space left")

    bus.subscribe(broken)
    bus.subscribe(heard.append)
    with caplog.at_level(logging.ERROR, "litestar_queues.events"):
        bus.emit(LoopLagged(1.0))
    assert heard == [LoopLagged(1.0)]
    assert "broken" in caplog.text
    assert "LoopLagged" in caplog.text
    assert "no space left" in caplog.text


def test_an_event_knows_when_it_happened() -> None:
    before = datetime.now(UTC)
    assert before <= make_event().occurred_at <= datetime.now(UTC)
    assert make_event().payload == {}


def test_a_sink_in_memory_keeps_the_latest_events() -> None:
    sink = InMemoryQueueEventSink(capacity=2)
    for message in ("one", "two", "three"):
        sink.publish(make_event(message=message))
    assert [event.message for event in sink.events] == ["two", "three"]


def test_events_are_on_where_there_is_a_sink() -> None:
    sink = InMemoryQueueEventSink()
    assert isinstance(sink, QueueEventSink)
    assert QueueEventConfig(sink=sink).enabled
    assert not QueueEventConfig().enabled
