"""In: functions decorated with ``@task``. Out: tasks by name, or a refusal at import time that says what to change."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from litestar_queues import registry
from litestar_queues.errors import InvalidArgumentError, QueueConfigurationError, QueueError, UnknownTaskError
from litestar_queues.options import TaskOptions
from litestar_queues.registry import TaskRegistry, clear_task_registry, get_scheduled_tasks, get_task_registry, task
from litestar_queues.retry import RetryBackoff
from litestar_queues.schedules import ScheduleConfig
from litestar_queues.tasks import Task, bind_service, unbind_service


@pytest.fixture(autouse=True)
def tasks(monkeypatch: pytest.MonkeyPatch) -> TaskRegistry:
    """An empty registry for each test; what others registered at import stays theirs."""
    monkeypatch.setattr(registry, "_registry", TaskRegistry())
    return get_task_registry()


def make_function(
    name: str = "send", module: str = "app.mail", line: int = 1, file: str | None = None
) -> Callable[[], None]:
    """A function as if it stood in that module at that line."""
    namespace: dict[str, Any] = {"__name__": module}
    source = "\n" * (line - 1) + f"def {name}(): ..."
    exec(compile(source, file or f"{module.replace('.', '/')}.py", "exec"), namespace)
    function: Callable[[], None] = namespace[name]
    return function


# the decorator


def test_a_bare_decorator_registers_the_function_by_its_own_name(tasks: TaskRegistry) -> None:
    @task
    def send(to: str) -> str:
        """Send a mail.

        Slowly.
        """
        return f"to {to}"

    assert tasks.require("send") is send
    assert send("ada") == "to ada"
    assert (send.name, send.__name__, send.__doc__) == ("send", "send", send.function.__doc__)
    assert (send.description, send.options, send.schedule) == ("Send a mail.", TaskOptions(), None)
    assert (send.queue, send.priority, send.retries, send.timeout) == ("default", 0, 0, None)


async def test_an_async_task_is_called_as_the_coroutine_function_that_it_is() -> None:
    @task("mail.send", queue="mail", priority=5, retries=3, timeout=2, retry_backoff=7, description="Mails")
    async def send(to: str) -> str:
        return f"to {to}"

    assert await send("ada") == "to ada"
    assert send.options == TaskOptions(
        queue="mail", priority=5, retries=3, timeout=2, retry_backoff=RetryBackoff.of(7), description="Mails"
    )
    assert (send.queue, send.priority, send.retries, send.timeout, send.description) == ("mail", 5, 3, 2, "Mails")
    assert repr(send).startswith(f"<Task 'mail.send' {__file__}:")


def test_empty_brackets_and_no_name_mean_the_own_name(tasks: TaskRegistry) -> None:
    task()(make_function("one"))
    task(None)(make_function("two"))
    task(queue="mail")(make_function("three"))
    assert tasks.names() == ("one", "three", "two")


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"prioritty": 1}, "'prioritty' is no option of a task: did you mean 'priority'"),
        ({"crom": "@daily"}, "'crom' is no option of a task: did you mean 'cron'"),
        ({"metadata": {}}, "'metadata' is no option of a task: use one of at_most_once, cron, "),
        ({"queue": "a\0b"}, r"queue='a\x00b' is not accepted: use a printable name"),
        ({"timeout": math.nan}, "timeout=nan is not accepted: use a number of seconds above 0"),
        ({"run_after": -1}, "run_after=-1 is not accepted: use a number of seconds, 0 or more"),
        ({"retry_backoff": -1}, "retry_backoff=-1 is not accepted"),
        ({"cron": "* * *"}, "cron='* * *' is not accepted: use five fields"),
        ({"cron": "99 * * * *"}, "cron='99 * * * *' is wrong or never comes true"),
        ({"cron": "@daily", "interval": 5}, "has both cron and interval: give it one of them"),
        ({"cron": "@daily", "timezone": "Europe/Berln"}, "timezone='Europe/Berln' is not known on this host: use"),
        ({"timezone": "UTC"}, "has neither cron nor interval"),
        ({"interval": 0}, "interval=0 is not accepted"),
        ({"interval": 5, "jitter": -1}, "jitter=-1 is not accepted"),
        ({"interval": 5, "initial_delay": math.inf}, "initial_delay=inf is not accepted"),
    ],
)
def test_a_wrong_keyword_is_refused_at_import_by_task_and_name(keywords: Any, message: str) -> None:
    with pytest.raises(QueueConfigurationError) as refusal:
        task("mail.send", **keywords)(make_function())
    assert "task 'mail.send'" in str(refusal.value)
    assert message in str(refusal.value)
    assert len(get_task_registry()) == 0


@pytest.mark.parametrize("name", ["", "a\0b", "a\nb", "\x1b[2J", "a" * 256])
def test_a_name_that_cannot_be_printed_is_refused(name: str) -> None:
    with pytest.raises(QueueConfigurationError, match=r"a task needs a printable name .*: @task\('name'\)"):
        task(name)(make_function())


def test_what_has_no_name_of_its_own_must_be_given_one(tasks: TaskRegistry) -> None:
    print_hello = functools.partial(print, "hello")
    with pytest.raises(QueueConfigurationError, match="a task needs a printable name"):
        task(print_hello)
    task("hello")(print_hello)
    assert tasks.names() == ("hello",)


def yields() -> Iterator[int]:
    yield 1


async def yields_async() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (7, "decorate a function, plain or async"),
        (dict, "decorate a function, plain or async"),
        (Task(make_function(), name="send"), "each only once"),
        (yields, "a function that yields cannot be a task"),
        (yields_async, "a function that yields cannot be a task"),
    ],
)
def test_what_cannot_run_as_a_task_is_refused(function: Any, message: str) -> None:
    with pytest.raises(QueueConfigurationError, match=message):
        task("mail.send")(function)


# names


def test_two_functions_of_one_name_are_refused_with_both_places(tasks: TaskRegistry) -> None:
    first = task("send")(make_function(module="app.mail", line=3))
    with pytest.raises(QueueConfigurationError) as refusal:
        task("send")(make_function("post", module="app.letters", line=9))
    assert str(refusal.value) == (
        "two tasks have the name 'send', app/mail.py:3 (app.mail.send) and app/letters.py:9 (app.letters.post): "
        "rename one by @task('name')"
    )
    assert tasks.require("send") is first


def test_a_wrapped_function_is_known_by_what_it_wraps() -> None:
    def twice(function: Callable[[], None]) -> Callable[[], None]:
        @functools.wraps(function)
        def call_twice() -> None: ...

        return call_twice

    task("send")(twice(make_function(module="app.mail")))
    with pytest.raises(QueueConfigurationError, match=r"app\.mail\.send\) and .*app\.letters\.send\)"):
        task("send")(twice(make_function(module="app.letters")))


@pytest.mark.parametrize(
    "again",
    [{"line": 3}, {"line": 9}, {"line": 3, "module": "__main__", "file": "app/mail.py"}],
    ids=["as it was", "moved", "under another name"],
)
def test_a_function_that_is_loaded_again_takes_the_place_of_the_first(tasks: TaskRegistry, again: Any) -> None:
    task("send")(make_function(line=3))
    second = task("send")(make_function(**again))
    assert tasks.require("send") is second
    assert len(tasks) == 1


def test_an_unknown_task_is_answered_with_those_spelled_alike(tasks: TaskRegistry) -> None:
    tasks.register(Task(make_function(), name="mail.send"))
    with pytest.raises(UnknownTaskError) as refusal:
        tasks.require("mail.sent")
    assert str(refusal.value) == (
        "no task 'mail.sent' is registered: did you mean 'mail.send'? Else import its module, "
        "or name that in QueueConfig.task_modules"
    )
    with pytest.raises(UnknownTaskError, match="no task 'zzz' is registered: import its module, or name that in"):
        tasks.require("zzz")


def test_the_registry_is_a_collection_of_tasks(tasks: TaskRegistry) -> None:
    made = [task(name)(make_function(name)) for name in ("b", "a", "c")]
    assert list(tasks) == made
    assert tasks.names() == ("a", "b", "c")
    assert "a" in tasks
    assert tasks.get("zzz") is None
    clear_task_registry()
    assert (len(tasks), "a" in tasks) == (0, False)


def test_recurring_tasks_are_found_by_name() -> None:
    task("b", cron="0 3 * * *", timezone="Europe/Berlin", missed="all", overlap=True)(make_function("b"))
    task("a", interval=timedelta(minutes=1), jitter=2, initial_delay=3)(make_function("a"))
    task("c", cron=None)(make_function("c"))
    assert get_scheduled_tasks() == {
        "a": ScheduleConfig("a", interval=timedelta(minutes=1), jitter=2, initial_delay=3),
        "b": ScheduleConfig("b", cron="0 3 * * *", timezone="Europe/Berlin", missed="all", overlap=True),
    }
    assert list(get_scheduled_tasks()) == ["a", "b"]


# keys


def resize(photo: int, size: str = "small", *tags: str, **more: Any) -> None: ...


RESIZE = Task(resize, name="resize", options=TaskOptions(unique_by="arguments"))


@pytest.mark.parametrize(
    ("args", "kwargs", "same"),
    [
        ((), {"photo": 1}, True),
        ((1,), {"size": "small"}, False),
        ((2,), {}, False),
        ((1,), {"more": 1}, False),
    ],
)
def test_a_key_by_arguments_is_the_same_where_the_arguments_are(args: Any, kwargs: Any, same: bool) -> None:
    assert (RESIZE.identity_key((1,), {}) == RESIZE.identity_key(args, kwargs)) is same


def test_a_key_by_arguments_does_not_hang_on_an_order() -> None:
    one = RESIZE.identity_key((1,), {"x": {"a", "b"}, "y": {"c": 1, "d": 2}})
    assert one == RESIZE.identity_key((1,), {"y": {"d": 2, "c": 1}, "x": {"b", "a"}})
    assert re.fullmatch(r"args:resize:[0-9a-f]{64}", one or "")


def test_a_key_is_the_given_one_or_made_as_unique_by_says() -> None:
    assert RESIZE.using(key="k").identity_key((1,), {}) == "k"
    assert RESIZE.using(unique_by="task").identity_key((1,), {}) == "task:resize"
    assert RESIZE.using(unique_by=None).identity_key((1,), {}) is None


# the way to a service


async def test_enqueue_goes_to_the_service_that_was_opened_last() -> None:
    class Service:
        async def enqueue(self, task: Task[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            return self, task, args, kwargs

    def post(to: str, *, copy: bool) -> None: ...

    send = Task(post, name="send")
    outer, inner = Service(), Service()
    try:
        for service in (outer, inner, outer, inner):
            bind_service(service)
        assert await send.enqueue("ada", copy=True) == (inner, send, ("ada",), {"copy": True})  # type: ignore[comparison-overlap]
        unbind_service(inner)
        assert (await send.enqueue("ada", copy=True))[0] is outer  # type: ignore[index]
    finally:
        unbind_service(outer)
        unbind_service(inner)
        unbind_service(inner)
    with pytest.raises(
        QueueError, match=r"no queue service is open: start the app with QueuePlugin, or enqueue inside"
    ):
        await send.enqueue("ada", copy=True)


def test_a_schedule_is_no_option_of_one_record() -> None:
    with pytest.raises(InvalidArgumentError, match="'cron' is no option of a task"):
        RESIZE.using(cron="@daily")  # type: ignore[call-arg]
