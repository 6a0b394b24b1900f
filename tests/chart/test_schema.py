"""Laws: schema, values, their page and the library's settings tell of the same names."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from litestar_queues import QueueConfig
from tests.chart.tools import CHART, load_all
from tests.chart.written import documented

pytestmark = pytest.mark.chart

SCHEMA = json.loads((CHART / "values.schema.json").read_text("utf-8"))
VALUES = load_all((CHART / "values.yaml").read_text("utf-8"))[0]
NO_VARIABLES = {"dashboard", "event_config", "health_file"}
SET_BY_THE_CHART = {
    *NO_VARIABLES,  # code, or the worker's own affair
    "health_host",
    "health_port",
    "queue_backend",
    "startup_timeout",
    "worker_final_cancel_timeout",
    "worker_graceful_shutdown_timeout",
    "worker_max_concurrency",
    "worker_name",
    "worker_queues",
}


def objects_of(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object whose keys the schema lists."""
    if isinstance(schema, dict):
        if "properties" in schema and schema.get("type") == "object":
            yield schema
        for inner in schema.values():
            yield from objects_of(inner)


def test_the_schema_is_closed_at_every_level_of_ours() -> None:
    levels = list(objects_of(SCHEMA))
    assert len(levels) > 15
    # what a parent chart shares holds more than is ours
    assert [one for one in levels if one.get("additionalProperties") is not False] == [SCHEMA["properties"]["global"]]


def known(schema: dict[str, Any], values: dict[str, Any], path: str = "") -> Iterator[str]:
    """Names that stand in the values or in the schema, and not in both."""
    schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if "properties" in schema:
        names = {name for name in schema["properties"] if path != ".image" or name in values}
        yield from (f"{path}.{name}" for name in names ^ set(values) if values)
        for name in names & set(values):
            if isinstance(values[name], dict):
                yield from known(schema["properties"][name], values[name], f"{path}.{name}")


def test_schema_and_values_know_the_same_names() -> None:
    assert sorted(known(SCHEMA, VALUES)) == []


def test_a_pool_may_say_whatever_stands_under_worker() -> None:
    worker = SCHEMA["properties"]["worker"]["properties"]
    pool = worker["pools"]["items"]["properties"]
    assert {name: one for name, one in pool.items() if name != "name"} == {
        name: one for name, one in worker.items() if name != "pools"
    }


def test_every_field_of_the_config_is_a_setting_or_set_by_the_chart() -> None:
    fields = {field.name for field in dataclasses.fields(QueueConfig)}
    settings = set(SCHEMA["properties"]["settings"]["properties"])
    assert settings == fields - SET_BY_THE_CHART, "write the new field into `settings` of values.schema.json"


def test_what_no_setting_may_say_no_variable_may_say_either() -> None:
    text = (CHART / "templates/_validate.tpl").read_text("utf-8")
    taken = set(re.findall("^LITESTAR_QUEUES_([A-Z_]+): ", text, re.MULTILINE))
    assert {name.lower() for name in taken} == SET_BY_THE_CHART - NO_VARIABLES


def leaves(values: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield f"{path}{name}"
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{name}.")


def test_every_value_has_its_line() -> None:
    told = [one.path for one in documented()]
    assert len(told) == len(set(told))
    missing = [
        path
        for path in leaves(VALUES)
        if not any(one == path or path.startswith(f"{one}.") or one.startswith(f"{path}.") for one in told)
    ]
    assert missing == []
