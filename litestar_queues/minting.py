"""In: a call, as the user wrote it. Out: a :class:`NewRecord`, checked and encoded; no I/O."""

from __future__ import annotations

import gc
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from litestar_queues.codec import decode_json, encode_object, encode_payload, extend_object
from litestar_queues.correlation import CORRELATION_KEY, current_correlation_id
from litestar_queues.errors import InvalidArgumentError
from litestar_queues.ids import new_id
from litestar_queues.options import OPTION_NAMES
from litestar_queues.records import CANARY_QUEUE, NewRecord
from litestar_queues.registry import TaskRegistry
from litestar_queues.tasks import Task

if TYPE_CHECKING:
    from litestar_queues.config import QueueConfig
    from litestar_queues.options import TaskOptions

__all__ = ("Bulk", "EnqueueSpec", "Minter", "without_collections")

_CALL_OPTIONS = OPTION_NAMES | {"connection"}
_new_record: Callable[[tuple[Any, ...]], NewRecord] = partial(tuple.__new__, NewRecord)  # without a look at its length
_NOTHING: Mapping[str, Any] = {}


class EnqueueSpec(NamedTuple):
    """One entry of :meth:`QueueService.enqueue_many`; an option left at ``None`` is the task's own."""

    task: Task[..., Any] | str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = _NOTHING
    queue: str | None = None
    priority: int | None = None
    retries: int | None = None
    timeout: float | None = None
    key: str | None = None
    run_after: float | None = None
    scheduled_at: datetime | None = None
    expires_in: float | None = None
    metadata: Mapping[str, Any] | None = None

    def overrides(self) -> Mapping[str, Any]:
        """The options that were given."""
        values = self[3:]
        if values == _NONE_GIVEN:  # as a rule, and of many at once
            return _NOTHING
        return {name: value for name, value in zip(self._fields[3:], values, strict=True) if value is not None}


_NONE_GIVEN = (None,) * len(EnqueueSpec._fields[3:])


@contextmanager
def without_collections() -> Iterator[None]:
    """Let the garbage collector rest while many values are made in one go, none of which is garbage.

    It would go through them again and again, and through all that was imported: a third of the time of a bulk.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Bulk(Sequence[NewRecord]):
    """The records of many specs, each minted when somebody looks at it or at one behind it.

    So a store can take the first ones while the next ones are made, and the event loop is not held for all of them.

    Args:
        specs: What the records are made from.
        mint: Makes one.
    """

    def __init__(self, specs: Iterable[EnqueueSpec], mint: Callable[[EnqueueSpec], NewRecord]) -> None:
        self._specs = tuple(specs)
        self._mint = mint
        self._minted: list[NewRecord] = []

    def __len__(self) -> int:
        return len(self._specs)

    @overload
    def __getitem__(self, at: int) -> NewRecord: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[NewRecord]: ...

    def __getitem__(self, at: int | slice) -> NewRecord | Sequence[NewRecord]:
        end = at.indices(len(self))[1] if isinstance(at, slice) else range(len(self))[at] + 1
        with without_collections():
            self._minted += map(self._mint, self._specs[len(self._minted) : end])
        return self._minted[at]

    def __iter__(self) -> Iterator[NewRecord]:
        return iter(self[:])


class Minter:
    """Turns calls into records.

    Args:
        config: For the size limit and the name of the canary.
        registry: Where names are looked up.
        injectable: Gives the names of parameters that dependencies may fill; ``None`` for any.
    """

    def __init__(
        self, config: QueueConfig, registry: TaskRegistry, injectable: Callable[[], Container[str] | None]
    ) -> None:
        self._registry = registry
        self._injectable = injectable
        self._max_bytes = config.max_payload_bytes
        self._canary = config.scheduler_canary_task
        self._shared: dict[Task[..., Any], tuple[Any, ...]] = {}
        """What the records of a registered task have in common where no call changes an option and there is no key."""

    def from_call(
        self, task: Task[..., Any] | str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[NewRecord, Any]:
        """Mint the record of ``enqueue(task, *args, **kwargs)``; also give the ``connection`` among the keywords."""
        found = self._find(task)
        if not kwargs or _CALL_OPTIONS.isdisjoint(kwargs):
            return self._mint(found, args, kwargs, found.options), None
        arguments, options = _split(found, kwargs)
        connection = options.pop("connection", None)
        return self._mint(found, args, arguments, found.options.merge(options)), connection

    def from_spec(self, spec: EnqueueSpec) -> NewRecord:
        """Mint the record of an :class:`EnqueueSpec`."""
        found = self._find(spec.task)
        options = spec.overrides()
        return self._mint(found, spec.args, spec.kwargs, found.options.merge(options) if options else found.options)

    def tick(self, task: Task[..., Any], *, schedule: str, delay: float) -> NewRecord:
        """Mint the record of one tick of a recurring task."""
        return self._mint(task, (), _NOTHING, task.options)._replace(
            schedule=schedule, delay=delay, scheduled_at=None, key=None, unique_for=None
        )

    def _find(self, task: Any) -> Task[..., Any]:
        if isinstance(task, str):
            return self._registry.require(task)
        if isinstance(task, Task):
            return task
        msg = f"{task!r} is not a task: decorate the function with @task, or give the name of a registered task"
        raise InvalidArgumentError(msg)

    def _mint(
        self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], options: TaskOptions
    ) -> NewRecord:
        task.signature.check(args, kwargs, injectable=self._injectable())
        name = task.name
        payload = encode_payload(args, kwargs, task=name, max_bytes=self._max_bytes, names=task.signature.names)
        shared = self._shared.get(task) if options is task.options else None
        if shared is not None:
            record = _new_record((new_id(), name, payload) + shared)  # noqa: RUF005 - a third faster than unpacking
            correlation_id = current_correlation_id()
            return record if correlation_id is None else _correlate(record, correlation_id)
        key = options.key
        if key is None and options.unique_by is not None:
            key = task.identity_key(args, kwargs, payload, options)
        metadata = options.metadata
        record = NewRecord(
            id=new_id(),
            task=name,
            payload=payload,
            queue=CANARY_QUEUE if name == self._canary else options.queue,
            priority=options.priority,
            max_attempts=options.retries + 1,
            timeout=options.timeout,
            key=key,
            unique_for=options.unique_for if key is not None else None,
            delay=options.run_after or 0.0,
            scheduled_at=options.scheduled_at,
            expires_in=options.expires_in,
            metadata=encode_object(metadata, what="metadata", max_bytes=self._max_bytes) if metadata else None,
            backoff=self._own_backoff(name, options),
            execution_backend=options.execution_backend,
            execution_profile=options.execution_profile,
            at_most_once=options.at_most_once,
        )
        if options is task.options and key is None and self._registry.get(name) is task:
            self._shared[task] = record[3:]
        correlation_id = current_correlation_id()
        return record if correlation_id is None else _correlate(record, correlation_id)

    def _own_backoff(self, name: str, options: TaskOptions) -> bytes | None:
        """The policy as JSON where this call changed it; workers know the task's own."""
        if options.retry_backoff is None:
            return None
        registered = self._registry.get(name)
        if registered is not None and registered.options.retry_backoff == options.retry_backoff:
            return None
        return options.retry_backoff.to_json()


def _correlate(record: NewRecord, correlation_id: str) -> NewRecord:
    """Let the record carry the id, unless its caller gave it another."""
    if CORRELATION_KEY in (decode_json(record.metadata) or {}):
        return record
    return record._replace(metadata=extend_object(record.metadata, {CORRELATION_KEY: correlation_id}))


def _split(task: Task[..., Any], kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part the keywords into the task's arguments and options; a task's own parameter is never shadowed."""
    signature = task.signature
    arguments, options = {}, {}
    for name, value in kwargs.items():
        if name in _CALL_OPTIONS and name not in signature.names:
            if signature.has_var_keyword:
                msg = (
                    f"task {task.name!r} takes any keyword, so {name}= could be its argument or an option: "
                    f"write task.using({name}=...).enqueue(...) for the option"
                )
                raise InvalidArgumentError(msg)
            options[name] = value
        else:
            arguments[name] = value
    return arguments, options
