"""In: events of tasks. Out: messages on Litestar's channels, and a task that never waits for a broker."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterable
from typing import Any
from uuid import UUID

import pytest
from litestar import Litestar
from litestar.channels import ChannelsPlugin
from litestar.channels.backends.memory import MemoryChannelsBackend

from litestar_queues import (
    ChannelsQueueEventSink,
    QueueConfig,
    QueueEvent,
    QueueEventConfig,
    QueuePlugin,
    publish_task_event,
    publish_task_log,
    publish_task_progress,
    registry,
    task,
)
from litestar_queues.registry import TaskRegistry
from tests.worker.harness import until_found

TASK = UUID(int=7)


def event(number: int) -> QueueEvent:
    return QueueEvent(type="task.log", task_id=TASK, task_name="greet", queue="default", attempt=1, message=str(number))


class Broker(MemoryChannelsBackend):
    """One that can be away, or take its time."""

    def __init__(self) -> None:
        super().__init__(history=10_000)
        self.open = asyncio.Event()
        self.open.set()
        self.is_away = False

    async def publish(self, data: bytes, channels: Iterable[str]) -> None:
        await self.open.wait()
        if self.is_away:
            raise ConnectionError("no broker")
        await super().publish(data, channels)


@pytest.fixture
async def broker() -> Broker:
    return Broker()


@pytest.fixture
async def channels(broker: Broker) -> AsyncIterator[ChannelsPlugin]:
    plugin = ChannelsPlugin(broker, channels=[f"tasks:{TASK}", "all"])
    Litestar(plugins=[plugin])
    async with plugin:
        yield plugin


async def heard(channels: ChannelsPlugin, channel: str, count: int) -> list[dict[str, Any]]:
    async def look() -> list[bytes] | None:
        found = await channels._backend.get_history(channel)
        return found if len(found) >= count else None

    return [json.loads(one) for one in await until_found(look)]


async def test_what_a_task_tells_comes_to_its_channel_in_order_and_so_does_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "_registry", TaskRegistry())
    channels = ChannelsPlugin(MemoryChannelsBackend(history=100), arbitrary_channels_allowed=True)

    @task
    async def greet() -> None:
        publish_task_progress(1, 2)
        publish_task_log("hello")
        publish_task_event("greeted", whom="ada")

    config = QueueConfig(
        queue_backend="memory", in_app_worker=True, event_config=QueueEventConfig(sink=ChannelsQueueEventSink(channels))
    )
    app = Litestar(plugins=[channels, QueuePlugin(config)])
    async with app.lifespan():
        handle = await greet.enqueue()
        found = await heard(channels, f"tasks:{handle.id}", 4)
    assert [one["type"] for one in found] == ["task.progress", "task.log", "task.event", "task.completed"]
    assert {one["task_id"] for one in found} == {str(handle.id)}
    assert found[1]["message"] == "hello"


async def test_a_slow_broker_holds_nobody_up_and_the_oldest_events_go(channels: ChannelsPlugin, broker: Broker) -> None:
    sink = ChannelsQueueEventSink(channels, channel=lambda _: "all", capacity=3)
    broker.open.clear()
    sink.publish(event(0))
    await asyncio.sleep(0)  # the first is on its way
    for number in range(1, 100):
        sink.publish(event(number))
    broker.open.set()
    assert [one["message"] for one in await heard(channels, "all", 4)] == ["0", "97", "98", "99"]


async def test_a_broker_that_is_away_is_told_once_and_so_is_its_return(
    channels: ChannelsPlugin, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    sink = ChannelsQueueEventSink(channels)
    broker.is_away = True
    with caplog.at_level(logging.WARNING, "litestar_queues"):
        for number in range(3):
            sink.publish(event(number))
            await asyncio.sleep(0.01)
        broker.is_away = False
        sink.publish(event(3))
        assert [one["message"] for one in await heard(channels, f"tasks:{TASK}", 1)] == ["3"]
        await asyncio.sleep(0)
    assert [entry.getMessage() for entry in caplog.records] == [
        "task events do not reach the channels and are dropped: ConnectionError('no broker')",
        "task events reach the channels again",
    ]
