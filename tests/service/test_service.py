"""In: what an app asks of its queue. Out: records, handles on them, and refusals that name the remedy."""

from __future__ import annotations

import asyncio
import gc
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.config import QueueConfig
from litestar_queues.errors import (
    BackendUnavailableError,
    InvalidArgumentError,
    QueueConfigurationError,
    QueueError,
    UnknownTaskError,
)
from litestar_queues.minting import EnqueueSpec
from litestar_queues.registry import TaskRegistry, get_task_registry
from litestar_queues.service import QueueService
from litestar_queues.status import TaskStatus
from litestar_queues.tasks import bound_service
from tests.faults.faulty import FaultyBackend
from tests.worker.harness import Shop, within

LATER = datetime(2030, 1, 2, tzinfo=UTC)


def send(to: str, copies: int = 1) -> str:
    return f"{copies} to {to}"


# enqueue


async def test_a_record_has_its_arguments_and_the_options_of_the_task() -> None:
    async with Shop() as shop:
        task = shop.task(send, queue="mail", priority=3, retries=2, timeout=9)
        handle = await shop.service.enqueue(task, "ada", copies=2)
        record = await shop.get(handle.id)
        assert (handle.task_name, handle.created, handle.status) == ("send", True, None)
        assert (record.task_name, record.args, record.kwargs) == ("send", ("ada",), {"copies": 2})
        assert (record.queue, record.priority, record.max_retries, record.timeout) == ("mail", 3, 2, 9)
        assert record.status is TaskStatus.PENDING


async def test_options_of_one_call_go_before_those_of_the_task() -> None:
    async with Shop() as shop:
        shop.task(send, queue="mail")
        handle = await shop.service.enqueue(
            "send", "ada", queue="slow", scheduled_at=LATER, metadata={"by": "bob"}, retries=4
        )
        record = await shop.get(handle.id)
        assert (record.queue, record.scheduled_at, record.metadata, record.max_retries) == (
            "slow",
            LATER,
            {"by": "bob"},
            4,
        )
        assert record.status is TaskStatus.SCHEDULED
        handle = await shop.service.enqueue(shop.task(send).using(queue="other", run_after=60), "ada")
        record = await shop.get(handle.id)
        assert (record.queue, record.scheduled_at - record.created_at) == ("other", timedelta(minutes=1))


async def test_a_key_gives_the_record_that_is_there() -> None:
    async with Shop() as shop:
        shop.task(send)
        first = await shop.service.enqueue("send", "ada", key="welcome ada")
        second = await shop.service.enqueue("send", "bob", key="welcome ada")
        assert (second.id, second.created) == (first.id, False)
        assert (await second.refresh()).record.args == ("ada",)  # type: ignore[union-attr]
        specs = [EnqueueSpec("send", ["ada"], key="welcome ada"), EnqueueSpec("send", ["eve"], key="welcome eve")]
        assert [one.created for one in await shop.service.enqueue_many(specs)] == [False, True]


async def test_many_are_stored_in_their_order_and_with_their_options() -> None:
    async with Shop() as shop:
        task = shop.task(send, queue="mail")
        specs = [
            EnqueueSpec(task, ("ada",)),
            EnqueueSpec("send", kwargs={"to": "bob"}, queue="slow", priority=5, timeout=3, metadata={"a": 1}),
        ]
        handles = await shop.service.enqueue_many(specs)
        ada, bob = [await shop.get(handle.id) for handle in handles]
        assert (ada.args, ada.queue, bob.kwargs, bob.queue) == (("ada",), "mail", {"to": "bob"}, "slow")
        assert (bob.priority, bob.timeout, bob.metadata) == (5, 3, {"a": 1})
        assert await shop.service.enqueue_many([]) == []


async def test_the_garbage_collector_rests_while_many_are_minted_and_goes_on_afterwards() -> None:
    collects: list[bool] = []

    class Watching:
        def model_dump(self, mode: str) -> str:
            collects.append(gc.isenabled())
            return mode

    async with Shop() as shop:
        shop.task(send)
        await shop.service.enqueue_many([EnqueueSpec("send", [Watching()])])
        assert (collects, gc.isenabled()) == ([False], True)
        with pytest.raises(InvalidArgumentError):
            await shop.service.enqueue_many([EnqueueSpec("send")])
        assert gc.isenabled()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (EnqueueSpec("sendd"), "no task 'sendd' is registered: did you mean 'send'"),
        (EnqueueSpec("send"), "'send'.*'to'"),
        (EnqueueSpec("send", [object()]), "'to'"),
        (EnqueueSpec("send", ["ada"], priority="high"), "priority='high' is not accepted"),  # type: ignore[arg-type]
        (EnqueueSpec(send, ["ada"]), "is not a task: decorate the function"),  # type: ignore[arg-type]
    ],
)
async def test_one_wrong_call_among_many_stores_none(spec: EnqueueSpec, message: str) -> None:
    async with Shop() as shop:
        shop.task(send)
        with pytest.raises(InvalidArgumentError, match=message):
            await shop.service.enqueue_many([EnqueueSpec("send", ["ada"]), spec])
        assert (await shop.service.get_statistics()).total == 0


async def test_a_connection_is_refused_by_a_store_that_has_no_transactions() -> None:
    async with Shop() as shop:
        shop.task(send)
        with pytest.raises(InvalidArgumentError, match="connection= is not accepted"):
            await shop.service.enqueue("send", "ada", connection=object())


async def test_a_store_that_cannot_be_reached_is_an_error_of_the_call() -> None:
    backend = FaultyBackend(MemoryBackend())
    async with Shop(backend=backend) as shop:
        shop.task(send)
        backend.is_down = True
        with pytest.raises(BackendUnavailableError):
            await shop.service.enqueue("send", "ada")
        backend.is_down = False
        assert (await shop.service.enqueue("send", "ada")).created


# looking and steering


async def test_a_record_is_found_by_its_id_also_as_text() -> None:
    async with Shop() as shop:
        shop.task(send)
        handle = await shop.service.enqueue("send", "ada")
        by_id, by_text = await shop.service.get_task(handle.id), await shop.service.get_task(str(handle.id))
        assert by_id == by_text
        assert await shop.service.get_task(uuid4()) is None
        for wrong in ("nonsense", "", None, 7):
            with pytest.raises(InvalidArgumentError, match="is not a record id"):
                await shop.service.get_task(wrong)  # type: ignore[arg-type]


async def test_lists_are_filtered_and_paged_newest_first() -> None:
    async with Shop() as shop:
        shop.task(send)
        ids = [(await shop.service.enqueue("send", "ada", queue=queue)).id for queue in ("a", "b", "a")]
        every = await shop.service.list_tasks()
        assert [record.id for record in every] == ids[::-1]
        assert [record.id for record in await shop.service.list_tasks(queue="a", limit=1)] == [ids[2]]
        assert [record.id for record in await shop.service.list_tasks(queue="a", before=ids[2])] == [ids[0]]
        assert await shop.service.list_tasks(status=TaskStatus.FAILED) == []
        assert await shop.service.list_tasks(status="pending") == every
        with pytest.raises(InvalidArgumentError, match="status='done' is no state of a record: use one of pending, "):
            await shop.service.list_tasks(status="done")


async def test_a_waiting_record_is_cancelled_and_can_be_tried_again() -> None:
    async with Shop() as shop:
        shop.task(send)
        handle = await shop.service.enqueue("send", "ada")
        assert await shop.service.cancel_task(handle.id)
        assert (await handle.refresh()).status is TaskStatus.CANCELLED
        assert not await shop.service.cancel_task(handle.id)
        assert await shop.service.retry_task(str(handle.id))
        assert not await shop.service.retry_task(handle.id)
        assert (await handle.refresh()).status is TaskStatus.PENDING
        assert not await shop.service.cancel_task(uuid4())


async def test_statistics_count_by_state_and_queue() -> None:
    async with Shop() as shop:
        shop.task(send)
        for queue, after in (("a", 0), ("a", 60), ("b", 0)):
            await shop.service.enqueue("send", "ada", queue=queue, run_after=after)
        stats = await shop.service.get_statistics()
        assert (stats.pending, stats.scheduled, stats.total) == (2, 1, 3)
        assert (await shop.service.get_statistics("a")).total == 2


# immediate execution


async def test_immediately_means_that_the_call_returns_after_the_run_and_what_it_enqueued() -> None:
    async with Shop(execution_backend="immediate") as shop:
        seen: list[str] = []

        async def first() -> None:
            await shop.service.enqueue("second")
            seen.append("first")

        def second() -> None:
            seen.append("second")

        shop.task(first)
        shop.task(second)
        handle = await shop.service.enqueue("first")
        assert (await handle.refresh()).status is TaskStatus.COMPLETED
        assert sorted(seen) == ["first", "second"]
        await shop.service.enqueue_many([EnqueueSpec("second")] * 2)
        assert seen.count("second") == 3


async def test_what_is_due_later_is_not_run_immediately() -> None:
    async with Shop(execution_backend="immediate") as shop:
        shop.task(send)
        handle = await shop.service.enqueue("send", "ada", run_after=60)
        assert (await handle.refresh()).status is TaskStatus.SCHEDULED


# life


async def test_task_modules_are_imported_when_the_service_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "from litestar_queues import task\n@task('service-test.hello')\ndef hello(): return 'hello'\n"
    (tmp_path / "tasks_of_service_test.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    service = QueueService(QueueConfig(queue_backend="memory", task_modules=("tasks_of_service_test",)))
    try:
        assert "service-test.hello" not in get_task_registry()
        async with service:
            handle = await service.enqueue("service-test.hello")
            await service.run_due()
            assert (await handle.refresh()).result == "hello"
    finally:
        get_task_registry()._tasks.pop("service-test.hello", None)
        sys.modules.pop("tasks_of_service_test", None)


async def test_a_task_module_that_is_not_there_is_refused_by_name() -> None:
    service = QueueService(QueueConfig(queue_backend="memory", task_modules=("no_such_module_here",)))
    with pytest.raises(QueueConfigurationError, match="no_such_module_here"):
        await service.open()
    assert not service.is_open


async def test_tasks_go_to_the_service_that_was_opened_last_and_is_still_open() -> None:
    outer, inner = Shop(), Shop()
    task = outer.task(send)
    async with outer:
        async with inner:
            assert bound_service() is inner.service
            await task.enqueue("ada")
        await task.enqueue("bob")
        assert (await outer.service.get_statistics()).total == 1
    with pytest.raises(QueueError, match="no queue service is open: start the app with QueuePlugin"):
        await task.enqueue("eve")


async def test_it_opens_on_first_use_once_and_again_after_it_was_closed() -> None:
    backend = FaultyBackend(MemoryBackend())
    shop = Shop(backend=backend)
    shop.task(send)
    async with within():
        await asyncio.gather(*(shop.service.enqueue("send", "ada") for _ in range(5)))
    assert backend.calls.count("open") == 1
    await shop.service.close()
    await shop.service.close()
    assert backend.calls.count("close") == 1
    assert (await shop.service.get_statistics()).pending == 5
    await shop.service.close()


async def test_a_store_that_cannot_be_opened_is_tried_again_by_the_next_call() -> None:
    backend = FaultyBackend(MemoryBackend())
    backend.fail("open")
    shop = Shop(backend=backend)
    shop.task(send)
    with pytest.raises(BackendUnavailableError):
        await shop.service.enqueue("send", "ada")
    assert not shop.service.is_open
    assert (await shop.service.enqueue("send", "ada")).created
    await shop.service.close()


def test_an_empty_registry_is_a_registry() -> None:
    registry: Any = TaskRegistry()
    assert QueueService(QueueConfig(queue_backend="memory"), registry=registry).registry is registry
    assert QueueService(QueueConfig(queue_backend="memory")).registry is get_task_registry()


async def test_a_look_for_unknown_tasks_names_those_that_are_spelled_alike() -> None:
    async with Shop() as shop:
        shop.task(send)
        with pytest.raises(UnknownTaskError, match="did you mean 'send'"):
            await shop.service.enqueue("sent", "ada")
