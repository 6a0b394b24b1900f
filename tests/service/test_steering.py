"""In: what an operator asks of a service. Out: pauses, purges, schedules run now, workers and tallies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from litestar_queues import steering
from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.backends.sqlite import SQLiteBackend
from litestar_queues.errors import InvalidArgumentError, UnknownTaskError
from litestar_queues.outcomes import Cancelled, Completed, Failed, Outcome
from litestar_queues.records import CANARY_QUEUE, RecordFilter, RecordPage
from litestar_queues.service import QueueService
from litestar_queues.status import TaskStatus
from tests.builders import NOON, FakeClock, make_error, make_report, make_schedule, make_tally
from tests.contract.laws import claim, run_one
from tests.worker.harness import Shop


@pytest.fixture
async def shop(clock: FakeClock) -> AsyncIterator[Shop]:
    async with Shop(backend=MemoryBackend(clock=clock)) as shop:
        yield shop


CALLS: list[Callable[[QueueService], Coroutine[Any, Any, Any]]] = [
    lambda it: it.list_workers(),
    lambda it: it.pause_queue("a"),
    lambda it: it.resume_queue("a"),
    lambda it: it.paused_queues(),
    lambda it: it.list_tallies(),
    lambda it: it.purge("failed", 60),
    lambda it: it.read_page(RecordFilter()),
]


@pytest.mark.parametrize("call", CALLS)
async def test_each_verb_opens_the_service(call: Callable[[QueueService], Coroutine[Any, Any, Any]]) -> None:
    shop = Shop()
    await call(shop.service)
    assert shop.service.is_open
    await shop.service.close()


async def test_pages_that_look_at_few_records_each_find_all_that_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steering, "MOST_LOOKED_AT", 4)
    async with Shop(backend=SQLiteBackend(tmp_path / "queue.db")) as shop:
        tasks = ["rare", *["common"] * 9, "rare", "rare"]
        ids = [await run_one(shop.backend, task=name) for name in tasks]
        which = RecordFilter(task="rare", limit=1)
        pages: list[RecordPage] = []
        while not pages or pages[-1].next:
            before = pages[-1].next if pages else None
            pages.append(await shop.service.read_page(replace(which, before=before)))
    told = [([one.id for one in page.records], page.next, page.cut_short) for page in pages]
    assert told == [
        ([ids[11]], ids[11], False),
        ([ids[10]], ids[7], True),
        ([], ids[3], True),
        ([ids[0]], None, False),
    ]


async def test_a_queue_is_paused_for_a_time_and_resumed(shop: Shop, clock: FakeClock) -> None:
    service = shop.service
    await service.pause_queue("mail")
    await service.pause_queue("photos", 60)
    paused = await service.paused_queues()
    assert [(one.queue, one.until) for one in paused] == [("mail", None), ("photos", NOON + timedelta(seconds=60))]
    assert await service.resume_queue("mail")
    assert not await service.resume_queue("mail")
    clock.advance(60)
    assert list(await service.paused_queues()) == []
    with pytest.raises(InvalidArgumentError, match="cannot be paused: its canary shows"):
        await service.pause_queue(CANARY_QUEUE)


async def test_workers_and_tallies_are_listed(shop: Shop, clock: FakeClock) -> None:
    await shop.backend.report_worker(make_report(), lease=60, tallies=[make_tally(completed=3)])
    clock.advance(1800)
    await shop.backend.report_worker(make_report(), lease=60, tallies=[make_tally(failed=1)])
    assert [row.worker_id for row in await shop.service.list_workers()] == ["worker:1"]
    assert [one.completed for one in await shop.service.list_tallies()] == [3, 0]
    assert [one.failed for one in await shop.service.list_tallies(60)] == [1]


# purging


async def ended(shop: Shop) -> dict[str, int]:
    counts = (await shop.service.get_statistics()).as_dict()
    return {name: counts[name] for name in ("completed", "failed", "cancelled")}


@pytest.mark.parametrize("status", ["failed", TaskStatus.FAILED])
async def test_a_purge_deletes_what_is_old_enough_of_one_state(
    shop: Shop, clock: FakeClock, status: TaskStatus | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steering, "_PURGE_BATCH", 2)
    outcomes: list[Outcome] = [Completed(None), Cancelled("enough"), *[Failed(make_error())] * 5]
    for outcome in outcomes:
        await run_one(shop.backend, outcome)
    clock.advance(60)
    await run_one(shop.backend, Failed(make_error()))
    assert await shop.service.purge(status, 30) == 5
    assert await ended(shop) == {"completed": 1, "failed": 1, "cancelled": 1}
    assert await shop.service.purge(status, 30) == 0


@pytest.mark.parametrize(("limit", "purged"), [(0, 0), (1, 1), (3, 3), (4, 4), (9, 5), (None, 5)])
async def test_a_purge_deletes_no_more_than_it_is_told(
    shop: Shop, clock: FakeClock, limit: int | None, purged: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steering, "_PURGE_BATCH", 2)
    for _ in range(5):
        await run_one(shop.backend, Completed(None))
    clock.advance(1)
    assert await shop.service.purge("completed", 0, limit) == purged
    assert (await ended(shop))["completed"] == 5 - purged


@pytest.mark.parametrize("status", ["pending", TaskStatus.RUNNING, "done", ""])
async def test_what_is_not_history_is_not_purged(shop: Shop, status: str) -> None:
    with pytest.raises(InvalidArgumentError, match="only completed, failed and cancelled"):
        await shop.service.purge(status, 0)


@pytest.mark.parametrize(("older_than", "limit"), [(-1, None), (float("nan"), None), (0, -1)])
async def test_a_purge_of_less_than_nothing_is_refused(shop: Shop, older_than: float, limit: int | None) -> None:
    with pytest.raises(InvalidArgumentError, match="older_than="):
        await shop.service.purge("failed", older_than, limit)


# a schedule at once


async def test_a_schedule_runs_now_and_keeps_its_time(shop: Shop, clock: FakeClock) -> None:
    shop.task(lambda: None, name="report", queue="office", priority=3, key="k", schedule={"interval": 3600})
    await shop.backend.sync_schedules([make_schedule("report", task="report", first_at=NOON + timedelta(hours=1))])
    before = list(await shop.service.list_schedules())
    handles = [await shop.service.run_schedule_now("report") for _ in range(2)]
    claims = await claim(shop.backend)
    assert [(one.id, one.task, one.queue, one.schedule) for one in claims] == [
        (handle.id, "report", "office", "report") for handle in handles
    ]
    assert all(handle.created for handle in handles)
    assert list(await shop.service.list_schedules()) == before


async def test_a_schedule_that_no_worker_has_stored_yet_runs_too(shop: Shop) -> None:
    shop.task(lambda: None, name="report", schedule={"interval": 3600})
    handle = await shop.service.run_schedule_now("report")
    assert (await shop.get(handle.id)).schedule == "report"


async def test_an_unknown_schedule_is_refused_with_the_names_that_there_are(shop: Shop) -> None:
    with pytest.raises(InvalidArgumentError, match=r"no schedule is named 'nightly': there is none"):
        await shop.service.run_schedule_now("nightly")
    shop.task(lambda: None, name="report", schedule={"interval": 3600})
    await shop.backend.sync_schedules([make_schedule("gone", task="gone")])
    with pytest.raises(InvalidArgumentError, match=r"no schedule is named 'nightly': there are gone, report"):
        await shop.service.run_schedule_now("nightly")
    with pytest.raises(UnknownTaskError, match="gone"):
        await shop.service.run_schedule_now("gone")


async def test_where_tasks_run_in_the_call_the_schedule_does_too() -> None:
    ran = []
    async with Shop(execution_backend="immediate") as shop:
        shop.task(lambda: ran.append(1), name="report", schedule={"interval": 3600})
        await shop.service.run_schedule_now("report")
    assert ran == [1]
