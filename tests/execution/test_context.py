"""In: an attempt under way. Out: what its task sees of it and tells about it, on the loop and in a thread."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from litestar_queues.codec import decode_json
from litestar_queues.errors import InvalidArgumentError, PayloadTooLargeError, QueueError, TaskCancelledError
from litestar_queues.events import QueueEvent
from litestar_queues.execution.context import (
    StopReason,
    TaskExecutionContext,
    bind_context,
    get_current_task_context,
    publish_task_event,
    publish_task_log,
    publish_task_progress,
)
from litestar_queues.records import Claim


class Told:
    """A context and all that was told through it, in order."""

    def __init__(self, **fields: Any) -> None:
        needed: dict[str, Any] = dict.fromkeys(Claim._fields)
        needed |= {"id": UUID(int=1), "token": 5, "task": "send", "queue": "mail", "attempt": 2, "max_attempts": 3}
        self.claim = Claim(**needed | fields)
        self.saved: list[Any] = []
        self.events: list[QueueEvent] = []
        self.context = TaskExecutionContext(
            self.claim,
            worker_id="host-1",
            loop=asyncio.get_running_loop(),
            save_progress=lambda claim, encoded: self.saved.append((claim.token, decode_json(encoded))),
            publish=self.events.append,
        )


async def in_a_task(function: Callable[[], Any], context: TaskExecutionContext) -> None:
    """Call it where the context is the current one."""

    async def call() -> None:
        bind_context(context)
        function()

    await asyncio.create_task(call())


async def test_a_context_shows_its_attempt() -> None:
    context = Told(metadata=b'{"origin":"web"}').context
    assert (context.task_id, context.task_name, context.queue) == (UUID(int=1), "send", "mail")
    assert (context.attempt, context.max_attempts, context.worker_id) == (2, 3, "host-1")
    assert context.metadata == {"origin": "web"}
    assert Told().context.metadata == {}


# stopping


@pytest.mark.parametrize("reason", ["requested", "drain", "lost"])
async def test_a_run_that_is_asked_to_stop_can_see_it_and_leave(reason: StopReason) -> None:
    context = Told().context
    assert not Told().context.is_cancelled
    context.raise_if_cancelled()
    context.ask_to_stop(reason)
    assert context.is_cancelled
    with pytest.raises(TaskCancelledError, match=rf"^task 'send' was asked to stop \({reason}\)$"):
        context.raise_if_cancelled()


async def test_the_first_reason_to_stop_stays() -> None:
    context = Told().context
    context.ask_to_stop("requested")
    context.ask_to_stop("drain")
    assert context.stop_reason == "requested"


async def test_a_task_can_wait_to_be_stopped() -> None:
    context = Told().context
    waiting = [asyncio.create_task(context.wait_cancelled()) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(one.done() for one in waiting)
    context.ask_to_stop("drain")
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
    await asyncio.wait_for(context.wait_cancelled(), 5)


# telling


async def test_progress_is_stored_under_the_claim_and_published() -> None:
    told = Told()
    told.context.progress(1, 4, "resizing")
    told.context.progress(0.5)
    first = {"current": 1, "total": 4, "message": "resizing"}
    second = {"current": 0.5, "total": None, "message": None}
    assert told.saved == [(5, first), (5, second)]
    assert [(event.type, event.progress, event.message) for event in told.events] == [
        ("task.progress", first, "resizing"),
        ("task.progress", second, None),
    ]


async def test_an_event_names_the_attempt_that_it_comes_from() -> None:
    told = Told()
    told.context.log("one is missing", "warning", photo=7)
    told.context.event("resized", size="small")
    assert {(event.task_id, event.task_name, event.queue, event.attempt) for event in told.events} == {
        (UUID(int=1), "send", "mail", 2)
    }
    assert [(event.type, event.level, event.message, event.payload) for event in told.events] == [
        ("task.log", "warning", "one is missing", {"photo": 7}),
        ("task.event", None, "resized", {"size": "small"}),
    ]


async def test_a_payload_may_use_any_name() -> None:
    told = Told()
    told.context.log("sent", message="the text", self=1)
    told.context.event("sent", name="ada.jpg", self=1)
    await in_a_task(lambda: publish_task_log("sent", message="the text"), told.context)
    await in_a_task(lambda: publish_task_event("sent", name="ada.jpg"), told.context)
    assert [event.payload for event in told.events] == [
        {"message": "the text", "self": 1},
        {"name": "ada.jpg", "self": 1},
        {"message": "the text"},
        {"name": "ada.jpg"},
    ]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((math.nan,), InvalidArgumentError, "progress cannot be stored as JSON: JSON has neither NaN nor infinity"),
        ((1, math.inf), InvalidArgumentError, "progress cannot be stored as JSON"),
        ((object(),), InvalidArgumentError, "progress cannot be stored as JSON: objects of type object"),
        ((1, 2, "x" * 20_000), PayloadTooLargeError, "progress: 20,036 bytes of JSON, more than the 16,384"),
    ],
)
async def test_progress_that_cannot_be_stored_is_refused_where_it_is_told(
    arguments: Any, error: type[Exception], message: str
) -> None:
    told = Told()
    with pytest.raises(error) as refusal:
        told.context.progress(*arguments)
    assert message in str(refusal.value)
    assert (told.saved, told.events) == ([], [])


async def test_what_is_told_on_the_loop_is_told_at_once_and_from_a_thread_in_order() -> None:
    told = Told()

    def tell() -> None:
        for number in range(3):
            told.context.progress(number)
            told.context.log(str(number))

    tell()
    assert [saved["current"] for _, saved in told.saved] == [0, 1, 2]
    await asyncio.to_thread(tell)
    await asyncio.sleep(0)
    assert [saved["current"] for _, saved in told.saved] == [0, 1, 2] * 2
    assert [event.type for event in told.events] == ["task.progress", "task.log"] * 6


async def test_where_nobody_listens_telling_costs_nothing_and_hurts_nobody() -> None:
    context = TaskExecutionContext(Told().claim, worker_id="host-1", loop=asyncio.get_running_loop())
    context.progress(1)
    context.log("sent")
    context.event("sent")


# the current task


@pytest.mark.parametrize(
    ("tell", "kind"),
    [
        (lambda: publish_task_progress(1, 2, "half"), "task.progress"),
        (lambda: publish_task_log("sent", "debug", to="ada"), "task.log"),
        (lambda: publish_task_event("sent", to="ada"), "task.event"),
    ],
)
async def test_code_deep_inside_a_task_can_tell_and_outside_is_refused(tell: Callable[[], None], kind: str) -> None:
    told = Told()
    await in_a_task(tell, told.context)
    assert [event.type for event in told.events] == [kind]
    assert get_current_task_context() is None
    with pytest.raises(QueueError, match=r"no task is running here: .* can be published only from inside a task"):
        tell()


async def test_each_task_sees_its_own_context() -> None:
    seen: list[TaskExecutionContext | None] = []
    first, second = Told().context, Told().context
    await asyncio.gather(*(in_a_task(lambda: seen.append(get_current_task_context()), one) for one in (first, second)))
    assert seen == [first, second]
