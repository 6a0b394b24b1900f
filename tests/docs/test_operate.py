"""In: the page for operators. Out: its commands, run one after another; they print what the page says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from litestar_queues.cli import queues
from tests.docs.test_pages import BLOCK, ROOT
from tests.process.harness import Process, Site, until

pytestmark = pytest.mark.process

PAGE = ROOT / "docs" / "howto" / "operate.md"
ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
STEP = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
VARIES = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"), "TIME"),
    (re.compile(r"\b\d+\.\d (s|min|h|d)\b"), "SPAN"),
    (re.compile(r"\b[\w.-]+:[0-9a-f]{8}\b"), "WORKER"),
    (re.compile(r"(?<=  every queue  )\S+ +\d+"), "HOST PID"),
    (re.compile(r'File "[^"]*", line \d+'), "PLACE"),
    (re.compile(r" {2,}|-{2,}"), " "),
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    site.set(queue_backend="sqlite")
    yield site
    site.close()


def constant(text: str) -> str:
    """The text without what differs from run to run, but for ids."""
    for pattern, name in VARIES:
        text = pattern.sub(name, text)
    return "".join(f"{line.strip()}\n" for line in text.splitlines())


def as_printed(expected: str, said: str) -> bool:
    """Whether they are the same; a line of three dots stands for any lines."""
    pattern = re.escape(constant(expected)).replace(r"\.\.\." + "\\\n", "(?:.*\n)*?")
    return re.fullmatch(pattern, constant(said)) is not None


def renamed(text: str, ids: dict[str, str]) -> str:
    """The text with the ids of this run."""
    return ID.sub(lambda found: ids[found[0]], text)


@pytest.mark.slow
@pytest.mark.timeout(180)  # two dozen processes, one after another
def test_the_commands_print_what_the_page_says(site: Site) -> None:
    text = PAGE.read_text("utf-8")
    blocks = BLOCK.findall(text)
    [app] = [code for language, name, code in blocks if name == "app.py"]
    steps = [step for language, _, code in blocks if language == "console" for step in STEP.findall(code)]
    ids: dict[str, str] = {}
    worker: Process | None = None
    prepare(site, app)
    for command, expected in steps:
        if worker is not None:
            rest(site)
        words = shlex.split(renamed(command, ids))
        if words == ["litestar", "queues", "run"]:
            worker = site.worker().starts()
            assert [line for line in expected.splitlines() if line not in worker.err.splitlines()] == []
            continue
        answer = site.start(*words).answer()
        said = answer.err + answer.out
        assert (command, len(ID.findall(said))) == (command, len(ID.findall(expected))), said
        ids |= dict(zip(ID.findall(expected), ID.findall(said), strict=True))
        assert as_printed(renamed(expected, ids), said), f"{command} printed\n{said}"
    assert worker is not None


def prepare(site: Site, app: str) -> None:
    """Store what was enqueued before the page begins."""
    site.write("app.py", app)
    site.enqueue("send_mail", "ada@example.com", queue="mail", max_attempts=2)
    site.enqueue("send_mail", "ada", queue="mail", max_attempts=2)
    site.enqueue("import_catalog", "acme", queue="imports")


def rest(site: Site) -> None:
    """Wait until the worker has done what it can, and runs what takes an hour."""

    def at_rest() -> bool:
        records = site.records()
        live = [one for one in records if not one.is_terminal and one.status != "scheduled"]
        is_stopping = any(one.cancel_requested for one in live)
        retries = any(one.status == "scheduled" and one.attempt for one in records)
        return not is_stopping and not retries and all(one.task_name == "import_catalog" for one in live)

    until("the worker rests", at_rest)


def test_every_command_is_in_the_table_of_exit_codes() -> None:
    table = PAGE.read_text("utf-8").partition("## Exit codes")[2]
    named = {word for line in table.splitlines() if line.startswith("| `") for word in re.findall(r"`([\w-]+)", line)}
    assert set(queues.commands) - named == set()


@pytest.mark.parametrize("name", sorted(queues.commands))
def test_every_command_tells_its_exit_codes_in_its_help(name: str) -> None:
    assert "Exit codes: 0 " in (queues.commands[name].help or "").replace("\n", " ")
