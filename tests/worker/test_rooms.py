"""In: rounds that succeed, fail and fail again. Out: a loop that keeps its pace, outlives them and stops when told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from litestar_queues import rooms
from litestar_queues.errors import BackendError, BackendUnavailableError, QueueConfigurationError, SchemaVersionError
from litestar_queues.events import BackendDown, BackendUp, EngineEvent, EventBus, RoomFailed
from litestar_queues.rooms import Room, StoreHealth, pause_after, sleep_until_set, wait_for_any

DOWN = BackendUnavailableError("connection refused")
BUG = KeyError("a bug")


class Listener:
    """A bus, the health of a store, and every event about them."""

    def __init__(self) -> None:
        self.events: list[EngineEvent] = []
        self.bus = EventBus()
        self.bus.subscribe(self.events.append)
        self.health = StoreHealth(self.bus)

    def kinds(self) -> list[type[EngineEvent]]:
        return [type(event) for event in self.events]


class Scripted(Room):
    """A room whose rounds end as a script says: an error is raised, a number or ``None`` is the pause."""

    name = "scripted"
    interval = 10.0

    def __init__(self, listener: Listener, script: Iterable[float | Exception | None]) -> None:
        super().__init__(listener.health, listener.bus)
        self.script = list(script)
        self.rounds = 0

    async def run_once(self) -> float | None:
        step = self.script[self.rounds]
        self.rounds += 1
        if isinstance(step, Exception):
            raise step
        return step


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that rooms ask for; none is slept."""
    asked: list[float] = []

    async def note(event: asyncio.Event, seconds: float) -> None:
        asked.append(seconds)

    monkeypatch.setattr(rooms, "sleep_until_set", note)
    return asked


async def play(listener: Listener, *script: float | Exception | None) -> Scripted:
    """Run a room through a script and stop it in its last round."""
    stop = asyncio.Event()

    class Stopping(Scripted):
        async def run_once(self) -> float | None:
            if self.rounds == len(self.script) - 1:
                stop.set()
            return await super().run_once()

    room = Stopping(listener, script)
    await room.run(stop)
    return room


# pace


async def test_a_round_says_how_long_the_pause_is_and_else_it_is_the_interval(pauses: list[float]) -> None:
    await play(Listener(), 0, 2.5, *[None] * 50)
    assert pauses[:2] == [0, 2.5]
    assert all(9 <= pause <= 11 for pause in pauses[2:])
    assert len(set(pauses[2:])) > 1


async def test_a_room_that_was_told_to_stop_does_no_round() -> None:
    stop = asyncio.Event()
    stop.set()
    room = Scripted(Listener(), [])
    await room.run(stop)
    assert room.rounds == 0


async def test_a_pause_ends_when_the_room_is_told_to_stop() -> None:
    stop, room = asyncio.Event(), Scripted(Listener(), [3600.0])
    running = asyncio.create_task(room.run(stop))
    await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(running, 5)
    assert room.rounds == 1


async def test_a_round_that_has_begun_is_finished() -> None:
    begun, go_on, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()

    class Slow(Scripted):
        async def run_once(self) -> float | None:
            begun.set()
            await go_on.wait()
            return await super().run_once()

    room = Slow(Listener(), [3600.0])
    running = asyncio.create_task(room.run(stop))
    await begun.wait()
    stop.set()
    await asyncio.sleep(0)
    assert not running.done()
    go_on.set()
    await asyncio.wait_for(running, 5)
    assert room.rounds == 1


def test_pauses_after_failures_double_from_a_tenth_of_a_second_to_five_seconds() -> None:
    for failures, middle in [(1, 0.1), (2, 0.2), (3, 0.4), (6, 3.2), (7, 5), (100, 5), (100_000, 5)]:
        pauses = {pause_after(failures) for _ in range(50)}
        assert all(middle * 0.74 < pause < middle * 1.26 for pause in pauses)
        assert len(pauses) > 1


# outages and errors


async def test_failures_are_followed_by_growing_pauses_and_a_success_begins_anew(pauses: list[float]) -> None:
    await play(Listener(), DOWN, BUG, DOWN, 7, DOWN)
    for pause, middle in zip(pauses, [0.1, 0.2, 0.4, 7, 0.1], strict=True):
        assert middle * 0.74 < pause < middle * 1.26


async def test_an_outage_is_told_once_and_so_is_its_end(pauses: list[float]) -> None:
    listener = Listener()
    await play(listener, DOWN, DOWN, DOWN, 0, 0)
    assert listener.kinds() == [BackendDown, BackendUp]
    assert listener.events[0] == BackendDown("scripted", DOWN)
    assert listener.health.ok
    await play(listener, DOWN, 0)
    assert listener.kinds() == [BackendDown, BackendUp] * 2


async def test_rooms_that_share_a_store_tell_its_outage_once() -> None:
    listener, reached = Listener(), list[bool]()
    for room in ("claimer", "completer", "claimer"):
        listener.health.down(room, DOWN)
        reached.append(listener.health.ok)
    assert listener.events == [BackendDown("claimer", DOWN)]
    for room in ("completer", "claimer"):
        listener.health.up(room)
        reached.append(listener.health.ok)
    assert reached == [False] * 3 + [True] * 2
    up = listener.events[-1]
    assert listener.kinds() == [BackendDown, BackendUp]
    assert isinstance(up, BackendUp)
    assert up.room == "completer"
    assert 0 <= up.seconds < 60


def test_the_end_of_an_outage_says_how_long_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    listener, now = Listener(), 100.0
    monkeypatch.setattr("litestar_queues.rooms.time.monotonic", lambda: now)
    listener.health.down("claimer", DOWN)
    now = 142.5
    listener.health.down("claimer", DOWN)
    listener.health.up("claimer")
    assert listener.events[-1] == BackendUp("claimer", 42.5)


@pytest.mark.parametrize(
    "error", [BUG, BackendError("near 'selec': syntax error"), TimeoutError(), OSError("disk full")]
)
async def test_a_room_outlives_an_error_that_nobody_expected(pauses: list[float], error: Exception) -> None:
    listener = Listener()
    room = await play(listener, error, 0)
    assert room.rounds == 2
    assert listener.events == [RoomFailed("scripted", error)]
    assert listener.health.ok


async def test_the_same_error_again_and_again_is_told_once_until_it_changes_or_goes(pauses: list[float]) -> None:
    listener, other = Listener(), ValueError("another bug")
    await play(listener, BUG, KeyError("a bug"), other, other, BUG, 0, BUG)
    told = [event.error for event in listener.events if isinstance(event, RoomFailed)]
    assert told == [BUG, other, BUG, BUG]


@pytest.mark.parametrize("error", [QueueConfigurationError("no such setting"), SchemaVersionError()])
async def test_what_no_waiting_can_mend_ends_the_room(pauses: list[float], error: Exception) -> None:
    listener = Listener()
    with pytest.raises(type(error), match=str(error)):
        await play(listener, 0, error, 0)
    assert listener.events == []


async def test_a_room_that_is_cancelled_ends(pauses: list[float]) -> None:
    room: Any = Scripted(Listener(), [])
    room.run_once = asyncio.Event().wait
    running = asyncio.create_task(room.run(asyncio.Event()))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


# waiting


@pytest.mark.parametrize("seconds", [-1, 0, 0.001])
async def test_a_sleep_ends_by_itself(seconds: float) -> None:
    event = asyncio.Event()
    await asyncio.wait_for(sleep_until_set(event, seconds), 5)
    assert not event.is_set()


async def test_a_sleep_ends_once_the_event_is_set() -> None:
    event = asyncio.Event()
    sleeping = asyncio.create_task(sleep_until_set(event, 3600))
    await asyncio.sleep(0)
    event.set()
    await asyncio.wait_for(sleeping, 5)
    await asyncio.wait_for(sleep_until_set(event, 3600), 5)


async def test_the_first_of_several_events_is_enough_and_no_waiter_is_left() -> None:
    first, second = asyncio.Event(), asyncio.Event()
    assert await wait_for_any(first, second, timeout=0.001) is False
    waiting = asyncio.create_task(wait_for_any(first, second))
    await asyncio.sleep(0)
    second.set()
    assert await asyncio.wait_for(waiting, 5) is True
    assert await wait_for_any(first, second) is True
    await asyncio.sleep(0)
    assert not [one for one in asyncio.all_tasks() if "Event.wait" in repr(one)]
