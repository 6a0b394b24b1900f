"""In: settings. Out: variables and commands that the library itself understands."""

from __future__ import annotations

import dataclasses
import json
import sys
import types
from pathlib import Path

import pytest
from opentelemetry.trace import ProxyTracerProvider

from litestar_queues import QueueConfig
from litestar_queues.cli import queues
from litestar_queues.config import ENV_PREFIX
from litestar_queues.settings import SETTINGS, from_environment
from tests.chart.tools import CHART, case, container_of, env_of, every_case, needs, render

pytestmark = [pytest.mark.chart, needs("helm")]

SCHEMA = json.loads((CHART / "values.schema.json").read_text("utf-8"))


def test_settings_become_variables_as_the_library_reads_them() -> None:
    env = env_of(case("everything")["StatefulSet", "shop-litestar-queues-worker-default"])
    assert env["LITESTAR_QUEUES_WORKER_STALE_AFTER"] == "90"
    assert env["LITESTAR_QUEUES_WORKER_HEARTBEAT_INTERVAL"] == "20.5"
    assert env["LITESTAR_QUEUES_TASK_MODULES"] == "shop.tasks,shop.reports"
    assert env["LITESTAR_QUEUES_COMPLETED_RETENTION"] == "1000000"


def test_every_default_of_the_library_can_be_written_as_a_setting_and_is_read_back() -> None:
    plain = QueueConfig()
    names = SCHEMA["properties"]["settings"]["properties"]
    written = {name: "none" if getattr(plain, name) is None else getattr(plain, name) for name in names}
    worker = case("default", settings=written, migrations={"mode": "none"})
    env = env_of(worker["StatefulSet", "shop-litestar-queues-worker-default"])
    for name in names:
        read = from_environment(SETTINGS[name], env[f"{ENV_PREFIX}{name.upper()}"], name)
        assert read == getattr(plain, name), name


def test_logs_and_spans_are_switched_on_by_settings_and_variables() -> None:
    objects = case("observability")
    worker = container_of(objects["StatefulSet", "shop-litestar-queues-worker-default"])
    env = {one["name"]: one.get("value") for one in worker["env"]}
    assert env["LITESTAR_QUEUES_LOG_FORMAT"] == "json"
    assert env["LITESTAR_QUEUES_TRACING"] == "shop.telemetry:provider"
    assert env["LITESTAR_QUEUES_CORRELATION_HEADER"] == "X-Correlation-ID"
    names = list(env)
    assert names.index("NODE_IP") < names.index("OTEL_EXPORTER_OTLP_ENDPOINT"), "used before it is known"
    assert names.index("POD_NAME") < names.index("OTEL_RESOURCE_ATTRIBUTES"), "used before it is known"
    assert env["OTEL_SERVICE_NAME"] == "shop-worker"
    assert env_of(objects["Deployment", "shop-litestar-queues-web"])["OTEL_SERVICE_NAME"] == "shop-web"
    egress = objects["NetworkPolicy", "shop-litestar-queues-worker"]["spec"]["egress"]
    assert 4318 in [port["port"] for rule in egress for port in rule["ports"]]


@every_case
def test_the_library_understands_every_variable_of_every_component(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {f"{ENV_PREFIX}{field.name.upper()}" for field in dataclasses.fields(QueueConfig)}
    # the app of the case is not here
    monkeypatch.setitem(sys.modules, "shop.telemetry", types.SimpleNamespace(provider=ProxyTracerProvider()))
    for (kind, name), one in render(file).items():
        if kind in {"Deployment", "StatefulSet", "Job", "Pod"}:
            env = {key: value for key, value in env_of(one).items() if key.startswith(ENV_PREFIX)}
            assert set(env) <= fields, name
            with monkeypatch.context() as patch:
                for key, value in env.items():
                    patch.setenv(key, value if isinstance(value, str) else "memory")
                QueueConfig()


@every_case
def test_the_command_line_understands_every_command(file: Path) -> None:
    for (kind, name), one in render(file).items():
        if kind in {"Deployment", "StatefulSet", "Job"} and not name.endswith("-web"):
            container = container_of(one)
            words = [*container["command"], *container.get("args", [])]
            words = ["run", *words[1:]] if words[0] == "litestar-queues-worker" else words[2:]
            command = queues.commands[words[0]]
            command.make_context(words[0], words[1:])  # parses, and would raise for what it does not know
