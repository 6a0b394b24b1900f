"""In: ``watch``. Out: a line for each look where nobody sits before it, a page in a terminal; outages pass."""

from __future__ import annotations

import json

import pytest

from litestar_queues.cli import watch
from litestar_queues.errors import BackendUnavailableError
from tests.builders import make_report
from tests.cli.desk import Desk


def test_without_a_terminal_each_look_is_a_line(desk: Desk) -> None:
    desk.enqueue("greet")
    desk.do(lambda service: service.pause_queue("mail"))
    desk.do(lambda service: service.backend.report_worker(make_report(), lease=60))
    first, second = desk.sees("watch", "--interval", "0.2", "--count", "2").splitlines()
    counts = "pending=1 scheduled=0 running=0 completed=0 failed=0 cancelled=0 total=1 workers=1 paused=1"
    assert first[20:] == second[20:] == f" {counts}"
    assert first[19] == "Z"


def test_as_json_each_look_is_an_object(desk: Desk) -> None:
    desk.enqueue("greet")
    look = json.loads(desk.sees("watch", "--json", "--count", "1"))
    assert list(look) == ["at", "counts", "queues", "paused", "workers", "canary_completed_at"]
    assert look["counts"]["total"] == 1
    assert look["queues"][0]["queue"] == "default"
    assert look["workers"] == {"working": 0, "draining": 0, "lost": 0}


def test_the_page_shows_queues_workers_and_the_latest_failures(desk: Desk) -> None:
    failed = desk.enqueue("fail", "no \x1b[2Jluck")
    desk.work()
    desk.enqueue("greet")
    desk.do(lambda service: service.pause_queue("photos"))
    desk.do(lambda service: service.backend.report_worker(make_report(), lease=60))
    page = watch._page(desk.do(watch._look))
    assert "workers: 1 working   the canary has not completed yet" in page
    assert "pending 1   scheduled 0   running 0   completed 0   failed 1" in page
    [default] = [line for line in page.splitlines() if line.startswith("default ")]
    [photos] = [line for line in page.splitlines() if line.startswith("photos ")]
    [failure] = [line for line in page.splitlines() if line.startswith(str(failed))]
    assert default.split()[:4] == ["default", "1", "0", "0"]
    assert photos.endswith("until resumed")
    assert failure.endswith("ValueError: no \\x1b[2Jluck")


def test_an_outage_after_the_first_look_is_told_and_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    look, calls = watch._look, []

    async def sometimes(service: object) -> object:
        calls.append(service)
        if len(calls) == 2:
            raise BackendUnavailableError("the store cannot be reached now")
        return await look(service)  # type: ignore[arg-type]

    monkeypatch.setattr(watch, "_look", sometimes)
    seen = desk.types("watch", "--interval", "0.2", "--count", "3")
    assert (seen.exit_code, seen.stdout.count("\n")) == (0, 2)
    assert seen.stderr.endswith(" the store cannot be reached now\n")


def test_an_outage_at_the_first_look_is_exit_code_1(tmp_path: object) -> None:
    code, line = Desk(queue_backend=f"sqlite:///{tmp_path}/missing/queue.db").refused("watch", "--count", "1")
    assert code == 1
    assert "cannot be used now" in line


def test_it_ends_with_0_when_it_is_interrupted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(_: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(watch, "_look", interrupted)
    assert desk.sees("watch") == ""


@pytest.mark.parametrize("words", [("--count", "0"), ("--interval", "soon"), ("--interval", "-1")])
def test_a_wrong_option_is_exit_code_2(file_desk: Desk, words: tuple[str, ...]) -> None:
    code, line = file_desk.refused("watch", *words)
    assert code == 2
    assert words[0] in line
