"""In: ``schedules``. Out: when each is due and how it went; one run now, paused, resumed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from litestar_queues.ticks import TickBatch
from tests.builders import make_schedule, make_tick
from tests.cli.desk import Desk

TOMORROW = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)


def stored(desk: Desk, **changes: Any) -> None:
    """Let a worker store the schedule of the app."""
    schedule = make_schedule(task="report", first_at=TOMORROW, **changes)
    desk.do(lambda service: service.backend.sync_schedules([schedule]))


def fired(desk: Desk, at: datetime, task: str) -> None:
    """Let the schedule fire, and its record run."""
    batch = TickBatch("report", TOMORROW, [make_tick(at, task=task)], TOMORROW, overlap=False)
    desk.do(lambda service: service.backend.fire_ticks(batch))
    desk.work()


def row(desk: Desk, name: str = "report") -> str:
    [found] = [line for line in desk.sees("schedules").splitlines() if line.startswith(f"{name} ")]
    return found


def test_a_schedule_that_no_worker_has_stored_is_listed_all_the_same(desk: Desk) -> None:
    heads, _, only = desk.sees("schedules").splitlines()
    assert heads.split("  ")[0] == "Schedule"
    assert only.split("  ")[0] == "report"
    assert "no worker yet" in only
    assert only.endswith("cron 0 12 * * * UTC")
    [as_json] = desk.reads("schedules")["schedules"]
    assert (as_json["name"], as_json["task"], as_json["next_at"]) == ("report", "report", None)


def test_next_due_time_and_the_last_outcome_are_told(desk: Desk) -> None:
    stored(desk)
    assert f"  active  {TOMORROW:%Y-%m-%d %H:%M:%S}Z  -" in row(desk)
    fired(desk, TOMORROW - timedelta(days=2), "greet")
    assert "  completed  " in row(desk)
    fired(desk, TOMORROW - timedelta(days=1), "fail")
    assert "  failed ValueError: no luck  " in row(desk)
    [as_json] = desk.reads("schedules")["schedules"]
    assert (as_json["last_status"], as_json["last_error"]) == ("failed", "ValueError: no luck")
    assert desk.record(UUID(as_json["last_record"])).task_name == "fail"
    assert set(as_json) == {
        *("name", "task", "definition", "state", "next_at", "last_at", "last_record", "last_status", "last_error"),
    }


def test_a_schedule_of_another_release_and_one_that_is_overdue_are_told_apart(desk: Desk) -> None:
    stored(desk, name="former")
    assert "  not in this app  " in row(desk, "former")
    long_ago = make_schedule(task="report", first_at=datetime.now(UTC) - timedelta(hours=3))
    desk.do(lambda service: service.backend.sync_schedules([long_ago]))
    assert "  overdue 3.0 h  " in row(desk)


def test_one_run_now_is_a_record_due_at_once_and_the_next_stays(desk: Desk) -> None:
    stored(desk)
    record = desk.record(UUID(desk.sees("schedules", "run", "report").strip()))
    assert (record.task_name, record.schedule, record.status) == ("report", "report", "pending")
    assert desk.reads("schedules", "run", "report")["task"] == "report"
    assert f"{TOMORROW:%Y-%m-%d %H:%M:%S}Z" in row(desk)


def test_a_paused_schedule_says_so_until_it_is_resumed(desk: Desk) -> None:
    stored(desk)
    assert desk.sees("schedules", "pause", "report") == "paused report\n"
    assert "  paused  -" in row(desk)
    assert desk.sees("schedules", "resume", "report") == "resumed report\n"
    assert "  active  " in row(desk)


@pytest.mark.parametrize("verb", ["run", "pause", "resume"])
def test_a_name_that_is_not_there_is_exit_code_3(file_desk: Desk, verb: str) -> None:
    code, line = file_desk.refused("schedules", verb, "reprot")
    assert code == 3
    assert "'reprot'" in line
    assert file_desk.refused("schedules", verb)[0] == file_desk.refused("schedules", verb, "a\nb")[0] == 2


def test_a_stored_schedule_whose_task_this_app_does_not_know_cannot_be_run(file_desk: Desk) -> None:
    schedule = make_schedule("former", task="former", first_at=TOMORROW)
    file_desk.do(lambda service: service.backend.sync_schedules([schedule]))
    code, line = file_desk.refused("schedules", "run", "former")
    assert code == 1
    assert "no task 'former' is registered" in line
    assert file_desk.counts() == {}


def test_an_unknown_verb_is_one_line(file_desk: Desk) -> None:
    code, line = file_desk.refused("schedules", "stop")
    assert code == 2
    assert "'stop'" in line
