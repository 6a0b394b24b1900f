"""In: chance. Out: any signature that a function can have, and calls that fit it or do not."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st

from litestar_queues.execution.context import TaskExecutionContext

__all__ = ("Call", "Shape", "calls", "shapes", "uses")


class Shape(NamedTuple):
    """The parameters of a function, as text, without and with a context parameter."""

    plain: str
    with_context: str

    def make(self, *, context: bool = False) -> Callable[..., Any]:
        source = f"def f({self.with_context if context else self.plain}): return locals()"
        namespace: dict[str, Any] = {"TaskExecutionContext": TaskExecutionContext}
        exec(source, namespace)
        function: Callable[..., Any] = namespace["f"]
        return function


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """Any signature: positional-only, by name, ``*args``, keyword-only, ``**kwargs``, with and without defaults."""
    only_positional, either, only_keyword = (draw(st.integers(0, 2)) for _ in range(3))
    first_default = draw(st.integers(0, only_positional + either))
    positional = [f"{name}=None" if at >= first_default else name for at, name in enumerate("abcd")]
    positional = positional[: only_positional + either]
    stars = draw(st.booleans())
    keywords = [f"{name}=None" if draw(st.booleans()) else name for name in "xy"[:only_keyword]]
    keywords = (["*args"] if stars else ["*"] if keywords else []) + keywords
    rest = ["**kwargs"] if draw(st.booleans()) else []
    slash = ["/"] if only_positional else []

    head, tail = positional[:only_positional] + slash, positional[only_positional:]
    if stars or draw(st.booleans()):
        keywords_too = [*(keywords or ["*"]), "context: TaskExecutionContext"]
        return Shape(", ".join(head + tail + keywords + rest), ", ".join(head + tail + keywords_too + rest))
    at = draw(st.integers(0, len(tail)))
    has_default = any("=" in item for item in positional[: only_positional + at])
    between = [*tail[:at], "context: TaskExecutionContext" + " = None" * has_default, *tail[at:]]
    return Shape(", ".join(head + tail + keywords + rest), ", ".join(head + between + keywords + rest))


Call = tuple[tuple[Any, ...], dict[str, Any]]
values = st.integers(0, 1)
calls = st.tuples(
    st.lists(values, max_size=5).map(tuple), st.dictionaries(st.sampled_from("abcdxyz"), values, max_size=4)
)


@st.composite
def uses(draw: st.DrawFn, calls: int = 1) -> tuple[Shape, list[Call]]:
    """A signature, and calls that Python accepts."""
    shape = draw(shapes())
    parameters = list(inspect.signature(shape.make()).parameters.values())
    return shape, [draw(fitting_calls(parameters)) for _ in range(calls)]


@st.composite
def fitting_calls(draw: st.DrawFn, parameters: list[inspect.Parameter]) -> Call:
    args: list[int] = []
    kwargs: dict[str, int] = {}
    is_in_row = True
    for item in parameters:
        is_given = item.default is item.empty or draw(st.booleans())
        match item.kind:
            case item.VAR_POSITIONAL:
                args += draw(st.lists(values, max_size=2)) if is_in_row else []
            case item.VAR_KEYWORD:
                taken = {other.name for other in parameters if other.kind is not item.POSITIONAL_ONLY}
                kwargs |= draw(st.dictionaries(st.sampled_from([name for name in "abz" if name not in taken]), values))
            case item.POSITIONAL_ONLY | item.POSITIONAL_OR_KEYWORD if is_in_row and is_given and draw(st.booleans()):
                args.append(draw(values))
            case item.POSITIONAL_ONLY if item.default is item.empty:
                args.append(draw(values))
            case item.POSITIONAL_ONLY:
                is_in_row = False
            case _:
                is_in_row = False
                kwargs |= {item.name: draw(values)} if is_given else {}
    return tuple(args), kwargs
