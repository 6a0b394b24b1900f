"""In: what workers tell of themselves. Out: who is there and who vanished, by the store's clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta

from litestar_queues.backends.base import QueueBackend
from litestar_queues.fleet import WorkerRow
from tests.builders import NOON, FakeClock, make_report


async def ids(backend: QueueBackend) -> list[str]:
    return [row.worker_id for row in await backend.list_workers()]


async def alive(backend: QueueBackend) -> list[str]:
    return [row.worker_id for row in await backend.list_workers() if row.alive]


async def test_a_store_that_no_worker_told_anything_has_none(backend: QueueBackend) -> None:
    assert list(await backend.list_workers()) == []


async def test_a_worker_is_stored_as_it_told(backend: QueueBackend, clock: FakeClock) -> None:
    report = make_report(queues=("mails", "Ünïcode, [2]"), running=3, draining=True)
    clock.advance(5)
    await backend.report_worker(report, lease=60)
    row = WorkerRow(**asdict(report), seen_at=NOON + timedelta(seconds=5), alive=True)
    assert list(await backend.list_workers()) == [row]
    assert row.state == "draining"


async def test_what_it_tells_later_takes_the_place_of_what_it_told_before(
    backend: QueueBackend, clock: FakeClock
) -> None:
    await backend.report_worker(make_report(), lease=60)
    clock.advance(10)
    later = make_report(running=8, draining=True, queues=("a",), max_concurrency=9, version="2", pid=8, host="other")
    await backend.report_worker(later, lease=60)
    (row,) = await backend.list_workers()
    assert row == WorkerRow(**asdict(later), seen_at=NOON + timedelta(seconds=10), alive=True)


async def test_workers_come_by_host_and_then_by_id(backend: QueueBackend) -> None:
    for worker_id, host in (("b:1", "y"), ("c:1", "x"), ("a:1", "y")):
        await backend.report_worker(make_report(worker_id, host=host), lease=60)
    assert await ids(backend) == ["c:1", "a:1", "b:1"]


async def test_a_worker_is_alive_while_its_lease_lasts(backend: QueueBackend, clock: FakeClock) -> None:
    await backend.report_worker(make_report("long:1"), lease=60)
    await backend.report_worker(make_report("short:1"), lease=10)
    clock.advance(9.9)
    assert await alive(backend) == ["long:1", "short:1"]
    clock.advance(0.1)
    assert await alive(backend) == ["long:1"]
    assert [row.state for row in await backend.list_workers()] == ["working", "lost"]
    await backend.report_worker(make_report("short:1"), lease=10)
    assert await alive(backend) == ["long:1", "short:1"]


async def test_workers_are_counted_by_their_state(backend: QueueBackend, clock: FakeClock) -> None:
    assert dict(await backend.count_workers()) == {}
    await backend.report_worker(make_report("lost:1", draining=True), lease=10)
    for name in ("working:1", "working:2"):
        await backend.report_worker(make_report(name), lease=60)
    await backend.report_worker(make_report("leaving:1", draining=True), lease=60)
    clock.advance(10)
    assert dict(await backend.count_workers()) == {"working": 2, "draining": 1, "lost": 1}


async def test_a_worker_that_left_is_forgotten(backend: QueueBackend) -> None:
    await backend.report_worker(make_report("a:1"), lease=60)
    await backend.report_worker(make_report("b:1"), lease=60)
    for _ in range(2):  # the second time changes nothing
        await backend.forget_worker("a:1")
        assert await ids(backend) == ["b:1"]


async def test_lost_workers_are_pruned_and_living_ones_never(backend: QueueBackend, clock: FakeClock) -> None:
    await backend.report_worker(make_report("alive:1"), lease=1_000)
    for n in range(3):
        await backend.report_worker(make_report(f"lost:{n}"), lease=10)
    clock.advance(100)
    await backend.report_worker(make_report("lost:3"), lease=10)
    clock.advance(50)
    assert await backend.prune_workers(older_than=100, limit=2) == 2
    assert await backend.prune_workers(older_than=100, limit=2) == 1
    assert await backend.prune_workers(older_than=100, limit=2) == 0
    assert await ids(backend) == ["alive:1", "lost:3"]


async def test_workers_are_seen_from_every_process(make_backend: Callable[[], QueueBackend]) -> None:
    one, other = make_backend(), make_backend()
    await one.open()
    await other.open()
    try:
        await one.report_worker(make_report(), lease=60)
        assert await alive(other) == (["worker:1"] if one.capabilities.shared else [])
    finally:
        await one.close()
        await other.close()
