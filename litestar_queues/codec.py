"""In: arguments, results, metadata. Out: JSON bytes and back; what JSON cannot hold is refused by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from math import isfinite
from typing import Any

import msgspec

from litestar_queues.errors import InvalidArgumentError, PayloadTooLargeError

__all__ = (
    "decode_json",
    "decode_object",
    "decode_payload",
    "encode_canonical",
    "encode_object",
    "encode_payload",
    "encode_result",
    "extend_object",
)

_MOST_NESTED = 100
"""Lists and objects in each other. Reading takes as much of the interpreter's stack as writing, and who reads may have
been called from deeper down; one record that cannot be read would hide every list that it is in."""
_ALIKE = bytes.maketrans(b"{}", b"[]")
_NO_MARKS = bytes(set(range(256)) - set(b'[]{}"'))


def encode_payload(
    args: Sequence[Any], kwargs: Mapping[str, Any], *, task: str, max_bytes: int, names: Sequence[str] = ()
) -> bytes:
    """Encode the arguments of a call as ``[[positional], {keyword}]``.

    Args:
        args: Positional arguments.
        kwargs: Keyword arguments.
        task: Name of the task, for the error message.
        max_bytes: Longest accepted answer.
        names: Names of the positional parameters, for the error message.

    Raises:
        InvalidArgumentError: An argument cannot be stored as JSON; the message names it.
        PayloadTooLargeError: The answer would be longer than ``max_bytes``.
    """
    arguments = (tuple(args), kwargs)
    try:
        encoded = _encode(arguments)
    except Exception as error:
        raise InvalidArgumentError(_name_culprit(arguments, task, names) or _refusal("the call", error)) from error
    # JSON has neither NaN nor infinity: msgspec writes them as null, so only then is a closer look needed
    if b"null" in encoded and _has_nonfinite(arguments):
        raise InvalidArgumentError(_name_culprit(arguments, task, names))
    if len(encoded) > _MOST_NESTED and _is_too_deep(encoded):
        raise InvalidArgumentError(_name_culprit(arguments, task, names) or _refusal("the call", RecursionError()))
    if len(encoded) > max_bytes:
        raise PayloadTooLargeError(_too_large(f"the arguments of task {task!r}", encoded, max_bytes))
    return encoded


def encode_result(value: Any, *, max_bytes: int) -> bytes | None:
    """Encode what a task returned; ``None`` for ``None``.

    Raises:
        InvalidArgumentError: It cannot be stored as JSON.
        PayloadTooLargeError: It would be longer than ``max_bytes``.
    """
    return None if value is None else _encode_checked(value, "the result", max_bytes)


def encode_object(value: Mapping[str, Any], *, what: str, max_bytes: int) -> bytes:
    """Encode a mapping as a JSON object.

    Args:
        value: A mapping with text keys.
        what: Its name in error messages, such as ``metadata``.
        max_bytes: Longest accepted answer.

    Raises:
        InvalidArgumentError: It is no such mapping, or it cannot be stored as JSON.
        PayloadTooLargeError: It would be longer than ``max_bytes``.
    """
    if not _has_text_keys(value):
        msg = f"{what} must be a mapping with text keys, such as {{'origin': 'web'}}, not {type(value).__name__}"
        raise InvalidArgumentError(msg)
    return _encode_checked(value, what, max_bytes)


def extend_object(encoded: bytes | None, values: Mapping[str, Any]) -> bytes:
    """Set values in an encoded JSON object; ``None`` is an empty one."""
    return _encode({**(decode_json(encoded) or {}), **values})


def encode_canonical(arguments: Mapping[str, Any], *, task: str) -> bytes:
    """Encode arguments such that equal ones give equal bytes: keys and sets are sorted.

    Raises:
        InvalidArgumentError: A set holds values that have no order.
    """
    try:
        return _encode_sorted(arguments)
    except Exception as error:
        msg = f"the arguments of task {task!r} have no stable order, so unique_by='arguments' cannot be used: {error}"
        raise InvalidArgumentError(msg) from error


def decode_payload(data: bytes) -> tuple[list[Any], dict[str, Any]]:
    """Decode what :func:`encode_payload` made.

    Raises:
        InvalidArgumentError: The bytes are something else.
    """
    try:
        return _decode_payload(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = f"the stored arguments cannot be read, [[positional], {{keyword}}] was expected: {error}"
        raise InvalidArgumentError(msg) from error


def decode_json(data: bytes | None) -> Any:
    """Decode any JSON; ``None`` for ``None``."""
    return None if data is None else _decode(data)


def decode_object(data: bytes | None) -> Mapping[str, Any]:
    """Decode a JSON object; where there is none, or something else that was not written by us, an empty one."""
    try:
        found = decode_json(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _plain(value: Any) -> Any:
    """Turn what msgspec does not know into what it knows."""
    dump = getattr(type(value), "model_dump", None)
    if callable(dump):  # a pydantic model, by its looks: pydantic need not be installed
        return dump(value, mode="json")
    match value:
        case None | bool() | list() | tuple() | dict() | set() | frozenset():
            msg = f"keys of an object must be texts or numbers, not {type(value).__name__}"
            raise TypeError(msg)  # as values msgspec knows these, so this one was a key
        case str():  # subclasses of the plain types; msgspec takes only the types themselves
            return str.__str__(value)
        case int():
            return int(value)
        case float():
            return float(value)
        case Mapping():
            return dict(value)
        case Sequence() | AbstractSet():
            return list(value)
    msg = f"objects of type {type(value).__name__} are not supported; pass plain data, or the id under which to find it"
    raise TypeError(msg)


_encode: Callable[[Any], bytes] = msgspec.json.Encoder(enc_hook=_plain).encode
_encode_sorted: Callable[[Any], bytes] = msgspec.json.Encoder(enc_hook=_plain, order="deterministic").encode
_decode: Callable[[bytes], Any] = msgspec.json.Decoder().decode
_decode_payload = msgspec.json.Decoder(tuple[list[Any], dict[str, Any]]).decode


def _encode_checked(value: Any, what: str, max_bytes: int) -> bytes:
    try:
        encoded = _encode(value)
    except Exception as error:
        raise InvalidArgumentError(_refusal(what, error)) from error
    if b"null" in encoded and _has_nonfinite(value):
        raise InvalidArgumentError(_refusal(what, None))
    if len(encoded) > _MOST_NESTED and _is_too_deep(encoded):
        raise InvalidArgumentError(_refusal(what, RecursionError()))
    if len(encoded) > max_bytes:
        raise PayloadTooLargeError(_too_large(what, encoded, max_bytes))
    return encoded


def _is_too_deep(encoded: bytes) -> bool:
    """Whether lists and objects lie deeper in each other than a reader that is itself called from deep can follow."""
    if encoded.count(b"[") + encoded.count(b"{") <= _MOST_NESTED:
        return False
    marks = encoded.replace(b"\\\\", b"").replace(b'\\"', b"").translate(_ALIKE, _NO_MARKS)
    brackets = b"".join(marks.replace(b'""', b"").split(b'"')[::2])  # what lies within texts is left out
    for _ in range(_MOST_NESTED):  # each round takes the innermost away; flat data is gone after a few
        if not brackets:
            break
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def _has_text_keys(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def _has_nonfinite(value: Any) -> bool:
    waiting = [msgspec.to_builtins(value, enc_hook=_plain)]
    for item in waiting:  # it grows on the way
        kind = type(item)
        if kind is float:
            if not isfinite(item):
                return True
        elif kind is dict:
            waiting.extend(item.values())
        elif kind is list or kind is tuple:
            waiting.extend(item)
    return False


def _name_culprit(arguments: tuple[Sequence[Any], Mapping[str, Any]], task: str, names: Sequence[str]) -> str | None:
    """Say which argument cannot be encoded, and why."""
    args, kwargs = arguments
    named = [(repr(names[at]) if at < len(names) else f"{at + 1}", value) for at, value in enumerate(args)]
    named += [(repr(name), value) for name, value in kwargs.items()]
    for name, value in named:
        what = f"argument {name} of task {task!r}"
        try:
            encoded = _encode(value)
        except Exception as error:
            return _refusal(what, error)
        if _has_nonfinite(value):
            return _refusal(what, None)
        if _is_too_deep(encoded):
            return _refusal(what, RecursionError())
    return None


def _refusal(what: str, error: Exception | None) -> str:
    match error:
        case None:
            reason = "JSON has neither NaN nor infinity; pass None or a text instead"
        case UnicodeEncodeError():
            reason = "the text holds half of a surrogate pair, which UTF-8 does not have"
        case RecursionError():
            reason = f"it contains itself, or is nested more than {_MOST_NESTED} deep"
        case _:
            reason = str(error) or type(error).__name__
    return f"{what} cannot be stored as JSON: {reason}"


def _too_large(what: str, encoded: bytes, max_bytes: int) -> str:
    return (
        f"{what}: {len(encoded):,} bytes of JSON, more than the {max_bytes:,} that are accepted (max_payload_bytes); "
        "keep large data elsewhere and pass its id"
    )
