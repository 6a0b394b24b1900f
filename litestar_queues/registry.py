"""In: functions decorated with ``@task``. Out: tasks by name, with checked options and schedules."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar, Unpack, overload

from litestar_queues.errors import InvalidArgumentError, QueueConfigurationError, UnknownTaskError
from litestar_queues.options import LONGEST_NAME, SCHEDULE_NAMES, TaskKeywords, TaskOptions, is_name, require_known
from litestar_queues.schedules import ScheduleConfig
from litestar_queues.tasks import Task

__all__ = ("TaskRegistry", "clear_task_registry", "get_scheduled_tasks", "get_task_registry", "task")

P = ParamSpec("P")
R = TypeVar("R")


class TaskRegistry:
    """Tasks by name."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task[..., Any]] = {}

    def register(self, task: Task[..., Any]) -> None:
        """Add a task; the same function again, as after a reload of its module, takes the place of the first.

        Raises:
            QueueConfigurationError: Another function has the name; the message names both places.
        """
        other = self._tasks.get(task.name)
        if other is not None and not _is_same(other, task):
            msg = f"two tasks have the name {task.name!r}, {other.place} and {task.place}: rename one by @task('name')"
            raise QueueConfigurationError(msg)
        self._tasks[task.name] = task

    def get(self, name: str) -> Task[..., Any] | None:
        """The task of that name."""
        return self._tasks.get(name)

    def require(self, name: str) -> Task[..., Any]:
        """The task of that name.

        Raises:
            UnknownTaskError: There is none; the message names those that are spelled alike.
        """
        found = self._tasks.get(name)
        if found is None:
            close = difflib.get_close_matches(name, self._tasks, n=3)
            meant = f"did you mean {' or '.join(map(repr, close))}? Else " if close else ""
            msg = f"no task {name!r} is registered: {meant}import its module, or name that in QueueConfig.task_modules"
            raise UnknownTaskError(msg)
        return found

    def names(self) -> tuple[str, ...]:
        """The names of all tasks, sorted."""
        return tuple(sorted(self._tasks))

    def scheduled(self) -> dict[str, ScheduleConfig]:
        """The schedules of the recurring tasks, by task name."""
        return {name: task.schedule for name, task in sorted(self._tasks.items()) if task.schedule is not None}

    def clear(self) -> None:
        """Forget every task."""
        self._tasks.clear()

    def __iter__(self) -> Iterator[Task[..., Any]]:
        return iter(tuple(self._tasks.values()))

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, name: object) -> bool:
        return name in self._tasks


_registry: Final = TaskRegistry()


def get_task_registry() -> TaskRegistry:
    """The registry that ``@task`` fills."""
    return _registry


def get_scheduled_tasks() -> dict[str, ScheduleConfig]:
    """The schedules of all registered recurring tasks, by task name."""
    return _registry.scheduled()


def clear_task_registry() -> None:
    """Forget every registered task; meant for tests."""
    _registry.clear()


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(name: str | None = None, /, **keywords: Unpack[TaskKeywords]) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(name: Callable[..., Any] | str | None = None, /, **keywords: Any) -> Any:
    """Register a function as a task: ``@task``, ``@task("name")`` or ``@task(queue="mail", retries=3)``.

    Args:
        name: The name by which records find the task; the function's own where left out. Records outlive releases, so
            keep it when you rename the function.
        keywords: Options, as the fields of :class:`~litestar_queues.options.TaskOptions`. With ``cron=`` or
            ``interval=`` the task runs by itself; ``timezone``, ``initial_delay``, ``jitter``, ``missed`` and
            ``overlap`` say how, as the fields of :class:`~litestar_queues.schedules.ScheduleConfig`.

    Raises:
        QueueConfigurationError: The name is taken by another function, or a keyword is wrong.
    """
    if name is None or isinstance(name, str):
        return partial(_define, name, keywords)
    return _define(None, keywords, name)


def _define(name: str | None, keywords: Mapping[str, Any], function: Callable[P, R]) -> Task[P, R]:
    name = getattr(function, "__name__", "") if name is None else name
    try:
        _check_function(function, name)
        made = Task(function, name=name, options=_options_of(keywords), schedule=_schedule_of(name, keywords))
    except InvalidArgumentError as error:
        msg = f"task {name!r}: {error}"
        raise QueueConfigurationError(msg) from error
    _registry.register(made)
    return made


def _check_function(function: Any, name: str) -> None:
    if not callable(function) or isinstance(function, (Task, type)):
        msg = f"{function!r} cannot be a task: decorate a function, plain or async, and each only once"
        raise InvalidArgumentError(msg)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidArgumentError("a function that yields cannot be a task: let it return its result")
    if not is_name(name):
        msg = f"a task needs a printable name of 1 to {LONGEST_NAME} characters: @task('name')"
        raise InvalidArgumentError(msg)


def _options_of(keywords: Mapping[str, Any]) -> TaskOptions:
    accepted = frozenset(TaskKeywords.__annotations__)
    for keyword in keywords:
        require_known(keyword, accepted)
    return TaskOptions().merge({key: value for key, value in keywords.items() if key not in SCHEDULE_NAMES})


def _schedule_of(name: str, keywords: Mapping[str, Any]) -> ScheduleConfig | None:
    given = {key: value for key, value in keywords.items() if key in SCHEDULE_NAMES}
    for key in ("cron", "interval"):
        if given.get(key) is None:
            given.pop(key, None)
    return ScheduleConfig(name, **given) if given else None


def _is_same(one: Task[..., Any], other: Task[..., Any]) -> bool:
    """Whether it is one function: loaded again, or its file imported under two names, such as ``__main__``."""
    return one.identity == other.identity or None is not one.source == other.source
