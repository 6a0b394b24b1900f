"""In: a backend that is opened and closed. Out: what it says of itself, and what it keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from litestar_queues.backends.base import QueueBackend
from litestar_queues.errors import BackendUnavailableError, InvalidArgumentError
from litestar_queues.ids import new_id
from litestar_queues.outcomes import Completed, Completion
from litestar_queues.records import Held, RecordFilter
from litestar_queues.status import TaskStatus
from tests.builders import NOON, make_record, make_report, make_schedule, make_tally, make_tick
from tests.contract.laws import enqueue, get, run_one
from tests.contract.test_schedules import batch_of

Make = Callable[[], QueueBackend]

HELD = Held(new_id(), 1)
CALLS: dict[str, Callable[[QueueBackend], Awaitable[object]]] = {
    "enqueue_many": lambda it: it.enqueue_many([make_record()]),
    "cancel_many": lambda it: it.cancel_many([HELD.id]),
    "retry_many": lambda it: it.retry_many([HELD.id]),
    "claim_many": lambda it: it.claim_many(worker_id="w:1", queues=(), limit=1, lease=1),
    "finish_many": lambda it: it.finish_many([Completion(*HELD, Completed(None))]),
    "renew_many": lambda it: it.renew_many([HELD], lease=1),
    "cancel_requests": lambda it: it.cancel_requests("w:1"),
    "save_progress": lambda it: it.save_progress({HELD: b"{}"}),
    "rescue_many": lambda it: it.rescue_many(limit=1, max_lost_leases=3),
    "rescue_predecessor": lambda it: it.rescue_predecessor("w:1", max_lost_leases=3),
    "sync_schedules": lambda it: it.sync_schedules([make_schedule()]),
    "due_schedules": lambda it: it.due_schedules(["report"]),
    "fire_ticks": lambda it: it.fire_ticks(batch_of(make_tick())),
    "list_schedules": lambda it: it.list_schedules(),
    "pause_schedule": lambda it: it.pause_schedule("report", paused=True),
    "report_worker": lambda it: it.report_worker(make_report(), lease=1, tallies=[make_tally(completed=1)]),
    "forget_worker": lambda it: it.forget_worker("w:1"),
    "list_workers": lambda it: it.list_workers(),
    "count_workers": lambda it: it.count_workers(),
    "pause_queue": lambda it: it.pause_queue("a", seconds=1),
    "resume_queue": lambda it: it.resume_queue("a"),
    "paused_queues": lambda it: it.paused_queues(),
    "list_tallies": lambda it: it.list_tallies(seconds=60),
    "get_many": lambda it: it.get_many([HELD.id]),
    "list_records": lambda it: it.list_records(RecordFilter()),
    "statistics": lambda it: it.statistics(),
    "queue_depths": lambda it: it.queue_depths(),
    "canary_completed_at": lambda it: it.canary_completed_at(),
    "prune_many": lambda it: it.prune_many(TaskStatus.FAILED, older_than=1, limit=1),
    "count_old": lambda it: it.count_old(TaskStatus.FAILED, older_than=1),
    "prune_ticks": lambda it: it.prune_ticks(older_than=1, limit=1),
    "prune_workers": lambda it: it.prune_workers(older_than=1, limit=1),
    "prune_tallies": lambda it: it.prune_tallies(older_than=1, limit=1),
    "ledger": lambda it: it.ledger(),
}
NO_STORE_NEEDED = {"open", "close", "migrate", "pending_migrations", "migration_sql", "describe"}


def test_every_verb_of_the_seam_is_in_the_table_above() -> None:
    assert set(CALLS) | NO_STORE_NEEDED | {"subscribe"} == QueueBackend.__abstractmethods__


@pytest.mark.parametrize("verb", CALLS)
async def test_a_backend_that_is_not_open_says_so(make_backend: Make, verb: str) -> None:
    backend = make_backend()
    with pytest.raises(BackendUnavailableError, match=r"not open: await open\(\) first"):
        await CALLS[verb](backend)


@pytest.mark.parametrize("verb", CALLS)
async def test_each_verb_takes_a_store_without_records(backend: QueueBackend, verb: str) -> None:
    await CALLS[verb](backend)


async def test_a_subscription_needs_an_open_backend(make_backend: Make) -> None:
    with pytest.raises(BackendUnavailableError, match=r"await open\(\) first"):
        make_backend().subscribe(lambda: None)


async def test_a_closed_backend_is_not_open(backend: QueueBackend) -> None:
    await backend.close()
    with pytest.raises(BackendUnavailableError, match="not open"):
        await backend.ledger()


async def test_closing_and_opening_twice_is_harmless(make_backend: Make) -> None:
    backend = make_backend()
    await backend.close()
    await backend.open()
    await backend.open()
    await enqueue(backend)
    await backend.close()
    await backend.close()


async def test_records_and_schedules_are_there_after_close_and_open(backend: QueueBackend) -> None:
    record_id = await run_one(backend, Completed(b"42"))
    await backend.sync_schedules([make_schedule()])
    await backend.close()
    await backend.open()
    assert (await get(backend, record_id)).result == 42
    assert [row.name for row in await backend.list_schedules()] == ["report"]


async def test_an_open_backend_lacks_no_migration(make_backend: Make) -> None:
    backend = make_backend()
    await backend.open()
    assert list(await backend.pending_migrations()) == []
    assert list(await backend.migrate()) == []
    await backend.close()


async def test_migrations_that_run_at_once_apply_each_step_once(make_backend: Make) -> None:
    first, second = make_backend(), make_backend()
    lacking = list(await first.pending_migrations())
    applied = await asyncio.gather(first.migrate(), second.migrate())
    assert sorted(name for names in applied for name in names) == lacking
    assert list(await first.pending_migrations()) == []


async def test_the_ddl_is_text_and_empty_where_there_is_no_schema(backend: QueueBackend) -> None:
    assert ("create table" in backend.migration_sql()) is backend.capabilities.durable


async def test_a_backend_names_its_store_in_a_few_words(backend: QueueBackend) -> None:
    assert backend.describe().startswith(backend.name)
    assert "\n" not in backend.describe()


async def test_two_backends_on_one_store_see_the_same_records_where_it_is_shared(
    backend: QueueBackend, make_backend: Make
) -> None:
    record_id = await enqueue(backend)
    other = make_backend()
    await other.open()
    assert (record_id in await other.get_many([record_id])) is backend.capabilities.shared
    await other.close()


async def test_records_outlive_the_backend_object_where_they_are_durable(make_backend: Make) -> None:
    first = make_backend()
    await first.open()
    record_id = await enqueue(first, delay=60)
    await first.close()
    second = make_backend()
    await second.open()
    assert (record_id in await second.get_many([record_id])) is first.capabilities.durable
    await second.close()


async def test_a_connection_that_a_backend_cannot_take_is_refused_and_nothing_is_written(backend: QueueBackend) -> None:
    with pytest.raises(InvalidArgumentError, match="is not accepted") as caught:
        await backend.enqueue_many([make_record()], connection=object())
    remedy = "use a" if backend.capabilities.transactional_enqueue else "leave it out"
    assert remedy in str(caught.value)
    assert (await backend.ledger())["enqueued"] == 0


async def test_the_clock_of_the_store_stamps_its_records(backend: QueueBackend) -> None:
    assert (await get(backend, await enqueue(backend))).created_at == NOON
