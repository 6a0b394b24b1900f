"""In: functions and calls. Out: the verdict that Python itself would give, and arguments in their types again."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, Optional
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from litestar_queues.codec import decode_payload, encode_payload
from litestar_queues.errors import InvalidArgumentError, QueueConfigurationError
from litestar_queues.execution.context import TaskExecutionContext
from litestar_queues.signature import TaskSignature
from tests.unit.shapes import Call, Shape, calls, shapes, uses

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]

MAX = 1_000_000


def accepts(function: Callable[..., Any], args: Any, kwargs: Any) -> bool:
    # called, not bound: inspect.signature(f).bind(a=1) refuses what `def f(a=0, /, **kwargs)` takes
    try:
        function(*args, **kwargs)
    except TypeError:
        return False
    return True


def is_checked(signature: TaskSignature, args: Any, kwargs: Any, injectable: Any = ()) -> bool:
    try:
        signature.check(args, kwargs, injectable=injectable)
    except InvalidArgumentError:
        return False
    return True


# checking calls


@given(shape=shapes(), call=calls)
def test_a_call_is_refused_where_python_would_refuse_it(shape: Shape, call: Call) -> None:
    function = shape.make()
    assert is_checked(TaskSignature(function, "send"), *call) == accepts(function, *call)


@given(shape=shapes(), call=calls)
def test_the_context_is_no_argument_of_a_call(shape: Shape, call: Call) -> None:
    signature = TaskSignature(shape.make(context=True), "send")
    assert is_checked(signature, *call) == accepts(shape.make(), *call)


@given(shape=shapes(), call=calls, injectable=st.sets(st.sampled_from("abcdxyz")))
def test_what_a_dependency_provides_may_be_left_out(shape: Shape, call: Call, injectable: set[str]) -> None:
    function, (args, kwargs) = shape.make(), call
    signature = TaskSignature(function, "send")
    provided = {name: 0 for name in signature.missing(len(args), kwargs) if name in injectable}
    assert is_checked(signature, args, kwargs, injectable) == accepts(function, args, kwargs | provided)
    provided = dict.fromkeys(signature.missing(len(args), kwargs), 0)
    assert is_checked(signature, args, kwargs, None) == accepts(function, args, kwargs | provided)


@given(use=uses())
def test_the_function_receives_what_the_call_gave(use: tuple[Shape, list[Call]]) -> None:
    shape, [(args, kwargs)] = use
    plain = shape.make()
    handed, named = TaskSignature(shape.make(context=True)).convert(list(args), dict(kwargs))
    received = shape.make(context=True)(*handed, **named, context="the context")
    assert received == plain(*args, **kwargs) | {"context": "the context"}


@given(use=uses(calls=2))
@example(use=(Shape("a, /, **kwargs", ""), [((0,), {"a": 2}), ((1,), {"a": 2})]))
@example(use=(Shape("*args, **kwargs", ""), [((0,), {}), ((), {"*": (0,)})]))
def test_calls_are_bound_alike_where_they_mean_the_same(use: tuple[Shape, list[Call]]) -> None:
    shape, [first, second] = use
    function = shape.make()
    same = function(*first[0], **first[1]) == function(*second[0], **second[1])
    signature = TaskSignature(function)
    assert (signature.bind(*first) == signature.bind(*second)) == same


def send(to: str, /, subject: str, *, copy: bool) -> None: ...


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((1, 2, 3), {}, "takes at most 2 positional arguments, not 3: 'to', 'subject', 'copy'"),
        ((1,), {"subject": 1, "copies": 1}, "takes no argument 'copies'; it takes 'to', 'subject', 'copy'"),
        ((1, 2), {"subject": 1, "copy": 1}, "argument 'subject' is given twice, by position and by name"),
        ((), {"to": 1}, "argument 'to' is positional-only: give it without its name"),
        ((1, 2), {}, "argument 'copy' is missing, and no dependency provides it"),
    ],
)
def test_a_refusal_names_the_argument_and_what_is_wrong(args: Any, kwargs: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as refusal:
        TaskSignature(send, "send").check(args, kwargs, injectable=())
    assert message in str(refusal.value)


def test_the_context_cannot_be_given_by_a_caller() -> None:
    def greet(context: TaskExecutionContext, **kwargs: Any) -> None: ...

    with pytest.raises(InvalidArgumentError, match="'context' is the context, which the worker gives: leave it out"):
        TaskSignature(greet).check((), {"context": 1}, injectable=())


# finding the context


def by_annotation(ctx: TaskExecutionContext) -> None: ...
def by_union(ctx: TaskExecutionContext | None = None) -> None: ...
def by_optional(ctx: Optional[TaskExecutionContext] = None) -> None: ...  # noqa: UP045 - users write it
def by_path(ctx: litestar_queues.TaskExecutionContext) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def beside_unknown(other: Unknown, ctx: TaskExecutionContext) -> None: ...
def by_name(_task_context: Any) -> None: ...
def has_none(context: str, ctx: list[TaskExecutionContext]) -> None: ...


@pytest.mark.parametrize(
    ("function", "name"),
    [
        *((function, "ctx") for function in (by_annotation, by_union, by_optional, by_path, beside_unknown)),
        (by_name, "_task_context"),
        (has_none, None),
        (functools.partial(beside_unknown, other=1), "ctx"),
    ],
)
def test_the_context_parameter_is_found(function: Callable[..., Any], name: str | None) -> None:
    assert TaskSignature(function).context_parameter == name


@pytest.mark.parametrize(
    "parameters", ["c: TaskExecutionContext, /", "c: TaskExecutionContext, *args", "*c: TaskExecutionContext"]
)
def test_a_context_that_cannot_be_given_by_name_is_refused_at_once(parameters: str) -> None:
    with pytest.raises(QueueConfigurationError, match=r"context parameter 'c' .* make it keyword-only"):
        TaskSignature(Shape(parameters, "").make(), "send")


class Caller:
    async def __call__(self) -> None: ...

    async def method(self) -> None: ...


@pytest.mark.parametrize(
    ("function", "is_async"),
    [(send, False), (Caller(), True), (Caller().method, True), (functools.partial(Caller().method), True)],
)
def test_it_is_known_whether_a_call_must_be_awaited(function: Callable[..., Any], is_async: bool) -> None:
    assert TaskSignature(function).is_async is is_async


# types


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


@dataclass(frozen=True)
class Photo:
    id: UUID
    taken: date


class Share(msgspec.Struct, frozen=True):
    to: str
    until: datetime | None = None


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True, frozen=True)
    at: date


times = st.datetimes(timezones=st.just(UTC))
photos = st.builds(Photo, st.uuids(), st.dates())
models = st.builds(Model, at=st.dates())
TYPED: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (UUID, st.uuids()),
    (datetime, times),
    (date, st.dates()),
    (time, st.times()),
    (timedelta, st.timedeltas(timedelta(-10_000), timedelta(10_000))),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (bytes, st.binary()),
    (Size, st.sampled_from(Size)),
    (Photo, photos),
    (Share, st.builds(Share, st.text("abc"), st.none() | times)),
    (Model, models),
    (list[UUID], st.lists(st.uuids())),
    (set[int], st.sets(st.integers(-9, 9))),
    (tuple[UUID, int], st.tuples(st.uuids(), st.integers())),
    (dict[str, Photo], st.dictionaries(st.text("abc"), photos)),
    (dict[int, date], st.dictionaries(st.integers(), st.dates())),
    (list[Model], st.lists(models)),
    (UUID | None, st.none() | st.uuids()),
    (Photo | UUID, photos | st.uuids()),
    (Optional[list[date]], st.none() | st.lists(st.dates())),  # noqa: UP045 - users write it
    ("Photo | None", st.none() | photos),
    (Model | int, models | st.integers()),
    (Any, st.integers() | st.text("abc")),
    (dict[str, int], st.dictionaries(st.text("abc"), st.integers())),
    (Literal["a", 1], st.sampled_from(["a", 1])),
]


def annotated(annotation: Any) -> TaskSignature:
    def show(one: Any, *many: Any, named: Any, **rest: Any) -> None: ...

    show.__annotations__ = dict.fromkeys(("one", "many", "named", "rest"), annotation)
    return TaskSignature(show, "show")


@pytest.mark.parametrize(("annotation", "values"), TYPED, ids=str)
@given(data=st.data())
def test_typed_arguments_come_back_as_they_were(annotation: Any, values: st.SearchStrategy[Any], data: Any) -> None:
    value = data.draw(values)
    args, kwargs = [value, value, value], {"named": value, "other": value}
    stored = encode_payload(args, kwargs, task="show", max_bytes=MAX)
    assert annotated(annotation).convert(*decode_payload(stored)) == (args, kwargs)


@pytest.mark.parametrize("annotation", ["Unknown", "not python (", Callable[[int], str], Caller])
def test_a_type_that_nobody_can_read_leaves_the_value_as_it_is(annotation: Any) -> None:
    assert annotated(annotation).convert([{"a": 1}], {"named": "2026-01-02"}) == ([{"a": 1}], {"named": "2026-01-02"})


@pytest.mark.parametrize(("annotation", "value"), [(UUID, "x"), (Photo, {}), (Model, {"at": 1}), (Photo | UUID, 7)])
@pytest.mark.parametrize(("where", "name"), [("one", "one"), ("many", "*"), ("named", "named"), ("rest", "other")])
def test_a_value_that_does_not_fit_is_refused_by_name(annotation: Any, value: Any, where: str, name: str) -> None:
    signature = annotated(Any)
    signature._own = tuple(
        item.replace(annotation=annotation if item.name == where else Any) for item in signature._own
    )
    with pytest.raises(InvalidArgumentError) as refusal:
        signature.convert([value, value], {"named": value, "other": value})
    assert str(refusal.value).startswith(f"task 'show': argument {name!r} does not fit its annotation: ")


def test_further_keywords_are_read_by_their_own_type_whatever_their_names() -> None:
    def show(at: date, /, **ids: UUID) -> None: ...

    args, kwargs = TaskSignature(show).convert(["2026-01-02"], {"at": str(UUID(int=1))})
    assert (args, kwargs) == ([date(2026, 1, 2)], {"at": UUID(int=1)})


def test_stored_arguments_that_the_function_no_longer_takes_are_refused_not_dropped() -> None:
    def greet(context: TaskExecutionContext, name: str) -> None: ...

    with pytest.raises(InvalidArgumentError, match="takes at most 1 positional arguments, not 2: 'name'"):
        TaskSignature(greet, "greet").convert(["Ada", "Hello"], {})
