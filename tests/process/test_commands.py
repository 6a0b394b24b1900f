"""In: commands in a shell. Out: exit codes, pipes that close, Ctrl-C, a terminal, completion of what one types."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time

import pytest

from tests.process.harness import PATIENCE, SCRIPTS, Site, until

pytestmark = pytest.mark.process

FAILING = """
from litestar import Litestar
from litestar_queues import QueuePlugin, task

@task(queue="mail")
async def fail(text: str):
    raise ValueError(text)

@task
async def double(n: int):
    return n * 2

@task("report", cron="0 12 * * *")
async def report(): ...

app = Litestar(plugins=[QueuePlugin()])
"""


@pytest.fixture
def shop(empty_site: Site) -> Site:
    empty_site.write("app.py", FAILING)
    return empty_site


def completed(site: Site, *words: str) -> set[str]:
    """What a shell offers behind these words."""
    typed = {"COMP_WORDS": " ".join(["litestar", *words]), "COMP_CWORD": str(len(words))}
    answer = site.start("litestar", env={"_LITESTAR_COMPLETE": "bash_complete", **typed}).answer()
    assert answer.err == ""
    return {line.partition(",")[2] for line in answer.out.split()}


def test_enqueue_and_wait_ends_as_the_task_does(shop: Site) -> None:
    worker = shop.worker().starts()
    good = shop.queues("enqueue", "double", "--args", "[21]", "--wait", "--timeout", "30")
    bad = shop.queues("enqueue", "fail", "--args", '["bad luck"]', "--wait", "--timeout", "30")
    assert [(one.code, one.out) for one in (good.answer(), bad.answer())] == [(0, "42\n"), (3, "")]
    assert bad.err.splitlines()[1:] == ["failed: ValueError: bad luck"]
    assert worker.stops() == 0
    plan = worker.err[: worker.err.index("litestar queues worker started")]
    for line in (
        "queues     every queue",
        "tasks      100 at a time, 3 known",
        f"store      sqlite file {shop.database}",
        "schedules  report (cron 0 12 * * * UTC)",
        "health     off",
        "drain      30 s",
    ):
        assert line in plan.splitlines()


def test_the_plan_of_a_worker_follows_its_options(shop: Site) -> None:
    options = ("--queue", "a", "--queue", "b", "--max-concurrency", "3", "--drain-timeout", "1.5")
    worker = shop.worker(*options, health_port=0, health_file="health.json", initialize_schedules="no").starts()
    assert worker.stops() == 0
    for line in (
        "queues     a, b",
        "tasks      3 at a time, 3 known",
        "schedules  none",
        "health     port any of 127.0.0.1, file health.json",
        "drain      1.5 s",
    ):
        assert line in worker.err.splitlines()


def test_ctrl_c_ends_a_watch_with_0_and_a_wait_with_130(shop: Site) -> None:
    watching = shop.queues("watch", "--interval", "0.2")
    waiting = shop.queues("enqueue", "double", "--args", "[1]", "--wait")
    until("it has looked twice", lambda: watching.out.count("\n") >= 2, more=lambda: watching.err)
    waiting.says("enqueued")
    for process in (watching, waiting):
        process.send(signal.SIGINT)
    ended = watching.answer()
    assert (ended.code, ended.err) == (0, "")
    stopped = waiting.answer()
    assert (stopped.code, stopped.out, stopped.err.splitlines()[1:]) == (130, "", ["Error: interrupted"])
    assert shop.record("double").status == "pending"


def test_a_pipe_that_closes_early_is_no_crash(shop: Site) -> None:
    shop.enqueue("double", 1, times=600)
    for command in ("list --limit 1000 --json | head -c 10", "watch --interval 0.2 | head -n 1"):
        code, out, err = in_shell(shop, command)
        assert (code, err) == (0, "")
        assert out


def in_shell(site: Site, command: str) -> tuple[int, str, str]:
    line = f"{SCRIPTS}/litestar queues {command}"
    shell = subprocess.run(
        ["sh", "-c", line],
        cwd=site.folder,
        env=site.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return shell.returncode, shell.stdout, shell.stderr


def test_streams_that_are_closed_or_full_are_no_crash(shop: Site) -> None:
    assert in_shell(shop, "enqueue double --args '[1]' <&- >&- 2>&-") == (0, "", "")
    assert shop.record("double").status == "pending"
    assert in_shell(shop, "nope >&- 2>&-") == (2, "", "")
    full = "Error: the answer cannot be written: No space left on device\n"
    assert in_shell(shop, "list > /dev/full") == in_shell(shop, "status --json > /dev/full") == (1, "", full)
    assert in_shell(shop, "show nope 2> /dev/full")[0] != 0


def test_a_worker_works_though_nobody_reads_what_it_says(shop: Site) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    shop.enqueue("double", 1)
    worker = subprocess.Popen(
        [SCRIPTS / "litestar", "queues", "run"], cwd=shop.folder, env=shop.environment, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    try:
        shop.becomes("double", "completed")
        worker.terminate()
        assert worker.wait(PATIENCE) == 0
    finally:
        worker.kill()


def test_letters_that_the_terminal_does_not_have_are_written_as_escapes(shop: Site) -> None:
    worker = shop.worker().starts()
    shop.enqueue("fail", "Pech " + "ü" * 90, queue="mail")
    shop.becomes("fail", "failed")
    assert worker.stops() == 0
    shown = shop.queues("list", env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}).answer()
    assert (shown.code, shown.err) == (0, "")


def test_in_a_terminal_it_is_a_page_and_ctrl_c_ends_it(shop: Site) -> None:
    ours, theirs = pty.openpty()
    environment = shop.environment | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    command = [str(SCRIPTS / "litestar"), "queues", "watch", "--interval", "0.2"]
    shop.enqueue("double", 1)
    process = subprocess.Popen(
        command, cwd=shop.folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    try:
        seen = b""
        while b"Oldest due" not in seen:
            seen += os.read(ours, 65_536)
        assert b"workers: none" in seen
        process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < deadline:
            try:
                seen += os.read(ours, 65_536)
            except OSError:
                break
        assert process.wait(PATIENCE) == 0
        assert b"Traceback" not in seen
        assert seen.rindex(b"\x1b[?1049l") > seen.rindex(b"\x1b[?1049h")  # back on the screen that was there before
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_a_shell_completes_commands_options_and_names(shop: Site) -> None:
    assert {"list", "show", "enqueue", "retry", "watch"} <= completed(shop, "queues", "")
    assert completed(shop, "queues", "enqueue", "d") == {"double"}
    assert completed(shop, "queues", "list", "--status", "c") == {"completed", "cancelled"}
    assert completed(shop, "queues", "pause", "") == {"default", "mail"}
    assert completed(shop, "queues", "schedules", "run", "") == {"report"}
    assert "--older-than" in completed(shop, "queues", "purge", "--")


def test_a_shell_is_offered_nothing_where_there_is_no_app(empty_site: Site) -> None:
    assert completed(empty_site, "queues", "enqueue", "d") == set()


def test_every_command_tells_of_a_missing_app_and_of_a_store_that_fails_in_one_line(empty_site: Site) -> None:
    commands = [
        ("list",),
        ("show", "01a217f3-9e4e-792b-b52a-c3779977ccc1"),
        ("enqueue", "double"),
        ("retry", "--task", "double"),
        ("cancel", "--task", "double"),
        ("purge", "--older-than", "1d"),
        ("pause", "mail"),
        ("resume", "mail"),
        ("workers",),
        ("schedules",),
        ("schedules", "run", "report"),
        ("watch",),
    ]
    homeless = [empty_site.queues(*words) for words in commands]
    assert all("no Litestar app was found" in one.answer().error_line for one in homeless)
    empty_site.write("app.py", FAILING)
    empty_site.set(queue_backend="postgresql://ada:s3cret@127.0.0.1:1/none")
    for words, process in [(words, empty_site.queues(*words)) for words in commands]:
        answer = process.answer()
        assert (words, answer.code, answer.out) == (words, 1, "")
        assert "cannot be reached" in answer.error_line
        assert "s3cret" not in answer.err


def test_json_of_each_command_is_one_object_on_one_line(shop: Site) -> None:
    running = [
        shop.queues(*words, "--json")
        for words in (("list",), ("workers",), ("schedules",), ("pause",), ("watch", "--count", "1"), ("status",))
    ]
    for process in running:
        answer = process.answer()
        assert (answer.code, answer.err, answer.out.count("\n")) == (0, "", 1)
        assert isinstance(json.loads(answer.out), dict)
