"""In: keyword arguments and the environment. Out: one flat, frozen, checked :class:`QueueConfig`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from litestar_queues.errors import QueueConfigurationError
from litestar_queues.event_config import QueueEventConfig
from litestar_queues.settings import SETTINGS, from_environment, like_a_setting

if TYPE_CHECKING:
    from litestar_queues.dashboard import DashboardConfig

__all__ = ("ENV_PREFIX", "QueueConfig")

ENV_PREFIX = "LITESTAR_QUEUES_"


@dataclass(frozen=True, kw_only=True)
class QueueConfig:
    """Everything that can be set, checked once at construction.

    Each field is also read from the environment as ``LITESTAR_QUEUES_<FIELD>``, for example
    ``LITESTAR_QUEUES_WORKER_MAX_CONCURRENCY=20``. The environment wins over the constructor, so that who operates
    the app can change what its author wrote. Lists are separated by commas; ``none`` stands for ``None``; functions
    are named as ``module:attribute``. Durations are seconds.

    Raises:
        QueueConfigurationError: A value is wrong; the message names the field and what it accepts.
    """

    queue_backend: Any = field(default=None, repr=False)  # a URL may hold a password
    """``"memory"``, ``"sqlite"``, a URL (``sqlite:///path/to/file.db``, ``postgresql://user@host/database``), or a
    sqlspec config of a SQLite, asyncpg or psycopg adapter. ``None``: the app's own sqlspec config where it has such a
    one, else the file ``queue.db``. ``"sqlspec:KEY"``: that of the app's sqlspec configs whose ``bind_key`` it is."""
    sqlite_synchronous: str = "FULL"
    """``"FULL"``: a committed record survives a power cut. ``"NORMAL"``: it survives a crash of the process, and the
    last moments before a power cut may be lost."""
    postgres_prefix: str = "lq_"
    """Prefix of all tables; with a schema before a dot where wanted: ``"jobs.lq_"``."""
    postgres_notifications: bool = True
    """Wake other processes by NOTIFY. Where it is off, they find new records by polling."""
    postgres_pooler: bool = False
    """A pooler in transaction mode stands before the server: nothing is prepared, and nobody listens."""
    migrate_on_start: bool = True
    """Create and upgrade the schema when the backend is opened; else only ``litestar queues migrate`` does."""
    execution_backend: str = "local"
    """``"local"``: a worker runs the task. ``"immediate"``: it runs inside ``enqueue()``, for tests."""
    max_payload_bytes: int = 1_048_576
    """Largest encoded arguments, result or metadata of one record, in bytes."""

    task_modules: tuple[str, ...] = ()
    """Modules or packages that are imported at start so that their tasks register."""
    task_dependency_resolver: Callable[..., Any] | None = None
    """``resolver(task, context)``, called for each attempt: a mapping of argument names to values, an awaitable of
    one, or an async context manager that yields one."""
    initialize_schedules: bool = True
    """Workers store and fire the schedules of their registered tasks."""
    scheduler_canary_task: str = "scheduler.heartbeat"
    """Name of the recurring task by which ``scheduler-health`` judges the fleet."""

    in_app_worker: bool | None = None
    """Run a worker inside the web app's lifespan. ``None``: only with the memory backend, where no other process
    could reach the records."""
    queue_service_dependency_key: str = "queue_service"
    """The name under which handlers receive the service."""
    queue_service_state_key: str = "queue_service"
    """The name of the service in ``app.state``."""

    worker_name: str | None = None
    """A name that only one process bears at a time, such as a StatefulSet pod's. A worker that starts under it takes
    back at once what its predecessor held. ``None``: the host name, without that promise."""
    worker_queues: tuple[str, ...] = ()
    """Queues that workers claim from; none at all: every queue."""
    worker_max_concurrency: int = 100
    """Tasks that one worker runs at a time."""
    worker_poll_interval: float | None = None
    """Longest time between two looks for work where no wake-up arrives. ``None``: as the store advises, 1 s where
    looking is cheap or the only way, 5 s where PostgreSQL tells of new records."""
    worker_heartbeat_interval: float = 15.0
    """Time between two renewals of the leases; at most a third of ``worker_stale_after``."""
    worker_stale_after: float = 60.0
    """Length of a lease: so long after its last sign of life a worker's records are taken back."""
    worker_max_lost_leases: int = 3
    """A record fails once so many of its holders have vanished."""
    worker_graceful_shutdown_timeout: float = 30.0
    """How long a drain waits for running tasks before it cancels them."""
    worker_final_cancel_timeout: float = 5.0
    """How long a drain waits for cancelled tasks to end."""
    worker_enters_lifespan: bool = True
    """``litestar queues run`` enters the app's lifespan, so that tasks find what the app opens there."""
    worker_unknown_task_delay: float = 30.0
    """A record whose task this worker does not know is given back for so long."""
    worker_loop_lag_warning: float = 1.0
    """An event loop that was blocked for longer is reported."""
    startup_timeout: float = 30.0
    """How long ``litestar queues run`` waits for a store that cannot be reached."""

    sync_executor_max_workers: int | None = None
    """Threads for plain functions. ``None``: ``min(32, CPUs + 4)``, as Python's own default."""
    sync_executor_thread_name_prefix: str = "litestar-queues"
    """Prefix of the names of those threads."""

    completed_retention: float | None = 7 * 86_400.0
    """Completed records are deleted after so long; ``None``: never."""
    failed_retention: float | None = 30 * 86_400.0
    """Failed records are deleted after so long; ``None``: never."""
    cancelled_retention: float | None = 7 * 86_400.0
    """Cancelled records are deleted after so long; ``None``: never."""

    health_host: str = "127.0.0.1"
    """Address that the worker's health server binds."""
    health_port: int | None = None
    """Port of the worker's health server; ``None``: off, ``0``: any free port."""
    health_file: str | None = None
    """File in which the worker keeps its health for ``litestar-queues-probe``; ``None``: off."""

    event_config: QueueEventConfig = field(default_factory=QueueEventConfig)
    """Where task lifecycle, progress and log events go."""
    correlation_header: str | None = "X-Request-ID"
    """Request header whose value the records carry that the request enqueues; where a request lacks it, the trace id of
    its ``traceparent``. ``None``: requests are not looked at."""
    tracing: Any = False
    """``True``: OpenTelemetry spans for enqueues, waits and runs, by the global tracer provider. A ``TracerProvider``:
    by that one. ``False``: none, and nothing of OpenTelemetry is loaded."""
    log_format: str = "text"
    """``"json"``: ``litestar queues run`` and ``exporter`` log one JSON object a line."""
    dashboard: DashboardConfig | None = None
    """Web pages on the queues, in the app. ``None``: off."""

    def __post_init__(self) -> None:
        for item in fields(self):
            setting = SETTINGS[item.name]
            raw = os.environ.get(ENV_PREFIX + item.name.upper())
            if raw is None:
                value, where = getattr(self, item.name), f"QueueConfig.{item.name}"
            else:
                where = ENV_PREFIX + item.name.upper()
                value = from_environment(setting, raw, where)
            object.__setattr__(self, item.name, setting.check(value, where))
        self._check_together()

    def _check_together(self) -> None:
        if self.worker_heartbeat_interval * 3 > self.worker_stale_after:
            msg = (
                f"QueueConfig.worker_heartbeat_interval ({self.worker_heartbeat_interval:g} s) must be at most a third "
                f"of QueueConfig.worker_stale_after ({self.worker_stale_after:g} s), or one late renewal loses claims"
            )
            raise QueueConfigurationError(msg)

    @staticmethod
    def label(name: str) -> str:
        """How messages call a field: by its variable where that is set, for that is what must be changed."""
        variable = ENV_PREFIX + name.upper()
        return variable if variable in os.environ else f"QueueConfig.{name}"

    @staticmethod
    def misspelled() -> Mapping[str, str]:
        """Variables of the environment that set nothing, and the one that each is like."""
        names = [name.removeprefix(ENV_PREFIX).lower() for name in os.environ if name.startswith(ENV_PREFIX)]
        found = {name: meant for name in names if (meant := like_a_setting(name))}
        return {ENV_PREFIX + name.upper(): ENV_PREFIX + meant.upper() for name, meant in found.items()}

    @property
    def retention(self) -> Mapping[str, float | None]:
        """Seconds that records are kept, by terminal state."""
        return {
            "completed": self.completed_retention,
            "failed": self.failed_retention,
            "cancelled": self.cancelled_retention,
        }
