"""In: a fresh interpreter. Out: what importing the library and the probe costs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import pytest

import litestar_queues

ROOT = Path(__file__).parents[2]

PUBLIC_NAMES = (
    "EnqueueSpec",
    "InMemoryQueueEventSink",
    "JsonLogFormatter",
    "MissingDependencyError",
    "NonRetryableError",
    "QueueConfig",
    "QueueConfigurationError",
    "QueueError",
    "QueueEvent",
    "QueueEventConfig",
    "QueuePlugin",
    "QueueService",
    "QueueStatistics",
    "QueuedBackgroundTask",
    "QueuedTaskRecord",
    "ScheduleConfig",
    "Task",
    "TaskExecutionContext",
    "TaskResult",
    "TaskStatus",
    "Worker",
    "bind_correlation_id",
    "clear_task_registry",
    "discover_tasks",
    "get_correlation_id",
    "get_current_task_context",
    "get_scheduled_tasks",
    "get_task_registry",
    "load_task_modules",
    "non_retryable",
    "publish_task_event",
    "publish_task_log",
    "publish_task_progress",
    "snooze",
    "task",
)
DEAR = {
    "click",
    "jinja2",
    "kubernetes",
    "litestar",
    "msgspec",
    "opentelemetry",
    "prometheus_client",
    "sqlglot",
    "sqlspec",
}
PROBE_CPU_LIMIT = 0.06
"""Seconds for interpreter and import together; the kubelet pays them each few seconds, in each pod."""


def modules_after(statement: str) -> set[str]:
    """Names of all modules that a fresh interpreter has loaded after the statement."""
    code = f"import sys\n{statement}\nimport json\nprint(json.dumps(list(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(answer.stdout))


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def foreign(statement: str) -> set[str]:
    """Packages that the statement loaded beyond the standard library and what the environment itself loads."""
    return packages(modules_after(statement)) - packages(modules_after("pass")) - set(sys.stdlib_module_names)


def test_importing_the_library_loads_the_standard_library_alone() -> None:
    assert foreign("import litestar_queues") == {"litestar_queues"}


def test_importing_the_library_loads_none_of_the_dear_packages() -> None:
    assert packages(modules_after("import litestar_queues")) & DEAR == set()


def test_importing_the_commands_loads_click_alone_since_every_command_of_litestar_pays_for_it() -> None:
    assert foreign("import litestar_queues.cli") == {"click", "litestar_queues"}


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_the_public_name_resolves_and_is_listed(name: str) -> None:
    assert getattr(litestar_queues, name) is not None
    assert name in litestar_queues.__all__
    assert name in dir(litestar_queues)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        getattr(litestar_queues, "no_such_name")  # noqa: B009


def test_importing_the_probe_loads_the_standard_library_alone_and_no_event_loop() -> None:
    loaded = modules_after("import litestar_queues.probe")
    ours = {name for name in loaded if name.startswith("litestar_queues")}
    assert foreign("import litestar_queues.probe") == {"litestar_queues"}
    assert ours == {"litestar_queues", "litestar_queues.probe"}
    assert "asyncio" not in loaded


def test_importing_the_probe_stays_within_its_time() -> None:
    assert any(probe_import_cost() < PROBE_CPU_LIMIT for _ in range(10))  # a busy machine makes single ones dearer


def probe_import_cost() -> float:
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", "import litestar_queues.probe"], cwd=ROOT, check=True)
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
