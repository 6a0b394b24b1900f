"""In: a function. Out: what it takes, so that calls are checked and JSON becomes the annotated types again."""

from __future__ import annotations

import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import cached_property, partial
from inspect import Parameter
from typing import Any, Final, Literal, Union

import msgspec

from litestar_queues.errors import InvalidArgumentError, QueueConfigurationError

__all__ = ("TaskSignature",)

_CONTEXT_CLASS: Final = "TaskExecutionContext"
_CONTEXT_NAME: Final = "_task_context"
_CONTEXT_TEXT: Final = re.compile(rf"((typing\.)?Optional\[)?(None *\| *)?([\w.]+\.)?{_CONTEXT_CLASS}( *\| *None)?\]?")
_BY_POSITION: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_NO_PLACE: Final = sys.maxsize
_UNIONS: Final = (Union, types.UnionType)
_PLAIN: Final = (Parameter.empty, Any, object, str, int, float, bool, types.NoneType, list, dict)

_Reader = Callable[[Any], Any]


class TaskSignature:
    """The parameters of a task's function, read once.

    The context parameter (annotated with ``TaskExecutionContext``, or named ``_task_context``) is filled by the worker
    and is no argument of a call: ``f(context, x)`` is called with ``x`` alone.

    Args:
        function: The function behind the task.
        task_name: The task's name in error messages; the function's own where left out.

    Raises:
        QueueConfigurationError: The context parameter cannot be filled by its name.
    """

    def __init__(self, function: Callable[..., Any], task_name: str | None = None) -> None:
        self.task_name = task_name or getattr(function, "__qualname__", repr(function))
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
        self._globals = getattr(inspect.unwrap(function), "__globals__", {})
        every = tuple(inspect.signature(function).parameters.values())
        self.context_parameter = self._find_context(every)
        """Name of the parameter that receives the context."""
        self._before_context = self._count_before_context(every)

        self._own = tuple(parameter for parameter in every if parameter.name != self.context_parameter)
        self.positional = tuple(item.name for item in self._own if item.kind in _BY_POSITION)
        """Names of the parameters that take positional arguments, in their order."""
        self.names = self.positional + self._of_kind(Parameter.KEYWORD_ONLY)
        """Names of all parameters but ``*args``, ``**kwargs`` and the context."""
        self.has_var_keyword = bool(self._of_kind(Parameter.VAR_KEYWORD))
        self._has_var_positional = bool(self._of_kind(Parameter.VAR_POSITIONAL))
        self._prepare_check()

    def _of_kind(self, kind: Any) -> tuple[str, ...]:
        return tuple(item.name for item in self._own if item.kind is kind)

    def _prepare_check(self) -> None:
        place = {name: at for at, name in enumerate(self.positional)}
        only_positional = self._of_kind(Parameter.POSITIONAL_ONLY)
        self._places = {name: place.get(name, _NO_PLACE) for name in self.names if name not in only_positional}
        """What may be given by name, and where it stands."""
        required = [item.name for item in self._own if item.name in self.names and item.default is Parameter.empty]
        self._required = tuple((name, place.get(name, _NO_PLACE)) for name in required)
        self._most = len(self.positional)
        # calls without keywords that give so many are fine without a closer look
        keyword_required = any(at == _NO_PLACE for _, at in self._required)
        self._enough = _NO_PLACE if keyword_required else len(required)

    def check(self, args: Sequence[Any], kwargs: Mapping[str, Any], *, injectable: Container[str] | None) -> None:
        """Refuse a call that the function would not take.

        Args:
            args: Positional arguments.
            kwargs: Keyword arguments.
            injectable: Names that a dependency provides where they are not given; ``None`` if it may be any.

        Raises:
            InvalidArgumentError: An argument is unknown, given twice, one too many, or missing.
        """
        count = len(args)
        if not kwargs and self._enough <= count <= self._most:
            return
        if count > self._most and not self._has_var_positional:
            raise InvalidArgumentError(self._too_many(count))
        places = self._places
        for name in kwargs:
            place = places.get(name)
            if place is None:
                self._check_unknown(name)
            elif place < count:
                msg = f"task {self.task_name!r}: argument {name!r} is given twice, by position and by name"
                raise InvalidArgumentError(msg)
        for name, place in self._required:
            if place >= count and (name not in kwargs or name not in places):
                self._check_missing(name, injectable)

    def missing(self, positional: int, kwargs: Mapping[str, Any]) -> tuple[str, ...]:
        """Names of the parameters, with or without default, that a call leaves open and a dependency may fill.

        Args:
            positional: How many positional arguments it gives.
            kwargs: Its keyword arguments.
        """
        return tuple(name for name, place in self._places.items() if place >= positional and name not in kwargs)

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name, however they were given; further ones behind ``*`` and ``**``."""
        bound = dict(zip(self.positional, args, strict=False))
        if len(args) > self._most:
            bound["*"] = args[self._most :]
        # **kwargs may hold the name of a positional-only parameter
        bound.update((name if name in self._places else f"**{name}", value) for name, value in kwargs.items())
        return bound

    def convert(self, args: list[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Turn JSON values into the types that the parameters are annotated with, ready for the call.

        Plain annotations (``str``, ``list[int]``, ``Any``, ...), and those that cannot be resolved or read from JSON,
        leave the value as it is. Positional arguments behind the context parameter become keyword arguments.

        Raises:
            InvalidArgumentError: A value does not fit; the message names the parameter.
        """
        if self._readers:
            args = [self._read(self._name_at(at), value) for at, value in enumerate(args)]
            kwargs = {name: self._read(name, value, "**") for name, value in kwargs.items()}
        if len(args) > self._before_context:
            if len(args) > self._most:
                raise InvalidArgumentError(self._too_many(len(args)))
            kwargs = (
                dict(zip(self.positional[self._before_context :], args[self._before_context :], strict=False)) | kwargs
            )
            args = args[: self._before_context]
        return args, kwargs

    def _name_at(self, at: int) -> str:
        return self.positional[at] if at < self._most else "*"

    def _read(self, name: str, value: Any, otherwise: str | None = None) -> Any:
        reader = self._readers.get(name if otherwise is None or name in self._places else otherwise)
        if reader is None:
            return value
        try:
            return reader(value)
        except _UnknownTypeError:
            return value
        except (msgspec.ValidationError, ValueError, TypeError) as error:
            msg = f"task {self.task_name!r}: argument {name!r} does not fit its annotation: {error}"
            raise InvalidArgumentError(msg) from error

    @cached_property
    def _readers(self) -> dict[str, _Reader]:
        """By parameter; made at the first run, when the names in annotations are all defined."""
        stars: dict[Any, str] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}
        readers = {stars.get(item.kind, item.name): _make_reader(self._resolve(item.annotation)) for item in self._own}
        return {name: reader for name, reader in readers.items() if reader is not None}

    def _resolve(self, annotation: Any) -> Any:
        """The type that an annotation means; ``Any`` where its names are not defined."""
        holder = types.SimpleNamespace(__annotations__={"it": annotation})
        try:
            return typing.get_type_hints(holder, globalns=self._globals)["it"]
        except Exception:  # names under TYPE_CHECKING, and whatever else evaluating may raise
            return Any

    def _find_context(self, every: Iterable[Parameter]) -> str | None:
        for item in every:
            as_text = isinstance(item.annotation, str) and _CONTEXT_TEXT.fullmatch(item.annotation.strip("'\""))
            if item.name == _CONTEXT_NAME or as_text or _is_context(self._resolve(item.annotation)):
                return item.name
        return None

    def _count_before_context(self, every: Sequence[Parameter]) -> int:
        """How many positional arguments stand before the context parameter; all of them where it stands last."""
        found = [at for at, item in enumerate(every) if item.name == self.context_parameter]
        if not found or every[found[0]].kind is Parameter.KEYWORD_ONLY:
            return _NO_PLACE
        at = found[0]
        if every[at].kind is not Parameter.POSITIONAL_OR_KEYWORD or any(
            item.kind is Parameter.VAR_POSITIONAL for item in every[at:]
        ):
            msg = (
                f"task {self.task_name!r}: its context parameter {self.context_parameter!r} is filled by name, so it "
                "can be neither positional-only nor variadic, nor stand before *args: make it keyword-only"
            )
            raise QueueConfigurationError(msg)
        return at

    def _check_unknown(self, name: str) -> None:
        if name == self.context_parameter:
            msg = f"task {self.task_name!r}: argument {name!r} is the context, which the worker gives: leave it out"
        elif self.has_var_keyword:
            return
        elif name in self.positional:
            msg = f"task {self.task_name!r}: argument {name!r} is positional-only: give it without its name"
        else:
            msg = f"task {self.task_name!r} takes no argument {name!r}; it takes {self._all_names()}"
        raise InvalidArgumentError(msg)

    def _check_missing(self, name: str, injectable: Container[str] | None) -> None:
        # a dependency is handed over by name
        if name in self._places and (injectable is None or name in injectable):
            return
        msg = f"task {self.task_name!r}: argument {name!r} is missing, and no dependency provides it"
        raise InvalidArgumentError(msg)

    def _too_many(self, count: int) -> str:
        return (
            f"task {self.task_name!r} takes at most {self._most} positional arguments, not {count}: {self._all_names()}"
        )

    def _all_names(self) -> str:
        return ", ".join(map(repr, self.names)) or "none"


class _UnknownTypeError(Exception):
    """Nobody knows how to read this type from JSON."""


def _without_none(annotation: Any) -> tuple[Any, ...]:
    """The members of a union but ``None``; the annotation itself where it is no union."""
    if typing.get_origin(annotation) not in _UNIONS:
        return (annotation,)
    return tuple(member for member in typing.get_args(annotation) if member is not types.NoneType)


def _is_context(annotation: Any) -> bool:
    members = _without_none(annotation)
    return len(members) == 1 and getattr(members[0], "__name__", None) == _CONTEXT_CLASS


def _is_plain(annotation: Any) -> bool:
    """Whether JSON gives values of this type as they are."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return True
    if origin is dict:
        return parts[0] in (str, Any) and _is_plain(parts[1])
    if origin is list or origin in _UNIONS:
        return all(map(_is_plain, parts))
    return annotation in _PLAIN


def _make_reader(annotation: Any) -> _Reader | None:
    if _is_plain(annotation):
        return None
    try:
        msgspec.json.Decoder(annotation, dec_hook=_read_custom)  # refuses types that it cannot tell apart
    except Exception as error:
        if isinstance(error, TypeError) and typing.get_origin(annotation) in _UNIONS:
            members = _without_none(annotation)
            return partial(_read_union, annotation, members, [_make_reader(member) for member in members])
        return None  # not known to msgspec, or a dataclass with a field of an undefined type
    return partial(msgspec.convert, type=annotation, dec_hook=_read_custom, str_keys=True)


def _read_custom(kind: type, value: Any) -> Any:
    """Read a pydantic model, known by its looks; leave other classes alone."""
    validate = getattr(kind, "model_validate_json", None)
    if not callable(validate):
        raise _UnknownTypeError
    return validate(msgspec.json.encode(value))  # as JSON, since a strict model takes a text for a date only there


def _read_union(annotation: Any, members: Sequence[Any], readers: Sequence[_Reader | None], value: Any) -> Any:
    """Try the members in their order; a value that is already of a plain member stays as it is."""
    if value is None:
        return None
    for member, reader in zip(members, readers, strict=True):
        kind = typing.get_origin(member) or member
        if reader is None and (not isinstance(kind, type) or isinstance(value, kind)):
            return value
    failure: Exception = ValueError(f"{value!r} is none of {annotation}")
    for reader in filter(None, readers):
        try:
            return reader(value)
        except _UnknownTypeError as error:
            failure = error
        except ValueError:
            continue
    raise failure
