"""In: calls, as users write them. Out: records, checked and encoded, or a refusal before anything is written."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from litestar_queues.config import QueueConfig
from litestar_queues.errors import InvalidArgumentError, PayloadTooLargeError, UnknownTaskError
from litestar_queues.execution.context import TaskExecutionContext
from litestar_queues.minting import Bulk, EnqueueSpec, Minter
from litestar_queues.options import OPTION_NAMES, TaskOptions
from litestar_queues.records import CANARY_QUEUE, NewRecord
from litestar_queues.registry import TaskRegistry
from litestar_queues.retry import RetryBackoff
from litestar_queues.tasks import Task

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def send(to: str, copy: bool = False) -> None: ...
def anything(*args: Any, **kwargs: Any) -> None: ...
def own_names(queue: str, priority: int = 0, *, connection: str = "", key: str = "") -> None: ...
def positional(queue: str, /) -> None: ...
def with_context(context: TaskExecutionContext, to: str) -> None: ...
def injected(to: str, session: Any) -> None: ...
def beat() -> None: ...


OPTIONS = TaskOptions(queue="mail", priority=2, retries=3, timeout=4, expires_in=5, execution_profile="big")
TASKS = {
    function.__name__: Task(function, name=function.__name__, options=OPTIONS)
    for function in (send, anything, own_names, positional, with_context, injected, beat)
}


def make_minter(*, max_payload_bytes: int = 200, injectable: Any = frozenset({"session"})) -> Minter:
    registry = TaskRegistry()
    for task in TASKS.values():
        registry.register(task)
    config = QueueConfig(max_payload_bytes=max_payload_bytes, scheduler_canary_task="beat")
    return Minter(config, registry, lambda: injectable)


def mint(task: Any, *args: Any, **kwargs: Any) -> NewRecord:
    return make_minter().from_call(TASKS.get(task, task), args, kwargs)[0]


def arguments(record: NewRecord) -> Any:
    return msgspec.json.decode(record.payload)


def test_a_call_becomes_a_record_with_the_options_of_its_task() -> None:
    record = mint("send", "ada", copy=True)
    assert arguments(record) == [["ada"], {"copy": True}]
    assert (record.task, record.queue, record.priority, record.max_attempts) == ("send", "mail", 2, 4)
    assert (record.timeout, record.expires_in, record.execution_profile, record.delay) == (4, 5, "big", 0)
    assert (record.key, record.metadata, record.backoff, record.scheduled_at, record.schedule) == (None,) * 5


def test_a_task_may_be_named() -> None:
    assert make_minter().from_call("send", ("ada",), {})[0].task == "send"
    assert make_minter().from_spec(EnqueueSpec("send", ("ada",))).task == "send"


def test_every_record_has_an_id_of_its_own_in_the_order_of_minting() -> None:
    ids = [mint("send", "ada").id for _ in range(5)]
    assert sorted(set(ids)) == ids


def test_options_among_the_keywords_are_options() -> None:
    record, connection = make_minter().from_call(
        TASKS["send"],
        ("ada",),
        {"queue": "slow", "priority": 9, "retries": 0, "key": "k", "run_after": timedelta(minutes=1)}
        | {"metadata": {"origin": "web"}, "unique_for": 60, "connection": "the caller's"},
    )
    assert arguments(record) == [["ada"], {}]
    assert (record.queue, record.priority, record.max_attempts, record.key) == ("slow", 9, 1, "k")
    assert (record.delay, record.metadata, record.unique_for) == (60, b'{"origin":"web"}', 60)
    assert connection == "the caller's"


def test_a_parameter_of_the_task_is_never_shadowed_by_an_option() -> None:
    record, connection = make_minter().from_call(
        TASKS["own_names"], (), {"queue": "q", "priority": 7, "connection": "c", "key": "k", "retries": 1}
    )
    assert arguments(record) == [[], {"queue": "q", "priority": 7, "connection": "c", "key": "k"}]
    assert (record.queue, record.priority, record.key, record.max_attempts, connection) == ("mail", 2, None, 2, None)
    with pytest.raises(InvalidArgumentError, match="argument 'queue' is positional-only"):
        mint("positional", queue="q")


@pytest.mark.parametrize("name", sorted(OPTION_NAMES | {"connection"}))
def test_a_name_that_could_be_both_is_refused_as_ambiguous(name: str) -> None:
    with pytest.raises(InvalidArgumentError) as refusal:
        mint("anything", **{name: 1})
    assert f"task 'anything' takes any keyword, so {name}= could be its argument or an option" in str(refusal.value)


def test_using_and_specs_say_options_without_doubt() -> None:
    assert mint(TASKS["anything"].using(queue="slow"), to="ada").queue == "slow"
    record = make_minter().from_spec(EnqueueSpec(TASKS["anything"], (), {"queue": "an argument"}, queue="slow"))
    assert (record.queue, arguments(record)) == ("slow", [[], {"queue": "an argument"}])


@pytest.mark.parametrize(
    ("task", "args", "kwargs", "message"),
    [
        ("send", (), {}, "task 'send': argument 'to' is missing"),
        ("send", ("ada", True, 1), {}, "task 'send' takes at most 2 positional arguments, not 3"),
        ("send", ("ada",), {"to": "bob"}, "argument 'to' is given twice"),
        ("send", ("ada",), {"prioritty": 1}, "task 'send' takes no argument 'prioritty'"),
        ("send", ("ada",), {"run_after": -1}, "run_after=-1 is not accepted"),
        ("send", ("ada",), {"timeout": math.nan}, "timeout=nan is not accepted"),
        ("send", ("ada",), {"queue": "a\0b"}, "is not accepted: use a printable name"),
        ("send", ("ada",), {"queue": CANARY_QUEUE}, "does not begin with 'litestar-queues.'"),
        ("send", ("ada",), {"key": "a\nb"}, r"key='a\nb' is not accepted"),
        ("send", ("ada",), {"scheduled_at": datetime(2026, 1, 2)}, "use an aware datetime"),  # noqa: DTZ001
        ("send", ("ada",), {"scheduled_at": NOON, "run_after": 1}, "use one of them"),
        ("send", ("ada",), {"metadata": {1: 2}}, "metadata must be a mapping with text keys"),
        ("send", ("ada",), {"metadata": {"x": math.nan}}, "metadata cannot be stored as JSON: JSON has neither NaN"),
        ("send", (math.nan,), {}, "argument 'to' of task 'send' cannot be stored as JSON: JSON has neither NaN"),
        ("send", (object(),), {}, "argument 'to' of task 'send' cannot be stored as JSON: objects of type object"),
        ("send", ("\ud800",), {}, "argument 'to' of task 'send' cannot be stored as JSON: the text holds half"),
        ("with_context", (), {"context": 1, "to": "ada"}, "'context' is the context, which the worker gives"),
        (send, ("ada",), {}, "is not a task: decorate the function with @task, or give the name"),
        (None, (), {}, "None is not a task"),
    ],
)
def test_a_wrong_call_is_refused_by_name(task: Any, args: Any, kwargs: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as refusal:
        mint(task, *args, **kwargs)
    assert message in str(refusal.value)


def test_an_unknown_task_is_refused_with_the_names_that_are_like_it() -> None:
    with pytest.raises(UnknownTaskError, match="no task 'sent' is registered: did you mean 'send'"):
        mint("sent")


@pytest.mark.parametrize(("args", "kwargs"), [(("a" * 200,), {}), (("ada",), {"metadata": {"x": "a" * 200}})])
def test_what_is_too_large_is_refused_with_the_setting_and_the_remedy(args: Any, kwargs: Any) -> None:
    with pytest.raises(PayloadTooLargeError, match=r"\(max_payload_bytes\); keep large data elsewhere and pass its id"):
        mint("send", *args, **kwargs)


def test_arguments_that_fill_the_limit_are_accepted() -> None:
    size = len(mint("send", "").payload)
    assert len(mint("send", "a" * (200 - size)).payload) == 200
    with pytest.raises(PayloadTooLargeError, match=r"201 bytes of JSON, more than the 200"):
        mint("send", "a" * (201 - size))


def test_the_context_and_what_is_injected_are_left_out() -> None:
    assert arguments(mint("with_context", "ada")) == [["ada"], {}]
    assert arguments(mint("injected", "ada")) == [["ada"], {}]
    assert make_minter(injectable=None).from_call(TASKS["send"], (), {})[0].payload == b"[[],{}]"
    with pytest.raises(InvalidArgumentError, match="'session' is missing, and no dependency provides it"):
        make_minter(injectable=()).from_call(TASKS["injected"], ("ada",), {})


def test_a_key_is_the_given_one_or_made_and_only_then_taken_for_longer() -> None:
    unique = TASKS["send"].using(unique_by="arguments", unique_for=60)
    assert mint(unique, "ada").key == mint(unique, to="ada").key != mint(unique, "bob").key
    assert (mint(unique, "ada", key="k").key, mint(unique, "ada", unique_by="task").key) == ("k", "task:send")
    assert mint(unique, "ada").unique_for == 60
    assert mint(unique, "ada", unique_by=None).unique_for is None


def test_a_backoff_travels_with_the_record_where_the_call_changed_it() -> None:
    assert mint("send", "ada", retry_backoff=5).backoff == RetryBackoff.of(5).to_json()
    registry = TaskRegistry()
    task = Task(send, name="send", options=TaskOptions(retry_backoff=RetryBackoff.of(5)))
    registry.register(task)
    minter = Minter(QueueConfig(), registry, lambda: ())
    assert minter.from_call(task, ("ada",), {})[0].backoff is None
    assert minter.from_call(task, ("ada",), {"retry_backoff": 6})[0].backoff == RetryBackoff.of(6).to_json()


def test_the_canary_has_its_own_queue_whatever_it_asks_for() -> None:
    assert mint("beat").queue == CANARY_QUEUE
    assert mint("beat", queue="mail").queue == CANARY_QUEUE


def test_a_tick_is_due_by_its_schedule_and_holds_no_key() -> None:
    task = TASKS["beat"].using(run_after=60, key="k", unique_for=60)
    record = make_minter().tick(task, schedule="beat", delay=1.5)
    assert (record.schedule, record.delay, record.scheduled_at, record.key) == ("beat", 1.5, None, None)
    assert (record.unique_for, record.max_attempts, record.payload) == (None, 4, b"[[],{}]")


def test_the_records_of_a_bulk_are_minted_once_when_they_are_looked_at() -> None:
    minter, minted = make_minter(), []

    def mint_one(spec: EnqueueSpec) -> NewRecord:
        minted.append(spec.args[0])
        return minter.from_spec(spec)

    bulk = Bulk((EnqueueSpec("send", (str(n),)) for n in range(6)), mint_one)
    assert (len(bulk), minted) == (6, [])
    first, part = bulk[0], bulk[1:3]
    assert minted == ["0", "1", "2"]
    assert [first, *part, *bulk[3:]] == list(bulk)
    assert [arguments(bulk[-1]), len(bulk[4:99]), len(bulk[6:])] == [[["5"], {}], 2, 0]
    assert minted == [str(n) for n in range(6)]
    with pytest.raises(IndexError):
        bulk[6]
