"""In: a function and its options. Out: a task, which is called as the function and enqueued by the open service."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, Protocol, TypeVar, Unpack, cast

from litestar_queues.codec import encode_canonical
from litestar_queues.errors import QueueError
from litestar_queues.options import TaskOptions, TaskOverrides
from litestar_queues.signature import TaskSignature

if TYPE_CHECKING:
    from litestar_queues.results import TaskResult
    from litestar_queues.schedules import ScheduleConfig

__all__ = ("EnqueueTarget", "Task", "bind_service", "bound_service", "unbind_service")

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
    def identity(self) -> tuple[str, str]:
        """Module and dotted name of the function."""
        inner = inspect.unwrap(self.function)
        return getattr(inner, "__module__", ""), getattr(inner, "__qualname__", repr(inner))

    @property
    def source(self) -> str | None:
        """File and line of the function, where it is written in Python."""
        code = getattr(inspect.unwrap(self.function), "__code__", None)
        return f"{code.co_filename}:{code.co_firstlineno}" if code else None

    @property
    def place(self) -> str:
        """Where the function is defined: file, line and dotted name."""
        dotted = ".".join(self.identity)
        return f"{self.source} ({dotted})" if self.source else dotted


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
