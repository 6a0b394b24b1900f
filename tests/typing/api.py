"""In: code as users write it. Out: what the type checker makes of it; nothing here is ever run."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type
from uuid import UUID

from litestar_queues import (
    EnqueueSpec,
    InMemoryQueueEventSink,
    QueueConfig,
    QueuedTaskRecord,
    QueueEvent,
    QueueEventConfig,
    QueueService,
    QueueStatistics,
    ScheduleConfig,
    Task,
    TaskExecutionContext,
    TaskResult,
    TaskStatus,
    discover_tasks,
    get_current_task_context,
    get_scheduled_tasks,
    non_retryable,
    publish_task_progress,
    snooze,
    task,
)
from litestar_queues.retry import RetryBackoff

# a task is the function that it was


@task
async def resize(photo: UUID, size: str = "small") -> list[int]:
    publish_task_progress(1, 2, size)
    return [photo.int]


@task(at_most_once=True)
async def charge(order: int) -> None: ...


@task("mail.send", queue="mail", priority=5, retries=3, retry_backoff=RetryBackoff(initial=5), timeout=10, key="k")
def send(to: str, *, copy: bool = False) -> str:
    if to == "later":
        snooze(timedelta(minutes=1), "the server is busy")
    return non_retryable(to) if copy else to


@task(cron="0 3 * * *", timezone="Europe/Berlin", jitter=5, missed="all", overlap=True, unique_by="task")
async def report() -> None: ...


@task(interval=timedelta(minutes=1), initial_delay=5, run_after=timedelta(seconds=1), expires_in=60)
def sweep() -> None: ...


assert_type(send("ada", copy=True), str)
to_be_awaited: Coroutine[Any, Any, list[int]] = resize(UUID(int=1))
assert_type(send.name, str)
assert_type(send.schedule, ScheduleConfig | None)
assert_type(send.function("ada"), str)

plain: Callable[[str], str] = send
any_task: Task[..., Any] = resize

send(7)  # type: ignore[arg-type]
send("ada", True)  # type: ignore[call-arg]
resize(UUID(int=1), colour="red")  # type: ignore[call-arg, unused-coroutine]


@task(prioritty=5)  # type: ignore[call-overload, untyped-decorator]
def misspelled() -> None: ...


@task(unique_by="args")  # type: ignore[call-overload, untyped-decorator]
def no_such_choice() -> None: ...


# enqueueing holds a call to the function's own parameters


async def enqueue(service: QueueService) -> None:
    assert_type(await send.enqueue("ada", copy=True), TaskResult)
    assert_type(await resize.enqueue(UUID(int=1)), TaskResult)
    await send.enqueue()  # type: ignore[call-arg]
    await send.enqueue("ada", copies=2)  # type: ignore[call-arg]
    await resize.enqueue("not an id")  # type: ignore[arg-type]

    urgent = send.using(priority=9, run_after=60, scheduled_at=None, metadata={"origin": "web"}, timeout=None)
    assert_type(await urgent.enqueue("ada"), TaskResult)
    await urgent.enqueue(7)  # type: ignore[arg-type]
    assert_type(urgent("ada"), str)
    send.using(prioritty=9)  # type: ignore[call-arg]
    send.using(priority="high")  # type: ignore[arg-type]
    send.using(cron="@daily")  # type: ignore[call-arg]

    assert_type(await service.enqueue(send, "ada", queue="slow", connection=None), TaskResult)
    assert_type(await service.enqueue("mail.send", "ada"), TaskResult)
    specs = [
        EnqueueSpec(send, ("ada",)),
        EnqueueSpec("mail.send", kwargs={"to": "ada"}, scheduled_at=datetime.now(UTC)),
    ]
    assert_type(await service.enqueue_many(specs), list[TaskResult])


# results


async def look(service: QueueService, result: TaskResult) -> None:
    assert_type(await result.wait(timeout=5), TaskResult)
    assert_type(result.id, UUID)
    assert_type(result.status, TaskStatus | None)
    assert_type(result.error, str | None)
    assert_type(result.record, QueuedTaskRecord | None)
    assert_type(await service.get_task(result.id), QueuedTaskRecord | None)
    assert_type(await service.cancel_task(str(result.id), include_running=True), bool)
    statistics = await service.get_statistics("mail")
    assert_type(statistics, QueueStatistics)
    assert_type(statistics.as_dict(), dict[str, int])


# the context


@task
async def follow(context: TaskExecutionContext, to: str) -> None:
    assert_type(context.attempt, int)
    context.log("sent", level="debug", message=to)
    context.event("sent", name=to)
    await context.wait_cancelled()


def outside() -> None:
    assert_type(get_current_task_context(), TaskExecutionContext | None)
    assert_type(get_scheduled_tasks(), dict[str, ScheduleConfig])
    assert_type(discover_tasks("app.domain", subpackage="jobs", force_reload=True), tuple[str, ...])


class Printer:
    def publish(self, event: QueueEvent) -> None:
        print(event.type, event.task_id)


QueueConfig(event_config=QueueEventConfig(sink=Printer()), worker_queues=("mail",))
QueueConfig(event_config=QueueEventConfig(sink=InMemoryQueueEventSink(capacity=10)))
QueueConfig(worker_concurrency=10)  # type: ignore[call-arg]
