"""In: ``workers``, ``pause`` and ``resume``. Out: who works on what; queues that are passed over, and no more."""

from __future__ import annotations

import pytest

from litestar_queues.cli import fleet
from litestar_queues.records import CANARY_QUEUE
from tests.builders import make_report
from tests.cli.desk import Desk
from tests.contract.laws import claim


def begin_work(desk: Desk, worker_id: str, *queues: str, **told: object) -> None:
    """Let a worker tell of itself and claim what is in its queues."""
    desk.do(lambda service: service.backend.report_worker(make_report(worker_id, **told), lease=60))
    desk.do(lambda service: claim(service.backend, *queues, worker_id=worker_id))


def test_workers_are_listed_with_what_each_runs_now(desk: Desk) -> None:
    held = desk.enqueue("greet", queue="a")
    begin_work(desk, "one:1", "a", host="node-1", pid=17, version="2.0", queues=("a", "b"), max_concurrency=4)
    begin_work(desk, "two:2", "b", host="node-2", draining=True, running=3)
    heads, _, first, second, _, title, run = desk.sees("workers").splitlines()
    assert heads.split() == [
        *("Worker", "State", "Running", "Slots", "Queues", "Host", "Pid", "Version", "Up", "Seen"),
    ]
    assert first.split()[:9] == ["one:1", "working", "1", "4", "a,", "b", "node-1", "17", "2.0"]
    assert first.endswith(" ago")
    assert second.split()[:6] == ["two:2", "draining", "0", "8", "every", "queue"]
    assert title == "one:1 runs"
    assert run.startswith(f"  {held}  greet  for ")
    desk.sees("cancel", str(held), "--running")
    assert desk.sees("workers").splitlines()[-1].endswith(", asked to stop")


def test_workers_as_json_have_all_that_they_told_and_all_runs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "_PAGE", 5)
    desk.enqueue("greet", queue="a", times=12)
    begin_work(desk, "one:1", "a", running=12)
    desk.do(lambda service: service.backend.report_worker(make_report("gone:1"), lease=0))
    gone, one = desk.reads("workers")["workers"]
    assert (gone["state"], gone["alive"], gone["runs"]) == ("lost", False, [])
    assert (one["worker_id"], one["state"], one["running"], one["queues"]) == ("one:1", "working", 12, [])
    assert len(one["runs"]) == 12
    assert set(one["runs"][0]) == {"id", "task", "queue", "started_at"}
    assert desk.sees("workers").splitlines()[-1] == "  and 2 more: litestar queues list --worker one:1"


def test_a_paused_queue_stays_so_until_it_is_resumed(desk: Desk) -> None:
    assert desk.sees("pause", "mail") == "paused mail until `litestar queues resume mail`\n"
    waiting = desk.enqueue("fail")
    desk.work()
    assert desk.status(waiting) == "pending"
    assert desk.sees("resume", "mail") == "resumed mail\n"
    desk.work()
    assert desk.status(waiting) == "failed"


def test_a_pause_for_a_time_says_until_when_and_all_are_listed(desk: Desk) -> None:
    told = desk.sees("pause", "mail", "default", "--for", "10m")
    assert [line[:20] for line in told.splitlines()] == ["paused default until", "paused mail until 20"]
    desk.sees("pause", "default")
    heads, _, default, mail = desk.sees("pause").splitlines()
    assert heads.split() == ["Queue", "Since", "Until"]
    assert default.split()[0] == "default"
    assert default.endswith("  resumed")
    assert mail.endswith("Z")
    first, second = desk.reads("pause")["paused"]
    assert (first["queue"], first["until"], second["queue"]) == ("default", None, "mail")
    assert desk.reads("pause", "mail", "--for", "1h")["paused"][0]["queue"] == "mail"


def test_a_queue_that_nobody_knows_is_paused_with_a_note(desk: Desk) -> None:
    told = desk.types("pause", "mial")
    assert told.exit_code == 0
    assert told.stderr == "Note: no task of this app has the queue mial, nor has any live record\n"
    desk.enqueue("greet", queue="known")
    assert desk.types("pause", "known").stderr == ""


def test_resuming_what_is_not_paused_is_exit_code_3_and_the_others_are_resumed(desk: Desk) -> None:
    assert desk.refused("resume", "mail") == (3, "not paused: mail; no queue is paused")
    desk.sees("pause", "mail", "default")
    told = desk.types("resume", "mail", "mial")
    assert (told.exit_code, told.stdout) == (3, "resumed mail\n")
    assert told.stderr == "not paused: mial; paused are default\n"


WRONG = [
    (("pause", CANARY_QUEUE), 1, "cannot be paused"),
    (("pause", "mail", "--for", "0"), 2, "--for 0"),
    (("pause", "mail", "--for", "soon"), 2, "--for"),
    (("pause", "--for", "10m"), 2, "name a queue"),
    (("pause", "a\x1bb"), 2, "QUEUE"),
    (("resume",), 2, "QUEUE"),
]


@pytest.mark.parametrize(("words", "code", "reason"), WRONG)
def test_what_is_wrong_is_one_line(file_desk: Desk, words: tuple[str, ...], code: int, reason: str) -> None:
    assert file_desk.refused(*words)[0] == code
    assert reason in file_desk.refused(*words)[1]
    assert file_desk.reads("pause") == {"paused": []}
