"""In: task events. Out: messages on channels of the app's ``ChannelsPlugin``, sent beside the tasks."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from litestar_queues.events import QueueEvent

if TYPE_CHECKING:
    from litestar.channels import ChannelsPlugin

__all__ = ("ChannelsQueueEventSink",)

_log = logging.getLogger("litestar_queues.events")


def _of_its_task(event: QueueEvent) -> str:
    return f"tasks:{event.task_id}"


class ChannelsQueueEventSink:
    """Publishes each event as JSON on a channel, whose broker carries it to the web processes.

    No task waits for the broker: events wait in a buffer, of which the oldest go where the broker is too slow or away.

    Args:
        channels: The app's plugin; the worker starts it by entering the app's lifespan, as it does by default.
        channel: The name of an event's channel; by default ``tasks:`` and the task's id.
        capacity: Events that wait at most; 1,000 by default.
    """

    def __init__(
        self,
        channels: ChannelsPlugin,
        *,
        channel: Callable[[QueueEvent], str] = _of_its_task,
        capacity: int = 1_000,
    ) -> None:
        self._channels = channels
        self._channel = channel
        self._waiting: deque[QueueEvent] = deque(maxlen=capacity)
        self._sending: asyncio.Task[None] | None = None
        self._is_down = False

    def publish(self, event: QueueEvent) -> None:
        """Take the event, and let it be sent soon."""
        self._waiting.append(event)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        while self._waiting:
            event = self._waiting.popleft()
            try:
                await self._channels.wait_published(event, self._channel(event))
            except Exception as error:
                self._tell_down(error)
            else:
                self._tell_up()

    def _tell_down(self, error: Exception) -> None:
        if not self._is_down:
            _log.warning("task events do not reach the channels and are dropped: %r", error)
        self._is_down = True

    def _tell_up(self) -> None:
        if self._is_down:
            _log.warning("task events reach the channels again")
        self._is_down = False
