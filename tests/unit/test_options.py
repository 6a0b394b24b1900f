"""In: options, as users write them. Out: one checked value, or a refusal that names the option and what it accepts."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from litestar_queues.errors import InvalidArgumentError
from litestar_queues.options import OPTION_NAMES, SCHEDULE_NAMES, TaskKeywords, TaskOptions, TaskOverrides, is_name
from litestar_queues.retry import RetryBackoff
from litestar_queues.tasks import Task

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
UNPRINTABLE: list[Any] = ["", "a\0b", "a\nb", "a\tb", "\x1b[31m", "a\x7fb", "a\u202eb", "\ud800", "a" * 256, 7, b"mail"]
NOT_SECONDS: list[Any] = [-1, -0.001, math.nan, math.inf, -math.inf, 10**400, True, "5", [], 101 * 366 * 86_400]

WRONG: list[tuple[str, Any]] = [
    *(("queue", value) for value in [*UNPRINTABLE, None, "litestar-queues.canary"]),
    *((name, value) for name in ("key", "execution_backend", "execution_profile") for value in UNPRINTABLE),
    *((name, value) for name in ("timeout", "unique_for", "expires_in") for value in [*NOT_SECONDS, 0]),
    *(("run_after", value) for value in [*NOT_SECONDS, timedelta(seconds=-1)]),
    *(("retry_backoff", value) for value in [*NOT_SECONDS, timedelta(seconds=1)]),
    *(("priority", value) for value in (1.0, True, None, "high", 2**31, -(2**31) - 1)),
    *(("retries", value) for value in (-1, 1.5, True, None, math.inf, 10_001)),
    *(("unique_by", value) for value in ("args", True, ["task"])),
    *(("scheduled_at", value) for value in (datetime(2026, 1, 2), NOON.date(), NOON.isoformat(), 0)),  # noqa: DTZ001
    *(("scheduled_at", value.replace(tzinfo=UTC)) for value in (datetime.min, datetime.max)),  # noqa: DTZ901
    *(("description", value) for value in ("a\0b", 7)),
    *((name, value) for name in ("sync_to_thread", "at_most_once") for value in (1, None, "yes")),
    *(("metadata", value) for value in ([("a", 1)], "a", 7)),
]

RIGHT: list[tuple[str, Any]] = [
    *(("queue", value) for value in ("mail", "Ümläute 2", "a" * 255, "litestar-queues")),
    *((name, value) for name in ("timeout", "unique_for", "expires_in") for value in (None, 0.001, 60, 1e9)),
    *(("run_after", value) for value in (None, 0, 0.5, 1e9)),
    *(("priority", value) for value in (0, -5, 2**31 - 1, -(2**31))),
    *(("retries", value) for value in (0, 10_000)),
    *(("unique_by", value) for value in (None, "task", "arguments")),
    *(("scheduled_at", value) for value in (None, NOON, NOON.astimezone(timezone(timedelta(hours=5.75))))),
    *(("description", value) for value in (None, "", "Two\nlines")),
    *(("metadata", value) for value in (None, dict[str, Any](), MappingProxyType({"origin": "web"}))),
]


@pytest.mark.parametrize(("option", "value"), WRONG)
def test_a_wrong_value_is_refused_by_the_name_of_its_option(option: str, value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"^{option}=.* is not accepted: use "):
        TaskOptions(**{option: value})


@pytest.mark.parametrize(("option", "value"), RIGHT)
def test_a_right_value_is_kept(option: str, value: Any) -> None:
    assert getattr(TaskOptions(**{option: value}), option) == value


@given(text=st.text(max_size=300))
def test_a_name_is_printable_and_of_bounded_length(text: str) -> None:
    assert is_name(text) == (1 <= len(text) <= 255 and text.isprintable())


@given(text=st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), min_size=1), at=st.integers(0, 3))
def test_a_control_character_anywhere_makes_it_no_name(text: str, at: int) -> None:
    assert not is_name("mail"[:at] + text + "mail"[at:])


def test_a_delay_may_be_a_timedelta() -> None:
    assert TaskOptions(run_after=timedelta(minutes=1)).run_after == 60  # type: ignore[arg-type]
    assert TaskOptions().merge({"run_after": timedelta(milliseconds=1500)}).run_after == 1.5


def test_a_number_as_backoff_is_that_delay_each_time() -> None:
    assert TaskOptions().merge({"retry_backoff": 5}).retry_backoff == RetryBackoff.of(5)


def test_two_due_times_at_once_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"run_after and scheduled_at .* use one of them"):
        TaskOptions(run_after=1, scheduled_at=NOON)
    with pytest.raises(InvalidArgumentError, match="run_after and scheduled_at"):
        TaskOptions().merge({"run_after": 1, "scheduled_at": NOON})


def test_a_due_time_replaces_the_other_kind_of_due_time() -> None:
    delayed, planned = TaskOptions(run_after=60), TaskOptions(scheduled_at=NOON)
    assert delayed.merge({"scheduled_at": NOON}) == planned
    assert planned.merge({"run_after": 60}) == delayed
    assert delayed.merge({"run_after": 0}).run_after == 0
    assert delayed.merge({"scheduled_at": None}) == delayed
    assert planned.merge({"run_after": None}) == planned


def test_at_most_once_leaves_no_retries() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^at_most_once=True and retries=2 exclude each other: a retry is"):
        TaskOptions(retries=2).merge({"at_most_once": True})
    assert TaskOptions(retries=2).merge({"at_most_once": True, "retries": 0}).at_most_once


def test_merging_changes_what_it_names_and_nothing_else() -> None:
    options = TaskOptions(queue="mail", priority=1)
    assert options.merge({"priority": 9}) == TaskOptions(queue="mail", priority=9)
    assert options.merge({}) == options == TaskOptions(queue="mail", priority=1)


@pytest.mark.parametrize(
    ("misspelled", "meant"),
    [("prioritty", "priority"), ("time_out", "timeout"), ("retry", "retries"), ("schedule_at", "scheduled_at")],
)
def test_a_misspelled_option_is_answered_with_the_one_that_was_meant(misspelled: str, meant: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^'{misspelled}' is no option of a task: did you mean '{meant}'"):
        TaskOptions().merge({misspelled: 1})


def test_an_option_that_resembles_none_is_answered_with_all() -> None:
    with pytest.raises(InvalidArgumentError) as refusal:
        TaskOptions().merge({"zzz": 1})
    assert str(refusal.value) == f"'zzz' is no option of a task: use one of {', '.join(sorted(OPTION_NAMES))}"


def test_what_type_checkers_accept_is_what_is_accepted() -> None:
    assert set(TaskOverrides.__annotations__) == OPTION_NAMES
    assert set(TaskKeywords.__annotations__) == (OPTION_NAMES - {"scheduled_at", "metadata"}) | SCHEDULE_NAMES


def test_using_gives_another_task_and_leaves_the_first() -> None:
    def send(to: str) -> str:
        """Send a mail."""
        return to

    task = Task(send, name="send", options=TaskOptions(queue="mail", retries=3))
    urgent = task.using(priority=9, key="k")
    assert (urgent.name, urgent.function, urgent.signature) == ("send", send, task.signature)
    assert urgent.options == TaskOptions(queue="mail", retries=3, priority=9, key="k")
    assert task.options == TaskOptions(queue="mail", retries=3)
    assert urgent("ada") == "ada"
    with pytest.raises(InvalidArgumentError, match=re.escape("timeout=-1 is not accepted: use a number of seconds")):
        task.using(timeout=-1)
    with pytest.raises(InvalidArgumentError, match="did you mean 'queue'"):
        task.using(queu="mail")  # type: ignore[call-arg]
