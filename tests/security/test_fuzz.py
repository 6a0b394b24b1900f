"""In: whatever outsiders write. Out: from every parser a value or an error of ours; ``make fuzz`` looks for longer."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from litestar_queues import codec, plain_http, probe
from litestar_queues.backends import create_backend
from litestar_queues.cli import queues
from litestar_queues.config import QueueConfig
from litestar_queues.cron import CronLine, find_zone
from litestar_queues.errors import InvalidArgumentError, QueueConfigurationError, QueueError
from litestar_queues.options import OPTION_NAMES, TaskOptions
from litestar_queues.retry import RetryBackoff
from litestar_queues.settings import SETTINGS, from_environment
from litestar_queues.texts import one_line

SECRET = "pa55-canary-word"

fuzzed = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
texts = st.text() | st.text(alphabet="0123456789.,:-+*/@#%_ eEinfaNaN\x00\x1b[]{}\"'\\")
values = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary() | st.lists(st.integers())
commands = sorted(queues.commands)


@fuzzed
@given(command=st.sampled_from(commands), data=st.data())
def test_arguments_of_commands(command: str, data: st.DataObject) -> None:
    found = queues.commands[command]
    options = [word for param in found.params for word in param.opts if word.startswith("-")] + ["--", "-", "--no"]
    numbers = st.sampled_from(["1", "-1", "0", "nan", "inf", "1e400", "9" * 5_000, "10m", "1w2d", "{}", "[]"])
    words = data.draw(st.lists(st.sampled_from(options) | numbers | texts, max_size=6))
    with suppress(click.ClickException, click.exceptions.Exit, QueueError):
        found.make_context(command, words)


@fuzzed
@given(name=st.sampled_from(sorted(SETTINGS)), raw=texts)
def test_settings_of_the_environment(name: str, raw: str) -> None:
    with suppress(QueueConfigurationError):
        setting = SETTINGS[name]
        setting.check(from_environment(setting, raw, name), name)


@pytest.mark.parametrize("raw", [".x:y", "..:y", ".:y", "x.:y", "os:", ":", "os:path:x", "a\x00:b", "nowhere.at:all"])
def test_attributes_named_by_the_environment(raw: str) -> None:
    with pytest.raises(QueueConfigurationError, match="EVENT_CONFIG="):
        from_environment(SETTINGS["event_config"], raw, "EVENT_CONFIG")


@fuzzed
@given(line=st.binary() | st.builds(lambda target: b"GET " + target + b" HTTP/1.1\r\n", st.binary()))
def test_lines_of_requests(line: bytes) -> None:
    request = plain_http._parse(line)
    assert request is None or line.startswith(b"GET ")


@fuzzed
@given(
    minutes=texts, check=texts | st.sampled_from(probe.CHECKS), option=st.sampled_from(["--minutes", "--port", "-x"])
)
def test_calls_of_the_probe(minutes: str, check: str, option: str) -> None:
    assert probe.main([check, option, minutes, "--file", "/nowhere/at-all"]) in range(5)


@fuzzed
@given(facts=st.dictionaries(texts, values), check=st.sampled_from(probe.CHECKS), data=st.data())
def test_facts_of_a_worker_that_is_none(
    facts: dict[str, Any], check: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "facts.json"
    known = [
        "written_at",
        "stuck_for",
        "state",
        "ready",
        "canary",
        "canary_age",
        "canary_registered",
        "store_ok",
        "up_for",
    ]
    facts |= {name: data.draw(values) for name in known}
    file.write_text(json.dumps(facts, default=str))
    assert probe.main([check, "--file", str(file)]) in range(5)


@fuzzed
@given(
    line=texts
    | st.lists(st.text("0123456789*/,-LW#MONFRISUNJAN?", min_size=1, max_size=8), min_size=5, max_size=5).map(" ".join)
)
def test_cron_lines(line: str) -> None:
    with suppress(ValueError):
        cron = CronLine(line, UTC)
        moment = datetime(2026, 7, 1, tzinfo=UTC)
        assert cron.next_after(moment) > moment


@settings(fuzzed, max_examples=max(5, fuzzed.max_examples // 10))  # each looks at the names of all zones
@given(name=texts | values)
def test_names_of_zones(name: Any) -> None:
    with suppress(ValueError):
        find_zone(name)


json_texts = st.recursive(
    values.map(lambda value: json.dumps(value, default=str)), lambda inner: inner.map(lambda x: f"[{x}]")
)


@fuzzed
@given(data=st.binary() | json_texts.map(str.encode) | st.integers(1, 5_000).map(lambda n: b"[" * n + b"]" * n))
def test_stored_json(data: bytes) -> None:
    with suppress(InvalidArgumentError, RecursionError):
        args, kwargs = codec.decode_payload(data)
        assert codec.decode_payload(codec.encode_payload(args, kwargs, task="t", max_bytes=10**9)) == (args, kwargs)
    with suppress(QueueConfigurationError):
        RetryBackoff.from_json(data)


hosts = st.sampled_from(["host", "[::1]", "[", "a,b:5433", "host:99999", "host:x", "", "%41", "h st"])


@fuzzed
@given(
    scheme=st.sampled_from(["postgresql", "postgres", "postgresql+asyncpg", "postgresql+x", "mysql", "sqlite"]),
    before=texts, after=texts, host=hosts, rest=texts,
)  # fmt: skip
def test_urls_of_stores(scheme: str, before: str, after: str, host: str, rest: str) -> None:
    url = f"{scheme}://user:{before}{SECRET}{after}@{host}/{rest}"
    try:
        backend = create_backend(QueueConfig(queue_backend=url))
        told = backend.describe() + repr(backend)
    except QueueError as error:
        told = str(error)
    assert SECRET not in told


@fuzzed
@given(text=texts)
def test_stores_named_by_anything(text: str) -> None:
    with suppress(QueueError):
        create_backend(QueueConfig(queue_backend=text))


@fuzzed
@given(name=st.sampled_from(sorted(OPTION_NAMES)), value=values)
def test_options_of_tasks(name: str, value: Any) -> None:
    with suppress(InvalidArgumentError):
        TaskOptions().merge({name: value})


@fuzzed
@given(text=texts | st.text(st.characters(categories=["Cc", "Cf", "Zl", "Zp", "Cs", "Co"])))
def test_texts_for_logs(text: str) -> None:
    shown = one_line(text)
    assert shown.isprintable()
    shown.encode()
