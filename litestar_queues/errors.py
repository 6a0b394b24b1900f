"""The exceptions of the library, drawn as a tree.

QueueError
├── QueueConfigurationError      a setting, an option or a task definition is wrong
│   ├── MissingDependencyError   an optional package is not installed (also ImportError)
│   └── SchemaVersionError       the stored schema does not fit this release
├── InvalidArgumentError         a call was refused before anything was written (also ValueError)
│   ├── UnknownTaskError         no task of that name is registered
│   └── PayloadTooLargeError     arguments, result or metadata above ``max_payload_bytes``
├── BackendError                 the store refused or broke a statement
│   └── BackendUnavailableError  the store cannot be reached now; trying again may help
├── TaskFailedError              raised inside a worker about one run
│   ├── NonRetryableError        fail now, whatever retries are left
│   ├── TaskTimeoutError         the run passed its timeout
│   └── DependencyError          a dependency of the task could not be provided
├── TaskSnoozedError             the run asks to be put off; see ``snooze()``
└── TaskCancelledError           the run noticed that it was asked to stop
"""

from __future__ import annotations

from typing import NoReturn

__all__ = (
    "BackendError",
    "BackendUnavailableError",
    "DependencyError",
    "InvalidArgumentError",
    "MissingDependencyError",
    "NonRetryableError",
    "PayloadTooLargeError",
    "QueueConfigurationError",
    "QueueError",
    "SchemaVersionError",
    "TaskCancelledError",
    "TaskFailedError",
    "TaskSnoozedError",
    "TaskTimeoutError",
    "UnknownTaskError",
    "non_retryable",
)


class QueueError(Exception):
    """Something went wrong in litestar-queues; the class docstring is the default message."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class QueueConfigurationError(QueueError):
    """A setting, an option or a task definition is wrong."""


class MissingDependencyError(QueueConfigurationError, ImportError):
    """An optional package that this feature needs is not installed."""


class SchemaVersionError(QueueConfigurationError):
    """The stored schema does not fit this release; run `litestar queues migrate`."""


class InvalidArgumentError(QueueError, ValueError):
    """A call was refused before anything was written."""


class UnknownTaskError(InvalidArgumentError):
    """No task of that name is registered in this process."""


class PayloadTooLargeError(InvalidArgumentError):
    """Encoded arguments, result or metadata are larger than `max_payload_bytes`."""


class BackendError(QueueError):
    """The store refused or broke a statement."""


class BackendUnavailableError(BackendError):
    """The store cannot be reached now."""


class TaskFailedError(QueueError):
    """A run of a task failed."""


class NonRetryableError(TaskFailedError):
    """The task failed and must not be tried again."""


class TaskTimeoutError(TaskFailedError):
    """The task ran longer than its timeout."""


class DependencyError(TaskFailedError):
    """A dependency of the task could not be provided."""


class TaskSnoozedError(QueueError):
    """The task asked to be run later."""

    delay = 60.0
    """Seconds from the end of the run."""


class TaskCancelledError(QueueError):
    """The task was asked to stop."""


def non_retryable(message: str) -> NoReturn:
    """Fail the running task at once, whatever retries are left.

    Args:
        message: What the record keeps as its error.

    Raises:
        NonRetryableError: Always.
    """
    raise NonRetryableError(message)
