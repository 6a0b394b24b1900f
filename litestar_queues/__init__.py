"""A background task queue for Litestar, made to be operated on Kubernetes.

Names are resolved on first use, so that importing the package costs next to nothing.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from litestar_queues.background import QueuedBackgroundTask as QueuedBackgroundTask
    from litestar_queues.channels import ChannelsQueueEventSink as ChannelsQueueEventSink
    from litestar_queues.config import QueueConfig as QueueConfig
    from litestar_queues.correlation import bind_correlation_id as bind_correlation_id
    from litestar_queues.correlation import get_correlation_id as get_correlation_id
    from litestar_queues.discovery import discover_tasks as discover_tasks
    from litestar_queues.discovery import load_task_modules as load_task_modules
    from litestar_queues.errors import BackendError as BackendError
    from litestar_queues.errors import BackendUnavailableError as BackendUnavailableError
    from litestar_queues.errors import InvalidArgumentError as InvalidArgumentError
    from litestar_queues.errors import MissingDependencyError as MissingDependencyError
    from litestar_queues.errors import NonRetryableError as NonRetryableError
    from litestar_queues.errors import PayloadTooLargeError as PayloadTooLargeError
    from litestar_queues.errors import QueueConfigurationError as QueueConfigurationError
    from litestar_queues.errors import QueueError as QueueError
    from litestar_queues.errors import TaskCancelledError as TaskCancelledError
    from litestar_queues.errors import TaskSnoozedError as TaskSnoozedError
    from litestar_queues.errors import UnknownTaskError as UnknownTaskError
    from litestar_queues.errors import non_retryable as non_retryable
    from litestar_queues.event_config import QueueEventConfig as QueueEventConfig
    from litestar_queues.events import InMemoryQueueEventSink as InMemoryQueueEventSink
    from litestar_queues.events import QueueEvent as QueueEvent
    from litestar_queues.execution.context import TaskExecutionContext as TaskExecutionContext
    from litestar_queues.execution.context import get_current_task_context as get_current_task_context
    from litestar_queues.execution.context import publish_task_event as publish_task_event
    from litestar_queues.execution.context import publish_task_log as publish_task_log
    from litestar_queues.execution.context import publish_task_progress as publish_task_progress
    from litestar_queues.execution.context import snooze as snooze
    from litestar_queues.json_logs import JsonLogFormatter as JsonLogFormatter
    from litestar_queues.minting import EnqueueSpec as EnqueueSpec
    from litestar_queues.plugin import QueuePlugin as QueuePlugin
    from litestar_queues.records import QueuedTaskRecord as QueuedTaskRecord
    from litestar_queues.records import QueueStatistics as QueueStatistics
    from litestar_queues.registry import clear_task_registry as clear_task_registry
    from litestar_queues.registry import get_scheduled_tasks as get_scheduled_tasks
    from litestar_queues.registry import get_task_registry as get_task_registry
    from litestar_queues.registry import task as task
    from litestar_queues.results import TaskResult as TaskResult
    from litestar_queues.retry import RetryBackoff as RetryBackoff
    from litestar_queues.schedules import ScheduleConfig as ScheduleConfig
    from litestar_queues.service import QueueService as QueueService
    from litestar_queues.status import TaskStatus as TaskStatus
    from litestar_queues.tasks import Task as Task
    from litestar_queues.worker import Worker as Worker

_ROOMS = {
    "background": ("QueuedBackgroundTask",),
    "channels": ("ChannelsQueueEventSink",),
    "config": ("QueueConfig",),
    "correlation": ("bind_correlation_id", "get_correlation_id"),
    "discovery": ("discover_tasks", "load_task_modules"),
    "errors": (
        "BackendError",
        "BackendUnavailableError",
        "InvalidArgumentError",
        "MissingDependencyError",
        "NonRetryableError",
        "PayloadTooLargeError",
        "QueueConfigurationError",
        "QueueError",
        "TaskCancelledError",
        "TaskSnoozedError",
        "UnknownTaskError",
        "non_retryable",
    ),
    "event_config": ("QueueEventConfig",),
    "events": ("InMemoryQueueEventSink", "QueueEvent"),
    "execution.context": (
        "TaskExecutionContext",
        "get_current_task_context",
        "publish_task_event",
        "publish_task_log",
        "publish_task_progress",
        "snooze",
    ),
    "json_logs": ("JsonLogFormatter",),
    "minting": ("EnqueueSpec",),
    "plugin": ("QueuePlugin",),
    "records": ("QueueStatistics", "QueuedTaskRecord"),
    "registry": ("clear_task_registry", "get_scheduled_tasks", "get_task_registry", "task"),
    "results": ("TaskResult",),
    "retry": ("RetryBackoff",),
    "schedules": ("ScheduleConfig",),
    "service": ("QueueService",),
    "status": ("TaskStatus",),
    "tasks": ("Task",),
    "worker": ("Worker",),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = tuple(sorted(_HOMES))  # the imports above say the same to type checkers


def __getattr__(name: str) -> object:
    """Import a public name on its first use."""
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
