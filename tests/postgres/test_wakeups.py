"""In: changes made by one process. Out: others woken once for each statement, also after the server was away."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from litestar_queues.backends.postgres import PostgresBackend, drivers, listener
from litestar_queues.events import ListenerDown, ListenerUp
from litestar_queues.outcomes import Completed, Completion, Released
from litestar_queues.ticks import TickBatch
from tests.builders import NOON, make_record, make_schedule, make_tick
from tests.contract.laws import claim, enqueue, run_one
from tests.postgres.conftest import Area
from tests.worker.harness import Shift, Shop, until, until_found

LISTENER = "litestar-queues listener"


class Ear:
    """A backend that listens, and how often it was woken."""

    def __init__(self, backend: PostgresBackend) -> None:
        self.backend = backend
        self.woken = 0
        self.told: list[Exception | None] = []
        backend.on_listener_change(self.told.append)
        backend.subscribe(self._wake)

    def _wake(self) -> None:
        self.woken += 1


@pytest.fixture
async def ear(area: Area) -> Ear:
    """Another process' backend, so to speak, that listens already."""
    ear = Ear(await area.open())
    await until(lambda: ear.woken)
    ear.woken = 0
    return ear


@asynccontextmanager
async def overheard(area: Area) -> AsyncIterator[list[str]]:
    """What is told on the channel meanwhile."""
    told: list[str] = []
    connection = await area.connect()
    await connection.add_listener(f"{area.schema}_lq_wake", lambda *notice: told.append(notice[3]))
    yield told
    await connection.execute(f"notify {area.schema}_lq_wake, 'end'")
    await until(lambda: "end" in told)
    told.remove("end")


# who is told, and how often


async def an_enqueue(backend: PostgresBackend) -> None:
    await enqueue(backend)


async def many_at_once(backend: PostgresBackend) -> None:
    await backend.enqueue_many([make_record() for _ in range(500)])


async def many_with_keys(backend: PostgresBackend) -> None:
    await backend.enqueue_many([make_record(key=f"k{number}") for number in range(50)])


async def a_retry(backend: PostgresBackend) -> None:
    ids = [await enqueue(backend, queue="retried", delay=60) for _ in range(3)]
    await backend.cancel_many(ids)
    await backend.retry_many(ids)


CHANGES: dict[str, tuple[Callable[[PostgresBackend], Awaitable[None]], list[str]]] = {
    "one record": (an_enqueue, ["default"]),
    "many records": (many_at_once, ["default"]),
    "many records with keys": (many_with_keys, ["default"]),
    "a retry of three": (a_retry, ["retried"] * 3 + ["retried"]),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_statement_tells_once_however_many_records_it_makes(
    backend: PostgresBackend, area: Area, ear: Ear, change: str
) -> None:
    act, expected = CHANGES[change]
    async with overheard(area) as told:
        await act(backend)
    assert told == expected
    await until(lambda: ear.woken)


async def test_what_workers_give_back_and_what_is_rescued_is_told_once(backend: PostgresBackend, area: Area) -> None:
    await many_at_once(backend)
    claims = await claim(backend, limit=20)
    async with overheard(area) as told:
        await backend.finish_many([Completion(one.id, one.token, Released()) for one in claims])
    assert told == ["default"]
    await claim(backend, limit=20, lease=-1)
    async with overheard(area) as told:
        await backend.rescue_many(limit=100, max_lost_leases=3)
    assert told == ["default"]


async def test_a_tick_of_a_schedule_is_told(backend: PostgresBackend, area: Area) -> None:
    await backend.sync_schedules([make_schedule()])
    async with overheard(area) as told:
        await backend.fire_ticks(TickBatch("report", NOON, [make_tick()], NOON.replace(year=2027), overlap=True))
    assert told == ["default"]


async def test_concurrent_enqueues_share_what_they_tell(backend: PostgresBackend, area: Area) -> None:
    async with overheard(area) as told:
        await asyncio.gather(*(enqueue(backend) for _ in range(200)))
    assert 1 <= len(told) <= 20
    assert set(told) == {"default"}


async def test_what_is_looked_at_and_finished_tells_nobody(backend: PostgresBackend, area: Area) -> None:
    async with overheard(area) as told:
        await run_one(backend, Completed(None))
        await backend.statistics()
        await claim(backend)
    assert told == ["run-one"]


async def test_with_notifications_off_nobody_listens_and_nobody_is_told(area: Area) -> None:
    quiet = await area.open(notifications=False)
    own: list[bool] = []
    quiet.subscribe(lambda: own.append(True))
    async with overheard(area) as told:
        await quiet.enqueue_many([make_record(), make_record(key="k")])
        await until(lambda: own)  # this process knows of itself
    assert told == []
    assert await listeners(await area.connect(), area) == []


async def listeners(admin: Any, area: Area) -> list[int]:
    query = "select pid from pg_stat_activity where application_name = $1 and query ilike $2"
    return [row[0] for row in await admin.fetch(query, LISTENER, f"listen %{area.schema}%")]


# a listener that is cut off


async def test_a_listener_that_was_ended_listens_again_and_says_both_once(
    backend: PostgresBackend, area: Area, ear: Ear, admin: Any
) -> None:
    (pid,) = await listeners(admin, area)
    await admin.execute("select pg_terminate_backend($1, 5000)", pid)
    await until(lambda: ear.told and ear.told[-1] is None)
    assert [error is None for error in ear.told] == [False, True]
    assert "cannot be reached" in str(ear.told[0]) or "cannot be used now" in str(ear.told[0])
    ear.woken = 0
    await enqueue(backend)
    await until(lambda: ear.woken)
    assert len(await listeners(admin, area)) == 1


async def test_a_listener_whose_server_falls_silent_says_so_and_listens_on_another_connection(
    backend: PostgresBackend, area: Area, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drivers, "_SILENCE", 0.1)
    monkeypatch.setattr(drivers, "_ANSWER", 0.5)
    others = [row[0] for row in await admin.fetch(_LISTENERS, LISTENER, [])]
    ear = Ear(await area.open())
    pid = int(await until_found(lambda: admin.fetchval(_LISTENERS, LISTENER, others)))
    await until(lambda: ear.woken)
    os.kill(pid, signal.SIGSTOP)
    try:
        await until(lambda: len(ear.told) >= 2)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert [error is None for error in ear.told[:2]] == [False, True]
    ear.woken = 0
    await enqueue(backend)
    await until(lambda: ear.woken)


_LISTENERS = "select pid from pg_stat_activity where application_name = $1 and pid <> all($2::integer[])"


async def test_a_listener_listens_again_after_a_restart_of_the_server(
    area: Area, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[bool] = []

    async def counted(*args: Any, **options: Any) -> Any:
        tries.append(True)
        return await drivers.connect(*args, **options)

    monkeypatch.setattr(listener, "connect", counted)
    await asyncio.to_thread(area.server.stop)
    try:
        await until(lambda: ear.told)
        tries.clear()
        await until(lambda: len(tries) > 1)  # in vain, and it says so no more
    finally:
        await asyncio.to_thread(area.server.start)
    await until(lambda: ear.told[-1] is None)
    assert [error is None for error in ear.told] == [False, True]
    ear.woken = 0
    await enqueue(await area.open())
    await until(lambda: ear.woken)


async def test_a_listener_that_waits_tries_again_at_once_when_others_reach_the_server(
    backend: PostgresBackend, area: Area, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "_FIRST_PAUSE", 600.0)
    monkeypatch.setattr(listener, "_LONGEST_PAUSE", 600.0)
    ear = Ear(await area.open())
    await until(lambda: ear.woken)
    for pid in await listeners(admin, area):
        await admin.execute("select pg_terminate_backend($1, 5000)", pid)
    await until(lambda: ear.told)
    assert await listeners(admin, area) == []
    await ear.backend.cancel_requests("a")  # by a connection that it has
    await asyncio.sleep(0.1)
    assert await listeners(admin, area) == []
    await enqueue(ear.backend)  # by a connection that it makes now
    await until(lambda: ear.told[-1] is None)


async def test_what_was_told_while_nobody_listened_is_looked_for(
    backend: PostgresBackend, area: Area, ear: Ear, admin: Any
) -> None:
    (pid,) = await listeners(admin, area)
    await admin.execute("select pg_terminate_backend($1, 5000)", pid)
    await until(lambda: ear.told)
    await enqueue(backend)
    ear.woken = 0
    await until(lambda: ear.told[-1] is None)
    await until(lambda: ear.woken)


async def test_a_listener_that_never_could_listen_says_so_and_the_records_are_found_by_polling(
    area: Area, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any, **__: Any) -> Any:
        raise ConnectionRefusedError("no")

    monkeypatch.setattr(listener, "connect", refuse)
    async with Shop(backend=area.backend(), worker_poll_interval=0.05) as shop:
        shop.task(lambda: None, name="greet")
        async with Shift(shop):
            down = await shop.told.nth(ListenerDown)
            assert str(down.error).endswith("cannot be reached: no")
            record = make_record()
            await shop.backend.enqueue_many([record])
            await until_done(shop, record.id)
            monkeypatch.undo()
            assert (await shop.told.nth(ListenerUp)).seconds > 0
        assert (len(shop.told.all(ListenerDown)), len(shop.told.all(ListenerUp))) == (1, 1)


async def until_done(shop: Shop, record_id: Any) -> None:
    async def ended() -> bool:
        return (await shop.get(record_id)).is_terminal

    assert await until_found(ended)


async def test_a_worker_is_woken_by_another_process_long_before_it_would_poll(area: Area) -> None:
    producer = await area.open()
    async with Shop(backend=area.backend(), worker_poll_interval=60) as shop:
        shop.task(lambda: None, name="greet")
        async with Shift(shop):
            records = [make_record(), make_record(delay=0.2)]
            for record in records:
                await producer.enqueue_many([record])
            for record in records:
                await until_done(shop, record.id)


async def test_who_has_left_is_woken_no_more_and_a_backend_that_is_opened_again_listens_again(
    backend: PostgresBackend,
) -> None:
    woken: list[bool] = []
    leave = backend.subscribe(lambda: woken.append(True))
    await until(lambda: woken)
    leave()
    woken.clear()
    await enqueue(backend)
    await backend.close()
    await backend.open()
    assert woken == []
    backend.subscribe(lambda: woken.append(True))
    await until(lambda: woken)
