"""In: names of parameters that a call left open. Out: their values for one attempt, closed again when it ends."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from litestar_queues.errors import DependencyError

if TYPE_CHECKING:
    from litestar_queues.execution.context import TaskExecutionContext
    from litestar_queues.tasks import Task

__all__ = ("DependencyProvider",)

_NOTHING: Mapping[str, Any] = {}


class DependencyProvider:
    """Fills parameters by name: from a resolver of the app's own, then from its Litestar dependencies.

    Args:
        resolver: ``resolver(task, context)``: a mapping of names to values, an awaitable of one, or an async context
            manager that yields one and is left when the attempt has ended.
    """

    def __init__(self, resolver: Callable[..., Any] | None = None) -> None:
        self._resolver = resolver
        self._providers: Mapping[str, Any] = _NOTHING
        self._values: Mapping[str, Any] = _NOTHING

    def bind(self, providers: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """Use the app's dependencies from now on.

        Args:
            providers: Litestar ``Provide`` objects, or plain callables, by name.
            values: What providers may ask for beside each other, such as ``state``.
        """
        self._providers = providers
        self._values = values

    @property
    def names(self) -> Container[str] | None:
        """The names that can be filled; ``None``: any, since only the resolver knows."""
        return None if self._resolver is not None else self._providers.keys()

    async def enter(
        self, stack: AsyncExitStack, task: Task[..., Any], context: TaskExecutionContext, missing: Iterable[str]
    ) -> dict[str, Any]:
        """Give the values of those of the missing parameters that can be filled.

        Args:
            stack: Closes what has to be closed.
            task: Whose parameters they are.
            context: The attempt.
            missing: Names of the parameters that the call left open.

        Raises:
            DependencyError: A provider needs what only a request has, or the resolver gave no mapping.
        """
        found = {} if self._resolver is None else await self._ask_resolver(stack, task, context)
        made: dict[str, Any] = {}  # of providers that several others ask for there is one value an attempt
        for name in missing:
            if name in found:
                made[name] = found[name]
            elif name in self._providers:
                await self._provide(name, stack, made, asked_by=f"task {task.name!r}")
        return {name: made[name] for name in missing if name in made}

    async def _ask_resolver(
        self, stack: AsyncExitStack, task: Task[..., Any], context: TaskExecutionContext
    ) -> Mapping[str, Any]:
        assert self._resolver is not None
        answer = self._resolver(task, context)
        if inspect.isawaitable(answer):
            answer = await answer
        elif hasattr(answer, "__aenter__"):
            answer = await stack.enter_async_context(answer)
        if answer is None:
            return _NOTHING
        if not isinstance(answer, Mapping):
            msg = f"task_dependency_resolver gave {type(answer).__name__} for task {task.name!r}: let it give a mapping"
            raise DependencyError(msg)
        return answer

    async def _provide(self, name: str, stack: AsyncExitStack, made: dict[str, Any], *, asked_by: str) -> Any:
        if name in made:
            return made[name]
        provider = self._providers[name]
        function = getattr(provider, "dependency", provider)
        arguments = {}
        for parameter in _parameters(function):
            if parameter.name in self._values:
                arguments[parameter.name] = self._values[parameter.name]
            elif parameter.name in self._providers:
                asked = f"dependency {name!r}"
                arguments[parameter.name] = await self._provide(parameter.name, stack, made, asked_by=asked)
            elif parameter.default is parameter.empty:
                msg = (
                    f"dependency {name!r}, asked for by {asked_by}, needs {parameter.name!r}, which only "
                    "a request has: give the task its own by task_dependency_resolver"
                )
                raise DependencyError(msg)
        made[name] = await _call(provider, function, arguments, stack)
        return made[name]


async def _call(
    provider: Any, function: Callable[..., Any], arguments: Mapping[str, Any], stack: AsyncExitStack
) -> Any:
    if inspect.isasyncgenfunction(function):
        return await stack.enter_async_context(asynccontextmanager(function)(**arguments))
    if inspect.isgeneratorfunction(function):
        return stack.enter_context(contextmanager(function)(**arguments))
    value = provider(**arguments)  # a Provide caches, and goes to a thread, as it was told
    return await value if inspect.isawaitable(value) else value


def _parameters(function: Callable[..., Any]) -> Iterable[inspect.Parameter]:
    # behind Litestar's wrapper for threads; a partial has a func, too, and knows better what is left to give
    inner = function if isinstance(function, partial) else getattr(function, "func", function)
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [item for item in inspect.signature(inner).parameters.values() if item.kind in named]
