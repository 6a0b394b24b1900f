"""In: arguments, results, metadata. Out: the same after a round trip as JSON, or a refusal by name."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from litestar_queues.codec import (
    decode_json,
    decode_payload,
    encode_canonical,
    encode_object,
    encode_payload,
    encode_result,
)
from litestar_queues.errors import InvalidArgumentError, PayloadTooLargeError
from tests.properties import examples

MAX = 10_000_000
texts = st.text(st.characters(exclude_categories=["Cs"]))
finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


def encode(*args: Any, names: tuple[str, ...] = (), **kwargs: Any) -> bytes:
    return encode_payload(args, kwargs, task="send", max_bytes=MAX, names=names)


@dataclass
class Photo:
    id: UUID
    taken: date


class Share(msgspec.Struct):
    to: str


class Model(pydantic.BaseModel):
    at: datetime
    factor: float = 1.0


class Size(Enum):
    SMALL = "small"


class Point(NamedTuple):
    x: int
    y: int


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


class Real(float):
    pass


# payloads


@examples(100, 300)
@given(args=st.lists(json_values), kwargs=st.dictionaries(texts, json_values))
def test_json_arguments_come_back_as_they_were(args: list[Any], kwargs: dict[str, Any]) -> None:
    assert decode_payload(encode_payload(args, kwargs, task="send", max_bytes=MAX)) == (args, kwargs)


@examples(100, 300)
@given(value=json_values, where=st.sampled_from(["args", "kwargs"]))
def test_a_payload_is_an_array_of_positional_and_keyword_arguments(value: Any, where: str) -> None:
    encoded = encode(value) if where == "args" else encode(x=value)
    assert msgspec.json.decode(encoded) == ([[value], {}] if where == "args" else [[], {"x": value}])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05Z"),
        (Decimal("1.10"), "1.10"),
        (b"\x00\xff", "AP8="),
        (Photo(UUID(int=1), date(2026, 1, 2)), {"id": "00000000-0000-0000-0000-000000000001", "taken": "2026-01-02"}),
        (Share("ada@example.org"), {"to": "ada@example.org"}),
        (Model(at=datetime(2026, 1, 2, tzinfo=UTC)), {"at": "2026-01-02T00:00:00Z", "factor": 1.0}),
        (Size.SMALL, "small"),
        (Point(1, 2), [1, 2]),
        ((1, 2), [1, 2]),
        ({1}, [1]),
        (frozenset([1]), [1]),
        (deque([1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        (OrderedDict(a=1), {"a": 1}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        ({1: "a"}, {"1": "a"}),
        (Text("a"), "a"),
        (Whole(1), 1),
        (Real(1.5), 1.5),
        (2**70, 2**70),
        ("a\0b", "a\0b"),
        ("null", "null"),
    ],
)
def test_a_python_value_becomes_its_json(value: Any, expected: Any) -> None:
    assert decode_payload(encode(value, inside=[value])) == ([expected], {"inside": [expected]})


def nested(levels: int, texts: bool = False) -> Any:
    value: Any = 'quoted "[[" \\' if texts else 0
    for level in range(levels):
        value = [value, "]"] if level % 2 else {"[": value}
    return value


def from_deep_down(frames: int, call: Callable[[], Any]) -> Any:
    return call() if not frames else from_deep_down(frames - 1, call)


@pytest.mark.parametrize("texts", [False, True])
def test_what_is_accepted_can_be_read_from_deep_within_an_app(texts: bool) -> None:
    value = nested(98, texts)  # two more are the call's own
    payload, result = encode(value), encode_result(value, max_bytes=MAX)
    assert from_deep_down(600, lambda: decode_payload(payload)) == ([value], {})
    assert from_deep_down(600, lambda: decode_json(result)) == value


def test_what_is_nested_deeper_than_that_is_refused_by_the_name_of_the_argument() -> None:
    with pytest.raises(InvalidArgumentError, match=r"argument 'tree' of task 'send' .* nested more than 100 deep"):
        encode(1, nested(101, texts=True), names=("first", "tree"))
    with pytest.raises(InvalidArgumentError, match=r"the call .* nested more than 100 deep"):
        encode(nested(99))
    with pytest.raises(InvalidArgumentError, match=r"the result .* nested more than 100 deep"):
        encode_result(nested(101), max_bytes=MAX)


@examples(30, 200)
@given(value=st.lists(texts, max_size=12).map(lambda all_texts: [{text: [text]} for text in all_texts] * 10))
def test_no_text_makes_flat_data_look_deep_or_deep_data_flat(value: list[Any]) -> None:
    assert decode_payload(encode(value)) == ([value], {})
    with pytest.raises(InvalidArgumentError):
        encode([*value, nested(100), *value])


def test_arguments_may_come_in_any_sequence_and_mapping() -> None:
    assert encode_payload([1], MappingProxyType({"x": 2}), task="send", max_bytes=MAX) == b'[[1],{"x":2}]'
    assert encode_payload(deque([1]), {}, task="send", max_bytes=MAX) == b"[[1],{}]"


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (print, "objects of type builtin_function_or_method are not supported; pass plain data"),
        (object(), "objects of type object are not supported"),
        (Photo, "objects of type type are not supported"),
        ((item for item in "ab"), "objects of type generator are not supported"),
        (1 + 2j, "objects of type complex are not supported"),
        ({(1, 2): 3}, "keys of an object must be texts or numbers, not tuple"),
        ({None: 3}, "keys of an object must be texts or numbers, not NoneType"),
        ({True: 3}, "keys of an object must be texts or numbers, not bool"),
        ("\ud800", "half of a surrogate pair"),
        (LOOP, "contains itself, or is nested more than 100 deep"),
        (10**5000, "integer string conversion"),
        (math.nan, "JSON has neither NaN nor infinity"),
        (-math.inf, "JSON has neither NaN nor infinity"),
        (Real("nan"), "JSON has neither NaN nor infinity"),
        ({"a": [None, {"b": (1, math.nan)}]}, "JSON has neither NaN nor infinity"),
        (Model(at=datetime(2026, 1, 2, tzinfo=UTC), factor=math.inf), "JSON has neither NaN nor infinity"),
        ({math.inf, 1.0}, "JSON has neither NaN nor infinity"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_what_json_cannot_hold_is_refused_by_the_name_of_the_argument(value: Any, reason: str) -> None:
    calls: dict[str, Callable[[], bytes]] = {
        "argument 'callback'": lambda: encode(1, callback=value),
        "argument 'second'": lambda: encode(None, value, names=("first", "second")),
        "argument 3": lambda: encode(1, 2, value, names=("first", "second")),
    }
    for name, call in calls.items():
        with pytest.raises(InvalidArgumentError) as refused:
            call()
        assert str(refused.value).startswith(f"{name} of task 'send' cannot be stored as JSON: ")
        assert reason in str(refused.value)


def test_a_model_that_fails_to_dump_is_refused_by_the_name_of_the_argument() -> None:
    class Broken:
        def model_dump(self, mode: str) -> Any:
            raise RuntimeError("no such mood: " + mode)

    with pytest.raises(InvalidArgumentError, match=r"argument 'it' of task 'send' .* no such mood: json"):
        encode(it=Broken())


@examples(100, 300)
@given(value=json_values)
def test_null_is_no_reason_to_refuse(value: Any) -> None:
    assert decode_payload(encode(value, None, x=[None])) == ([value, None], {"x": [None]})


def test_a_payload_may_be_as_long_as_the_limit_and_no_longer() -> None:
    encoded = encode("x" * 100)
    assert encode_payload(["x" * 100], {}, task="send", max_bytes=len(encoded)) == encoded
    with pytest.raises(PayloadTooLargeError, match=r"arguments of task 'send': 109 bytes .* 108 .*max_payload_bytes"):
        encode_payload(["x" * 100], {}, task="send", max_bytes=len(encoded) - 1)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"[[],[]]", b"[1,{}]", b"[[],{}", b'["\xff",{}]', b"null"])
def test_stored_arguments_of_another_shape_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidArgumentError, match="stored arguments cannot be read"):
        decode_payload(data)


# results, objects, keys


@examples(100, 300)
@given(value=json_values)
def test_a_result_comes_back_as_it_was(value: Any) -> None:
    assert decode_json(encode_result(value, max_bytes=MAX)) == value


def test_no_result_takes_no_bytes() -> None:
    assert encode_result(None, max_bytes=0) is None
    assert decode_json(None) is None


@pytest.mark.parametrize("value", [print, math.nan, [math.inf, None]])
def test_a_result_that_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^the result cannot be stored as JSON: "):
        encode_result(value, max_bytes=MAX)


def test_a_result_above_the_limit_is_refused() -> None:
    with pytest.raises(PayloadTooLargeError, match=r"the result: 1,002 bytes"):
        encode_result("x" * 1000, max_bytes=1000)


def test_an_object_needs_text_keys() -> None:
    assert encode_object(MappingProxyType({"a": 1}), what="metadata", max_bytes=MAX) == b'{"a":1}'
    for wrong in ({1: 2}, [1], "text", None):
        with pytest.raises(InvalidArgumentError, match="metadata must be a mapping with text keys"):
            encode_object(wrong, what="metadata", max_bytes=MAX)  # type: ignore[arg-type]


def test_an_object_is_checked_like_an_argument() -> None:
    with pytest.raises(InvalidArgumentError, match="metadata cannot be stored as JSON: objects of type object"):
        encode_object({"a": object()}, what="metadata", max_bytes=MAX)
    with pytest.raises(InvalidArgumentError, match="metadata cannot be stored as JSON: JSON has neither NaN"):
        encode_object({"a": math.nan}, what="metadata", max_bytes=MAX)
    with pytest.raises(PayloadTooLargeError, match="progress: 7 bytes"):
        encode_object({"a": 1}, what="progress", max_bytes=6)


def test_equal_arguments_have_equal_canonical_bytes() -> None:
    one = {"b": {"y": 1, "x": 2}, "a": {"red", "green", "blue"}}
    other = {"a": {"blue", "red", "green"}, "b": {"x": 2, "y": 1}}
    assert encode_canonical(one, task="send") == encode_canonical(other, task="send")
    assert encode_canonical(one, task="send") == b'{"a":["blue","green","red"],"b":{"x":2,"y":1}}'


def test_a_set_without_an_order_has_no_canonical_bytes() -> None:
    with pytest.raises(InvalidArgumentError, match="task 'send' have no stable order, so unique_by='arguments'"):
        encode_canonical({"a": {1, "x"}}, task="send")
