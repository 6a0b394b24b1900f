"""In: README and docs. Out: samples that are no programs fit what they are for: commands, values, SQL, messages."""

from __future__ import annotations

import ast
import configparser
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import click
import pytest
import yaml  # type: ignore[import-untyped, unused-ignore]

from litestar_queues import QueueConfig, QueueService
from litestar_queues.cli import queues
from tests.chart.tools import CHART, needs, render
from tests.docs.test_pages import BLOCK, PAGES, ROOT, page_id
from tests.postgres.server import Server

CALL = r"(?:[A-Z_]+=\S+ )*(litestar (?:--app \S+ )?queues .*|litestar-queues-worker .*)$"
LINE = {"console": re.compile(rf"^\$ {CALL}", re.MULTILINE), "": re.compile(f"^{CALL}", re.MULTILINE)}
ANNOUNCEMENT = "litestar queues worker started"
INLINE = re.compile(r"`(litestar queues [^`]+)`")
FIRST_CELL = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
SET = re.compile(r"--set ([\w.]+)=")


def blocks(*languages: str) -> list[Any]:
    """Every block of these languages, as parameters of a test."""
    return [
        pytest.param(name, code, id=f"{page_id(page)}-{number}")
        for page in PAGES
        for number, (language, name, code) in enumerate(BLOCK.findall(page.read_text("utf-8")))
        if language in languages
    ]


def calls(page: Path) -> Iterator[str]:
    """The calls of our commands on a page, in blocks and in the text."""
    text = page.read_text("utf-8")
    for language, _, code in BLOCK.findall(text):
        if language in LINE:
            yield from LINE[language].findall(code.replace("\\\n", " "))
    yield from INLINE.findall(text)


def find(words: list[str]) -> tuple[click.Command, list[str]]:
    command: click.Command = queues
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        inner = command.commands.get(words[0])
        assert inner is not None, f"there is no command {words[0]!r}"
        command, words = inner, words[1:]
    return command, words


@pytest.mark.parametrize("page", [page for page in PAGES if list(calls(page))], ids=page_id)
def test_every_command_has_the_options_that_a_page_gives_it(page: Path) -> None:
    for call in set(calls(page)) - {ANNOUNCEMENT}:
        words = shlex.split(call.split(" &")[0].split(" |")[0].split("...")[0], comments=True)
        words = words[1:] if words[0] != "litestar" else words[words.index("queues") + 1 :]
        command, rest = find(["run", *words] if call.startswith("litestar-queues-worker") else words)
        known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help"}
        given = {word.partition("=")[0] for word in rest if word.startswith("-")}
        assert given - known == set(), call


@pytest.mark.parametrize(("name", "code"), blocks("yaml"))
def test_every_yaml_can_be_read(name: str, code: str) -> None:
    assert list(yaml.safe_load_all(code))


@pytest.mark.parametrize(("name", "code"), [one for one in blocks("yaml") if one.values[0] == "values.yaml"])
@needs("helm")
@pytest.mark.chart
def test_the_chart_accepts_every_values_file(name: str, code: str, tmp_path: Path) -> None:
    values = {"database": {"existingSecret": "shop-database"}} | yaml.safe_load(code)
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values), "utf-8")
    assert render(file)


@pytest.mark.parametrize("page", [page for page in PAGES if SET.search(page.read_text("utf-8"))], ids=page_id)
def test_every_value_that_a_page_sets_is_one_of_the_chart(page: Path) -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    for path in SET.findall(page.read_text("utf-8")):
        value = defaults
        for key in path.split("."):
            assert key in value or path == "web.image.repository", path
            value = value.get(key, {})


@pytest.mark.parametrize(("name", "code"), blocks("json"))
def test_every_json_can_be_read(name: str, code: str) -> None:
    json.loads(code)


@pytest.mark.parametrize(("name", "code"), blocks("ini"))
def test_every_ini_can_be_read(name: str, code: str) -> None:
    configparser.ConfigParser().read_string(code)


@pytest.mark.parametrize(("name", "code"), blocks("py"))
def test_code_of_others_is_python(name: str, code: str) -> None:
    ast.parse(code)


async def test_every_statement_runs_on_postgres(postgres_server: Server) -> None:
    url = postgres_server.url()
    schema = QueueService(QueueConfig(queue_backend=url)).backend.migration_sql()
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        for one in blocks("sql"):
            work = connection.transaction()
            await work.start()
            await connection.execute(schema)
            await connection.execute(one.values[1])
            await work.rollback()  # tables, roles and schemas go with it
    finally:
        await connection.close()


def texts() -> list[str]:
    """Every text of the library's code, joined where the code joins it."""
    trees = (ast.parse(file.read_text("utf-8")) for file in sorted((ROOT / "litestar_queues").rglob("*.py")))
    return [
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and type(node.value) is str
    ]


def section(page: str, title: str) -> str:
    return (ROOT / "docs" / page).read_text("utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("title", ["Lines in the log", "A command ends with an error", "The probe says"])
def test_every_message_that_is_explained_is_one_of_ours(title: str) -> None:
    ours = texts()
    quoted = FIRST_CELL.findall(section("troubleshooting.md", title))
    assert quoted
    assert [one for one in quoted if not any(one in text for text in ours)] == []


def test_every_warning_of_the_log_is_explained() -> None:
    quoted = FIRST_CELL.findall(section("troubleshooting.md", "Lines in the log"))
    logs = ast.parse((ROOT / "litestar_queues/logs.py").read_text("utf-8"))
    said = [
        node.value
        for call in ast.walk(logs)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in {"warning", "error", "exception", "log"}
        for node in call.args
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert len(said) > 5
    assert [text for text in said if not any(one in text for one in quoted)] == []


def test_every_alert_is_explained() -> None:
    rules = yaml.safe_load((CHART / "files/alerts.yaml").read_text("utf-8"))
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    page = (ROOT / "docs/howto/alerts.md").read_text("utf-8")
    assert set(re.findall(r"^## (\w+)$", page, re.MULTILINE)) == alerts
