"""In: functions decorated with ``@task``. Out: tasks by name, with checked options and schedules."""

from __future__ import annotations

import difflib
import hashlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, Protocol, TypeVar, Unpack, cast, overload

from litestar_queues.codec import encode_canonical
from litestar_queues.errors import InvalidArgumentError, QueueConfigurationError, QueueError, UnknownTaskError
from litestar_queues.options import (
    LONGEST_NAME,
    OPTION_NAMES,
    SCHEDULE_NAMES,
    TaskKeywords,
    TaskOptions,
    TaskOverrides,
    is_name,
    require_known,
)
from litestar_queues.schedules import ScheduleConfig
from litestar_queues.signature import TaskSignature

if TYPE_CHECKING:
    from litestar_queues.results import TaskResult

__all__ = (
    "OPTION_NAMES",
    "EnqueueTarget",
    "Task",
    "TaskKeywords",
    "TaskOptions",
    "TaskOverrides",
    "TaskRegistry",
    "bind_service",
    "bound_service",
    "clear_task_registry",
    "get_scheduled_tasks",
    "get_task_registry",
    "task",
    "unbind_service",
)

P = ParamSpec("P")
R = TypeVar("R")


class Task(Generic[P, R]):
    """A registered function; calling it calls the function.

    Args:
        function: What runs; plain or async.
        name: The name by which records find it.
        options: How its records are made and run.
        schedule: When it runs by itself.
    """

    __name__: str

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str,
        options: TaskOptions | None = None,
        schedule: ScheduleConfig | None = None,
        signature: TaskSignature | None = None,
    ) -> None:
        update_wrapper(self, function, updated=())
        self.function = function
        self.name = name
        self.options = options or TaskOptions()
        self.schedule = schedule
        self.signature = signature or TaskSignature(function, name)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, here and now."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Task {self.name!r} {self.place}>"

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult:
        """Store a record of the task in the queue of the service that is open; see ``QueueService.enqueue``.

        Type checkers hold the call to the function's own parameters. For a task with injected parameters, or with
        options among the keywords, use ``queue_service.enqueue(task, ...)``.

        Raises:
            InvalidArgumentError: The arguments are wrong or cannot be stored as JSON.
            QueueError: No service is open.
        """
        return await bound_service().enqueue(self, *args, **kwargs)

    def using(self, **overrides: Unpack[TaskOverrides]) -> Task[P, R]:
        """The same task with other options; the registered one stays as it is.

        Raises:
            InvalidArgumentError: A name is no option, or a value is wrong.
        """
        options = self.options.merge(cast("dict[str, Any]", overrides))
        return Task(self.function, name=self.name, options=options, schedule=self.schedule, signature=self.signature)

    def identity_key(
        self,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        payload: bytes = b"",  # noqa: ARG002 - its sets have no stable order and its arguments no names
        options: TaskOptions | None = None,
    ) -> str | None:
        """The key that a call's record gets.

        It is the option ``key``, or made as ``unique_by`` says. Arguments are compared by name, so ``f(1)`` and
        ``f(x=1)`` are the same; a default that is not given and one that is given are not.
        """
        options = options or self.options
        if options.key is not None:
            return options.key
        match options.unique_by:
            case None:
                return None
            case "task":
                return f"task:{self.name}"
            case "arguments":
                canonical = encode_canonical(self.signature.bind(args, kwargs), task=self.name)
                return f"args:{self.name}:{hashlib.sha256(canonical).hexdigest()}"

    @property
    def queue(self) -> str:
        """The queue of its records."""
        return self.options.queue

    @property
    def priority(self) -> int:
        """Bigger runs first."""
        return self.options.priority

    @property
    def retries(self) -> int:
        """Attempts after the first."""
        return self.options.retries

    @property
    def timeout(self) -> float | None:
        """Seconds that one attempt may run."""
        return self.options.timeout

    @property
    def description(self) -> str | None:
        """The option, or the first line of the function's docstring."""
        return self.options.description or (inspect.getdoc(self.function) or "").partition("\n")[0] or None

    @property
    def place(self) -> str:
        """Where the function is defined: file, line and dotted name."""
        source, dotted = _source(self.function), ".".join(_identity(self.function))
        return f"{source} ({dotted})" if source else dotted


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
        if other is not None and not _is_same(other.function, task.function):
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


def _is_same(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    """Whether it is one function: loaded again, or its file imported under two names, such as ``__main__``."""
    return _identity(one) == _identity(other) or None is not _source(one) == _source(other)


def _identity(function: Callable[..., Any]) -> tuple[str, str]:
    inner = inspect.unwrap(function)
    return getattr(inner, "__module__", ""), getattr(inner, "__qualname__", repr(inner))


def _source(function: Callable[..., Any]) -> str | None:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else None


class EnqueueTarget(Protocol):
    """What ``Task.enqueue`` hands its call to: an open service."""

    async def enqueue(self, task: Task[..., Any], /, *args: Any, **kwargs: Any) -> TaskResult:
        """Store a record of the task."""


_bound: Final[list[EnqueueTarget]] = []


def bind_service(service: EnqueueTarget) -> None:
    """Let ``Task.enqueue`` use this service from now on."""
    unbind_service(service)
    _bound.append(service)


def unbind_service(service: EnqueueTarget) -> None:
    """Let ``Task.enqueue`` use the service that was bound before this one."""
    if service in _bound:
        _bound.remove(service)


def bound_service() -> EnqueueTarget:
    """The service that was bound last.

    Raises:
        QueueError: No service is open.
    """
    if not _bound:
        msg = (
            "no queue service is open: start the app with QueuePlugin, or enqueue inside `async with QueueService(...)`"
        )
        raise QueueError(msg)
    return _bound[-1]
