"""In: values that travel between the rooms. Out: what they say about themselves."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from litestar_queues.options import TaskOptions
from litestar_queues.records import CANARY_QUEUE, NewRecord, QueuedTaskRecord, QueueStatistics
from litestar_queues.status import TERMINAL, TaskStatus

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def make_record(**fields: Any) -> QueuedTaskRecord:
    needed: dict[str, Any] = {
        "id": UUID(int=1),
        "task_name": "send",
        "queue": "mail",
        "status": TaskStatus.PENDING,
        "created_at": NOW,
        "scheduled_at": NOW,
    }
    return QueuedTaskRecord(**needed | fields)


@given(counts=st.lists(st.integers(0, 10**12), min_size=6, max_size=6))
def test_the_total_is_the_sum_of_all_states(counts: list[int]) -> None:
    statistics = QueueStatistics(*counts)
    assert statistics.total == sum(counts)
    assert list(statistics.as_dict().values()) == [*counts, sum(counts)]


def test_statistics_name_every_state_once_and_the_total_last() -> None:
    assert list(QueueStatistics().as_dict()) == [*(status.value for status in TaskStatus), "total"]


@pytest.mark.parametrize("status", TaskStatus)
def test_a_record_is_terminal_in_its_last_states(status: TaskStatus) -> None:
    assert make_record(status=status).is_terminal == (status in TERMINAL)


@pytest.mark.parametrize(("attempt", "retried"), [(0, 0), (1, 0), (2, 1), (5, 4)])
def test_retries_are_the_attempts_after_the_first(attempt: int, retried: int) -> None:
    record = make_record(attempt=attempt, max_attempts=5)
    assert (record.retry_count, record.max_retries) == (retried, 4)


def test_a_record_as_it_was_read_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_record().status = TaskStatus.COMPLETED  # type: ignore[misc]


def test_no_two_records_share_what_may_be_filled_in() -> None:
    assert make_record().metadata is not make_record().metadata


def test_a_new_record_and_a_task_without_options_mean_the_same() -> None:
    record, options = NewRecord(UUID(int=1), "send", b"[[],{}]"), TaskOptions()
    assert (record.queue, record.priority, record.max_attempts) == (options.queue, options.priority, 1)
    assert (record.timeout, record.key, record.delay, record.expires_in) == (None, None, 0, None)


def test_the_queue_of_the_canary_is_reserved() -> None:
    with pytest.raises(ValueError, match=r"does not begin with 'litestar-queues\.'"):
        TaskOptions(queue=CANARY_QUEUE)
