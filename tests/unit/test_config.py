"""In: arguments and environment variables. Out: settings in their types, or a refusal that names the field."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, fields
from types import ModuleType
from typing import Any

import pytest

from litestar_queues.config import ENV_PREFIX, QueueConfig
from litestar_queues.dashboard import DashboardConfig
from litestar_queues.errors import QueueConfigurationError
from litestar_queues.event_config import QueueEventConfig
from litestar_queues.settings import SETTINGS, import_attribute

NAMES = [item.name for item in fields(QueueConfig)]
SEVEN_DAYS, THIRTY_DAYS = 7 * 86_400.0, 30 * 86_400.0

DASHBOARD = DashboardConfig(allow_unguarded=True)

FROM_ENVIRONMENT: dict[str, tuple[str, Any]] = {
    "queue_backend": ("sqlite:///work.db", "sqlite:///work.db"),
    "sqlite_synchronous": ("NORMAL", "NORMAL"),
    "postgres_prefix": ("jobs.lq_", "jobs.lq_"),
    "postgres_notifications": ("off", False),
    "postgres_pooler": ("yes", True),
    "migrate_on_start": ("false", False),
    "execution_backend": ("immediate", "immediate"),
    "max_payload_bytes": ("2048", 2048),
    "task_modules": ("app.tasks, app.mail,", ("app.tasks", "app.mail")),
    "task_dependency_resolver": ("queue_settings:resolve", len),
    "initialize_schedules": ("no", False),
    "scheduler_canary_task": ("canary", "canary"),
    "in_app_worker": ("on", True),
    "queue_service_dependency_key": ("queue", "queue"),
    "queue_service_state_key": ("tasks", "tasks"),
    "worker_name": ("worker-0", "worker-0"),
    "worker_queues": ("mail,reports", ("mail", "reports")),
    "worker_max_concurrency": ("20", 20),
    "worker_poll_interval": ("0.25", 0.25),
    "worker_heartbeat_interval": ("5", 5.0),
    "worker_stale_after": ("90", 90.0),
    "worker_max_lost_leases": ("5", 5),
    "worker_graceful_shutdown_timeout": ("0", 0.0),
    "worker_final_cancel_timeout": ("1.5", 1.5),
    "worker_enters_lifespan": ("0", False),
    "worker_unknown_task_delay": ("3", 3.0),
    "worker_loop_lag_warning": ("2", 2.0),
    "startup_timeout": ("0", 0.0),
    "sync_executor_max_workers": ("8", 8),
    "sync_executor_thread_name_prefix": ("tasks", "tasks"),
    "completed_retention": ("none", None),
    "failed_retention": ("60", 60.0),
    "cancelled_retention": ("", None),
    "health_host": ("::1", "::1"),
    "health_port": ("9000", 9000),
    "health_file": ("/run/health.json", "/run/health.json"),
    "event_config": ("queue_settings:events", QueueEventConfig()),
    "correlation_header": ("X-Amzn-Trace-Id", "X-Amzn-Trace-Id"),
    "tracing": ("on", True),
    "log_format": ("json", "json"),
    "dashboard": ("queue_settings:dashboard", DASHBOARD),
}

WRONG: dict[str, tuple[Any, ...]] = {
    "sqlite_synchronous": ("OFF", "full", None),
    "postgres_prefix": ("", None, 5),
    "postgres_notifications": (1, "on", None),
    "postgres_pooler": (0, None),
    "migrate_on_start": (1, "yes", None),
    "execution_backend": ("remote", None),
    "max_payload_bytes": (0, 65 * 2**20, 1.5, True, "1024"),
    "task_modules": ("app.tasks", ("",), (5,), ("a\0b",), None),
    "task_dependency_resolver": ("queue_settings:resolve", 5),
    "initialize_schedules": (0,),
    "scheduler_canary_task": ("", "a\nb", None),
    "in_app_worker": ("true", 1),
    "queue_service_dependency_key": ("queue-service", "", 5),
    "queue_service_state_key": ("1st", None),
    "worker_name": ("", "a\0b", 5),
    "worker_queues": ("mail", {"mail"}, ("a\tb",)),
    "worker_max_concurrency": (0, -1, 100_001, 1.0, "20", True),
    "worker_poll_interval": (0, -1, math.nan, math.inf, "1"),
    "worker_heartbeat_interval": (0, math.nan),
    "worker_stale_after": (0, math.inf),
    "worker_max_lost_leases": (0,),
    "worker_graceful_shutdown_timeout": (-0.1, math.nan, None),
    "worker_final_cancel_timeout": (-1,),
    "worker_enters_lifespan": ("on",),
    "worker_unknown_task_delay": (0,),
    "worker_loop_lag_warning": (0,),
    "startup_timeout": (-1, math.inf),
    "sync_executor_max_workers": (0, 10_001),
    "sync_executor_thread_name_prefix": ("", None),
    "completed_retention": (-1, math.nan, "never"),
    "failed_retention": (-1,),
    "cancelled_retention": (-1,),
    "health_host": ("", None),
    "health_port": (-1, 65_536, "9000"),
    "health_file": ("", 5),
    "event_config": ("log", None),
    "correlation_header": ("", "two words", "a:b", "Ä", 5),
    "tracing": ("on", None, 1),
    "log_format": ("JSON", "", None),
    "dashboard": ("/queues", True),
}


@pytest.fixture(autouse=True)
def a_module_for_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("queue_settings")
    vars(module).update(resolve=len, events=QueueEventConfig(), dashboard=DASHBOARD)
    monkeypatch.setitem(__import__("sys").modules, "queue_settings", module)


def test_every_field_has_its_setting_in_the_same_order() -> None:
    assert list(SETTINGS) == NAMES


def test_these_tests_know_every_field() -> None:
    assert list(FROM_ENVIRONMENT) == NAMES
    assert list(WRONG) == NAMES[1:]  # what a backend accepts is checked where backends are made


@pytest.mark.parametrize("name", NAMES)
def test_every_field_is_read_from_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, expected = FROM_ENVIRONMENT[name]
    assert getattr(QueueConfig(), name) != expected or name == "event_config"
    monkeypatch.setenv(ENV_PREFIX + name.upper(), text)
    value = getattr(QueueConfig(), name)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_every_wrong_value_is_refused_by_the_name_of_its_field(name: str, value: Any) -> None:
    with pytest.raises(QueueConfigurationError, match=rf"^QueueConfig\.{name}=.* is not accepted: use "):
        QueueConfig(**{name: value})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("worker_max_concurrency", "many"),
        ("worker_max_concurrency", "0"),
        ("worker_max_concurrency", "none"),
        ("worker_poll_interval", "nan"),
        ("worker_poll_interval", "inf"),
        ("worker_poll_interval", "fast"),
        ("migrate_on_start", "maybe"),
        ("migrate_on_start", ""),
        ("sqlite_synchronous", "off"),
        ("health_port", "http"),
        ("task_dependency_resolver", "queue_settings"),
        ("task_dependency_resolver", "queue_settings:missing"),
        ("task_dependency_resolver", "no_such_module:resolve"),
        ("event_config", "queue_settings:resolve"),
        ("correlation_header", "X-Request-ID:"),
        ("tracing", "otel"),
        ("tracing", "queue_settings:resolve"),
        ("log_format", "xml"),
        ("dashboard", "queue_settings:resolve"),
    ],
)
def test_a_wrong_text_is_refused_by_the_name_of_its_variable(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = ENV_PREFIX + name.upper()
    monkeypatch.setenv(variable, text)
    with pytest.raises(QueueConfigurationError, match=rf"^{variable}=.* is not accepted: use "):
        QueueConfig()


def test_the_environment_wins_over_the_constructor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITESTAR_QUEUES_WORKER_MAX_CONCURRENCY", " 20 ")
    assert QueueConfig(worker_max_concurrency=5).worker_max_concurrency == 20


@pytest.mark.parametrize(
    ("text", "expected"), [("TRUE", True), ("1", True), ("Yes", True), ("off", False), ("No", False)]
)
def test_flags_are_read_in_the_usual_spellings(text: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITESTAR_QUEUES_IN_APP_WORKER", text)
    assert QueueConfig().in_app_worker is expected


def test_what_the_documentation_fixes_is_the_default() -> None:
    config = QueueConfig()
    assert config.worker_queues == config.task_modules == ()
    assert config.worker_graceful_shutdown_timeout == 30
    assert config.worker_final_cancel_timeout == 5
    assert config.scheduler_canary_task == "scheduler.heartbeat"
    assert config.initialize_schedules is True
    assert config.execution_backend == "local"


def test_lists_become_tuples_and_whole_seconds_floats() -> None:
    config = QueueConfig(worker_queues=["mail"], worker_poll_interval=2, completed_retention=60)  # type: ignore[arg-type]
    assert config.worker_queues == ("mail",)
    assert type(config.worker_poll_interval) is type(config.completed_retention) is float


def test_leases_must_outlast_three_heartbeats() -> None:
    assert QueueConfig(worker_heartbeat_interval=20, worker_stale_after=60).worker_stale_after == 60
    with pytest.raises(QueueConfigurationError, match=r"heartbeat_interval \(21 s\) .*stale_after \(60 s\)"):
        QueueConfig(worker_heartbeat_interval=21, worker_stale_after=60)


def test_retention_is_told_by_state() -> None:
    config = QueueConfig(failed_retention=None)
    assert config.retention == {"completed": SEVEN_DAYS, "failed": None, "cancelled": SEVEN_DAYS}
    assert QueueConfig().failed_retention == THIRTY_DAYS


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        QueueConfig().worker_max_concurrency = 5  # type: ignore[misc]


@pytest.mark.parametrize("path", ["math", ":pi", "math:", "math:tau.real", "no_such_module:x"])
def test_an_attribute_that_cannot_be_imported_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"is not of the form module:attribute|cannot be imported"):
        import_attribute(path)


def test_an_attribute_is_imported() -> None:
    assert import_attribute("math:pi") == math.pi


def test_variables_that_look_like_settings_are_told_and_those_of_kubernetes_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("QUEUE_BACKEN", "POLL_INTERVAL", "WORKER_QUEUES", "PORT", "SERVICE_PORT", "EXPORTER_SERVICE_HOST"):
        monkeypatch.setenv(ENV_PREFIX + name, "1")
    assert QueueConfig.misspelled() == {
        "LITESTAR_QUEUES_QUEUE_BACKEN": "LITESTAR_QUEUES_QUEUE_BACKEND",
        "LITESTAR_QUEUES_POLL_INTERVAL": "LITESTAR_QUEUES_WORKER_POLL_INTERVAL",
    }
