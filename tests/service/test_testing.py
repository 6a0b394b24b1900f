"""In: a user's test. Out: tasks run inside it, and assertions that say what was there instead."""

from __future__ import annotations

from uuid import UUID

import pytest

from litestar_queues import registry
from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.errors import QueueError
from litestar_queues.records import CANARY_QUEUE
from litestar_queues.registry import TaskRegistry, task
from litestar_queues.status import TaskStatus
from litestar_queues.tasks import Task
from litestar_queues.testing import assert_enqueued, assert_not_enqueued, drain, enqueued_records, memory_queue
from tests.builders import make_record


@pytest.fixture(autouse=True)
def tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registry", TaskRegistry())


def make_task() -> Task[..., str]:
    @task
    def greet(name: str, copies: int = 1) -> str:
        return f"{copies} x hello {name}"

    return greet


async def test_tasks_go_to_the_memory_queue_until_the_block_ends() -> None:
    greet = make_task()
    async with memory_queue() as service:
        assert isinstance(service.backend, MemoryBackend)
        handle = await greet.enqueue("ada")
        assert (await handle.refresh()).status is TaskStatus.PENDING
        assert await drain(service) == 1
        assert (await handle.refresh()).result == "1 x hello ada"
        assert await drain(service) == 0
    with pytest.raises(QueueError, match="no queue service is open"):
        await greet.enqueue("ada")


async def test_a_drain_runs_what_tasks_enqueue_and_leaves_failures_on_their_records() -> None:
    @task
    async def parent(depth: int) -> None:
        if depth:
            await parent.enqueue(depth - 1)
        else:
            raise ValueError("the end")

    async with memory_queue() as service:
        await parent.enqueue(2)
        assert await drain(service) == 3
        records = await enqueued_records(service, parent)
        assert [record.args for record in records] == [(2,), (1,), (0,)]
        assert [record.error for record in records] == [None, None, "ValueError: the end"]


async def test_a_drain_runs_the_canary_but_assertions_do_not_see_it() -> None:
    @task("scheduler.heartbeat")
    def beat() -> None: ...

    async with memory_queue() as service:
        await beat.enqueue()
        assert await enqueued_records(service) == []
        assert (await service.list_tasks())[0].queue == CANARY_QUEUE
        assert await drain(service) == 1
        assert await service.canary_health() is not None


async def test_immediate_tasks_have_run_when_enqueue_returns() -> None:
    greet = make_task()
    async with memory_queue(immediate=True) as service:
        handle = await greet.enqueue("ada")
        assert (await handle.refresh()).result == "1 x hello ada"
        assert (await service.get_statistics()).completed == 1


async def test_further_settings_are_those_of_the_config() -> None:
    async with memory_queue(max_payload_bytes=9, execution_backend="immediate") as service:
        assert (service.config.max_payload_bytes, service.config.execution_backend) == (9, "immediate")


async def test_what_was_enqueued_can_be_asserted_with_and_without_arguments() -> None:
    greet = make_task()
    async with memory_queue() as service:
        first = await greet.enqueue("ada")
        second = await greet.enqueue("bob", copies=2)
        assert (await assert_enqueued(service, greet)).id == second.id
        assert (await assert_enqueued(service, "greet", "ada")).id == first.id
        # however the call gave them
        assert (await assert_enqueued(service, greet, name="ada")).id == first.id
        assert (await assert_enqueued(service, greet, "bob", 2)).id == second.id


async def test_arguments_are_compared_as_they_are_stored() -> None:
    @task
    def remove(photo: UUID) -> None: ...

    async with memory_queue() as service:
        await remove.enqueue(UUID(int=7))
        await assert_enqueued(service, remove, UUID(int=7))
        await assert_enqueued(service, remove, photo=UUID(int=7))


async def test_a_missing_record_is_told_with_those_that_are_there() -> None:
    greet = make_task()
    async with memory_queue() as service:
        with pytest.raises(AssertionError) as none_at_all:
            await assert_enqueued(service, greet)
        assert str(none_at_all.value) == "task 'greet' was not enqueued"
        await greet.enqueue("ada", copies=2)
        with pytest.raises(AssertionError) as others:
            await assert_enqueued(service, greet, "bob")
        assert str(others.value) == "task 'greet' was not enqueued with ('bob'); there are: ('ada', copies=2)"


async def test_that_nothing_was_enqueued_can_be_asserted_too() -> None:
    greet = make_task()
    async with memory_queue() as service:
        await service.backend.enqueue_many([make_record(task="another")])
        await assert_not_enqueued(service, greet)
        await greet.enqueue("ada")
        with pytest.raises(AssertionError) as caught:
            await assert_not_enqueued(service, "greet")
        assert str(caught.value) == "task 'greet' was enqueued 1 times, first with ('ada')"
