"""In: ``list`` and ``show``. Out: pages of records, and all there is to know of one."""

from __future__ import annotations

from uuid import UUID

import pytest

from litestar_queues import steering
from litestar_queues.status import TaskStatus
from tests.builders import make_record
from tests.cli.desk import Desk
from tests.contract.laws import claim_one

NOBODY = str(UUID(int=7))


def test_list_has_a_row_for_each_record_and_the_newest_comes_first(desk: Desk) -> None:
    first, second = desk.enqueue("greet"), desk.enqueue("fail", retries=2)
    heads, dashes, *rows = desk.sees("list").splitlines()
    assert heads.split() == ["Id", "Status", "Task", "Queue", "Attempt", "Enqueued", "Error"]
    assert set(dashes) == {"-", " "}
    assert [row.split()[:7] for row in rows] == [
        [str(second), "pending", "fail", "mail", "0", "of", "3"],
        [str(first), "pending", "greet", "default", "0", "of", "1"],
    ]
    assert [row.split()[0] for row in desk.sees("list", "--oldest-first").splitlines()[2:]] == [str(first), str(second)]


def test_list_of_nothing_is_a_table_without_rows(desk: Desk) -> None:
    assert len(desk.sees("list").splitlines()) == 2
    assert desk.reads("list") == {"records": [], "next": None}


def test_each_filter_finds_what_it_names(desk: Desk) -> None:
    plain = desk.enqueue("greet")
    failed = desk.enqueue("fail", queue="other")
    keyed = desk.enqueue("greet", key="k", run_after=60)
    scheduled = desk.do(lambda service: service.run_schedule_now("report")).id
    desk.do(lambda service: service.pause_queue("default"))  # so that only one runs
    desk.work()

    def found(*words: str) -> set[UUID]:
        return {UUID(one["id"]) for one in desk.reads("list", *words)["records"]}

    everything = {plain, failed, keyed, scheduled}
    assert found("--status", "failed") == {failed}
    assert found("--status", "pending") == {plain, scheduled}
    assert found("--queue", "other") == {failed}
    assert found("--task", "greet") == {plain, keyed}
    assert found("--task", "greet", "--status", "scheduled") == {keyed}
    assert found("--key", "k") == {keyed}
    assert found("--schedule", "report") == {scheduled}
    assert found("--worker", str(desk.record(failed).worker_id)) == {failed}
    assert found("--newer-than", "1h") == found("--older-than", "0") == found() == everything
    assert found("--older-than", "1h") == found("--newer-than", "0") == found("--queue", "nowhere") == set()


@pytest.mark.parametrize(("order", "turn"), [((), "--before"), (("--oldest-first",), "--after")])
def test_pages_follow_each_other_until_all_was_seen_once(desk: Desk, order: tuple[str, ...], turn: str) -> None:
    desk.enqueue("greet", times=5)
    whole = [one["id"] for one in desk.reads("list", *order)["records"]]
    seen: list[str] = []
    cursor: tuple[str, ...] = ()
    while True:
        page = desk.reads("list", *order, "--limit", "2", *cursor)
        seen += [one["id"] for one in page["records"]]
        if page["next"] is None:
            break
        cursor = (turn, page["next"])
    assert seen == whole
    told = desk.types("list", "--limit", "2", *order)
    assert told.stderr == f"There are more: add {turn} {whole[1]}\n"
    assert desk.types("list", "--limit", "5").stderr == ""


def test_a_list_says_where_to_go_on_when_it_has_looked_at_enough(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steering, "MOST_LOOKED_AT", 3)
    wanted = desk.enqueue("greet")
    desk.enqueue("fail", times=4)
    result = desk.types("list", "--task", "greet")
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 2)
    before = result.stderr.split()[-1]
    assert result.stderr == f"Further ones were not looked at: add --before {before}\n"
    assert str(wanted) in desk.sees("list", "--task", "greet", "--before", before)
    assert desk.reads("list", "--task", "greet") == {"records": [], "next": before}


def test_show_tells_what_has_happened_and_each_error_with_its_traceback(desk: Desk) -> None:
    record_id = desk.enqueue("fail", "no luck at all", retries=1, retry_backoff=0.001, key="one", priority=3)
    desk.work()
    desk.work()
    shown = desk.sees("show", str(record_id))
    facts, first, second = shown.split("\n\n")
    told = {line[:12].strip(): line[12:] for line in facts.splitlines()}
    assert told["id"] == str(record_id)
    assert (told["task"], told["queue"], told["status"]) == ("fail", "mail", "failed")
    assert (told["attempt"], told["key"], told["priority"]) == ("2 of 2", "one", "3")
    assert told["args"] == '["no luck at all"]'
    assert told["error"] == "ValueError: no luck at all"
    assert ", waited " in told["started"]
    assert ", ran " in told["ended"]
    assert told["last held"] == f"by {desk.record(record_id).worker_id}"
    assert first.startswith("attempt 1, ")
    assert second.startswith("attempt 2, ")
    for error in (first, second):
        assert error.splitlines()[0].endswith(": ValueError: no luck at all")
        assert "    Traceback (most recent call last):" in error
        assert "    ValueError: no luck at all" in error


def test_show_leaves_out_what_is_not_there(desk: Desk) -> None:
    names = [line.split()[0] for line in desk.sees("show", str(desk.enqueue("greet"))).splitlines()]
    assert names == ["id", "task", "queue", "status", "attempt", "enqueued", "due"]


def test_show_says_who_holds_a_running_record(desk: Desk) -> None:
    record_id = desk.enqueue("greet", queue="held")
    desk.do(lambda service: claim_one(service.backend, "held", worker_id="pod-3:1f"))
    assert "held by     pod-3:1f, which vouches for it until 20" in desk.sees("show", str(record_id))
    desk.do(lambda service: service.cancel_task(record_id, include_running=True))
    assert "status      running, asked to stop" in desk.sees("show", str(record_id))


def test_show_as_json_has_every_field(desk: Desk) -> None:
    record_id = desk.enqueue("fail", key="k")
    desk.work()
    shown = desk.reads("show", str(record_id))
    assert (shown["id"], shown["status"], shown["key"]) == (str(record_id), "failed", "k")
    assert shown["errors"][0]["error"]["type"] == "ValueError"
    assert set(shown) == set(type(desk.record(record_id)).__slots__)


def test_very_long_arguments_are_cut_where_people_read_and_whole_in_json(desk: Desk) -> None:
    record_id = desk.enqueue("greet", "x" * 10_000)
    assert len(desk.sees("show", str(record_id))) < 3_000
    assert desk.reads("show", str(record_id))["args"] == ["x" * 10_000]


def test_a_record_that_is_not_there_is_exit_code_3(desk: Desk) -> None:
    code, line = desk.refused("show", NOBODY)
    assert (code, line) == (
        3,
        f"there is no record {NOBODY}: it was never stored, or its retention is over",
    )


def test_text_of_records_cannot_take_hold_of_the_terminal_and_gives_no_password_away(desk: Desk) -> None:
    evil = "\x1b[2Jgone\r\x07\u202e\x9b31m postgres://ada:s3cret@db/x password=hunter2\nnext line"
    failed = desk.enqueue("fail", evil)
    desk.work()
    desk.do(lambda service: service.backend.enqueue_many([make_record(task="evil \x1b]0;task\x07", queue="evil \t")]))
    for words in (("list",), ("show", str(failed)), ("list", "--json"), ("show", str(failed), "--json")):
        seen = desk.sees(*words)
        assert all(letter.isprintable() or letter == "\n" for letter in seen), words
        assert "s3cret" not in seen
        assert "hunter2" not in seen
    assert "\\x1b[2Jgone\\r" in desk.sees("show", str(failed))
    assert len(desk.sees("list").splitlines()) == 4


WRONG = [
    (("list", "--status", "no-such"), "--status"),
    (("list", "--limit", "0"), "--limit"),
    (("list", "--limit", "1001"), "--limit"),
    (("list", "--older-than", "yesterday"), "--older-than"),
    (("list", "--older-than", "-1"), "--older-than"),
    (("list", "--older-than", "nan"), "--older-than"),
    (("list", "--newer-than", "99999999w"), "--newer-than"),
    (("list", "--queue", ""), "--queue"),
    (("list", "--task", "a\x1bb"), "--task"),
    (("list", "--key", "k" * 256), "--key"),
    (("list", "--before", "newest"), "--before"),
    (("show", "newest"), "newest"),
    (("show",), "ID"),
]


@pytest.mark.parametrize(("words", "named"), WRONG)
def test_a_wrong_option_is_one_line_that_names_it_and_exit_code_2(
    file_desk: Desk, words: tuple[str, ...], named: str
) -> None:
    code, line = file_desk.refused(*words)
    assert code == 2
    assert line.startswith("Error: ")
    assert named in line
    assert line.isprintable()


def test_every_status_can_be_asked_for(file_desk: Desk) -> None:
    for status in TaskStatus:
        assert file_desk.reads("list", "--status", str(status)) == {"records": [], "next": None}
