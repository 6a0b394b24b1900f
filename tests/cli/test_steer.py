"""In: ``retry``, ``cancel`` and ``purge``. Out: the records that were meant, changed; all others as they were."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from litestar_queues.cli import steer
from litestar_queues.cli.group import INTERRUPTED
from litestar_queues.service import QueueService
from tests.cli.desk import Desk
from tests.contract.laws import claim_one

NOBODY = str(UUID(int=7))
UNSAID = "Error: nothing was changed, for nobody said yes: answer, or add --yes"


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few records are many."""
    monkeypatch.setattr(steer, "_BATCH", 2)


def failed(desk: Desk, times: int = 1, **options: object) -> UUID:
    record_id = desk.enqueue("fail", times=times, **options)
    desk.work()
    return record_id


# retry


def test_a_failed_record_runs_again(desk: Desk) -> None:
    record_id = failed(desk)
    assert desk.sees("retry", str(record_id)) == "retried 1 record\n"
    assert (desk.status(record_id), desk.record(record_id).attempt) == ("pending", 0)


def test_all_that_filters_find_run_again_once_somebody_says_yes(desk: Desk) -> None:
    failed(desk, times=5)
    other = failed(desk, queue="other")
    assert desk.sees("retry", "--queue", "mail", "--dry-run") == "would retry 5 records\n"
    assert desk.reads("retry", "--queue", "mail", "--dry-run") == {"found": 5}
    for answer in ("n\n", ""):
        declined = desk.types("retry", "--queue", "mail", answer=answer)
        assert (declined.exit_code, declined.stdout) == (1, "")
        assert declined.stderr.startswith("Retry 5 records? [y/N]: ")
        assert declined.stderr.endswith(f"{UNSAID}\n")
    assert desk.counts() == {"failed": 6}
    agreed = desk.types("retry", "--queue", "mail", answer="y\n")
    assert (agreed.exit_code, agreed.stdout) == (0, "retried 5 records\n")
    assert desk.counts() == {"pending": 5, "failed": 1}
    assert desk.status(other) == "failed"


def test_filters_of_a_retry_find_failed_ones_unless_others_are_named(desk: Desk) -> None:
    failed(desk)
    desk.sees("cancel", str(desk.enqueue("fail")))
    assert desk.reads("retry", "--task", "fail", "--yes") == {"changed": 1, "stopping": 0, "left_alone": {}}
    assert desk.reads("retry", "--status", "cancelled", "-y")["changed"] == 1
    assert desk.sees("retry", "--task", "fail", "--yes") == "retried 0 records\n"


def test_what_cannot_be_retried_is_left_alone_with_the_reason_and_the_others_are_retried(desk: Desk) -> None:
    good, waiting, running = failed(desk), desk.enqueue("greet", run_after=60), desk.enqueue("greet", queue="held")
    desk.do(lambda service: claim_one(service.backend, "held"))
    done = desk.enqueue("greet")
    keyed = failed(desk, key="k")
    holder = desk.enqueue("greet", key="k", run_after=60)
    before = desk.counts()
    told = desk.types("retry", *map(str, (waiting, running, done, keyed, good)), NOBODY)
    only = "and only failed and cancelled records can be retried"
    assert (told.exit_code, told.stdout) == (3, "retried 1 record\n")
    assert sorted(told.stderr.splitlines()) == sorted(
        [
            f"left alone {waiting}: it is scheduled, {only}",
            f"left alone {running}: it is running, {only}",
            f"left alone {done}: it is completed, {only}",
            f"left alone {keyed}: another live record has its key 'k': retry it once that one has ended",
            f"left alone {NOBODY}: there is no such record",
        ]
    )
    assert desk.counts() == {**before, "pending": 1, "failed": before["failed"] - 1}
    assert desk.status(holder) == "scheduled"
    assert desk.refused("retry", str(done)) == (3, f"left alone {done}: it is completed, {only}")
    assert desk.reads("retry", str(done))["left_alone"] == {str(done): f"it is completed, {only}"}


def test_of_very_many_that_are_left_alone_the_first_are_named(file_desk: Desk) -> None:
    told = file_desk.types("retry", *[str(uuid4()) for _ in range(50)])
    assert told.exit_code == 3
    assert told.stderr.splitlines()[20:] == ["left alone 30 more"]


# cancel


def test_what_waits_is_cancelled_and_what_runs_is_asked_to_stop_only_where_told_so(desk: Desk) -> None:
    waiting, later = desk.enqueue("greet"), desk.enqueue("greet", run_after=60)
    running = desk.enqueue("greet", queue="held")
    desk.do(lambda service: claim_one(service.backend, "held"))
    assert desk.sees("cancel", "--task", "greet", "--yes") == "cancelled 2 records\n"
    assert [desk.status(one) for one in (waiting, later, running)] == ["cancelled", "cancelled", "running"]
    code, line = desk.refused("cancel", str(running))
    assert (code, line) == (3, f"left alone {running}: it is running: add --running to ask its worker to stop it")
    assert not desk.record(running).cancel_requested
    stopped = desk.sees("cancel", str(running), "--running")
    assert stopped == "cancelled 1 record (1 still running, told to stop)\n"
    assert desk.record(running).cancel_requested


def test_the_state_running_is_word_enough(desk: Desk) -> None:
    desk.enqueue("greet")
    desk.enqueue("greet", queue="held")
    desk.do(lambda service: claim_one(service.backend, "held"))
    answer = desk.reads("cancel", "--status", "running", "--yes")
    assert answer == {"changed": 1, "stopping": 1, "left_alone": {}}
    assert desk.counts() == {"pending": 1, "running": 1}


def test_an_ended_record_cannot_be_cancelled(desk: Desk) -> None:
    record_id = failed(desk)
    why = "it is failed already, and only records that wait or run can be cancelled"
    assert desk.refused("cancel", str(record_id)) == (3, f"left alone {record_id}: {why}")
    assert desk.refused("cancel", NOBODY) == (3, f"left alone {NOBODY}: there is no such record")
    assert desk.status(record_id) == "failed"


def test_cancel_asks_first(desk: Desk) -> None:
    desk.enqueue("greet", times=3)
    assert desk.types("cancel", "--queue", "default", answer="no\n").exit_code == 1
    assert desk.types("cancel", "--queue", "nowhere").stdout == "cancelled 0 records\n"
    assert desk.sees("cancel", "--queue", "default", "--dry-run") == "would cancel 3 records\n"
    assert desk.counts() == {"pending": 3}


def test_an_interrupted_change_says_how_far_it_came(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.enqueue("greet", times=5)
    backend = type(desk.plugin.service.backend)
    cancel_many, calls = backend.cancel_many, []

    async def interrupted(*args: object, **options: object) -> object:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return await cancel_many(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(backend, "cancel_many", interrupted)
    ended = desk.types("cancel", "--task", "greet", "--yes")
    assert (ended.exit_code, ended.stdout) == (INTERRUPTED, "")
    assert ended.stderr == "Error: interrupted: 2 of 5 records cancelled\n"
    assert desk.counts() == {"pending": 3, "cancelled": 2}


# purge


def test_purge_deletes_what_has_ended_long_enough_ago_in_batches(desk: Desk) -> None:
    failed(desk, times=5)
    desk.enqueue("greet", times=3)
    desk.work()
    desk.sees("cancel", str(desk.enqueue("greet")))
    desk.enqueue("greet")
    assert desk.sees("purge", "--older-than", "1h", "--yes") == "deleted 0 records\n"
    assert desk.reads("purge", "--older-than", "0", "--status", "failed", "--yes") == {"purged": {"failed": 5}}
    assert desk.counts() == {"completed": 3, "cancelled": 1, "pending": 1}
    assert desk.sees("purge", "--older-than", "0", "--yes") == "deleted 4 records\n"
    assert desk.counts() == {"pending": 1}


def test_purge_asks_first_and_says_what_is_at_stake(desk: Desk) -> None:
    failed(desk, times=2)
    declined = desk.types("purge", "--older-than", "7d", "--status", "failed")
    question = "Delete 0 records (failed) that ended more than 7.0 d ago? [y/N]: "
    assert (declined.exit_code, declined.stdout, declined.stderr) == (1, "", f"{question}{UNSAID}\n")
    assert desk.types("purge", "--older-than", "0", answer="y\n").stdout == "deleted 2 records\n"


def test_a_purge_that_is_only_tried_counts_what_would_go_and_deletes_nothing(desk: Desk) -> None:
    failed(desk, times=5)
    desk.enqueue("greet", times=3)
    desk.work()
    before = desk.counts()
    assert desk.sees("purge", "--older-than", "0", "--dry-run") == "would delete 8 records\n"
    assert desk.sees("purge", "--older-than", "1h", "--dry-run", "--yes") == "would delete 0 records\n"
    found = {"completed": 3, "failed": 5, "cancelled": 0}
    assert desk.reads("purge", "--older-than", "0", "--dry-run") == {"found": found}
    assert desk.reads("purge", "--older-than", "0", "--dry-run", "--status", "failed") == {"found": {"failed": 5}}
    assert desk.counts() == before


def test_an_interrupted_purge_says_how_far_it_came(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    failed(desk, times=5)
    purge, calls = QueueService.purge, []

    async def interrupted(*args: object, **options: object) -> int:
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return await purge(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(QueueService, "purge", interrupted)
    ended = desk.types("purge", "--older-than", "0", "--status", "failed", "--yes")
    assert (ended.exit_code, ended.stderr) == (INTERRUPTED, "Error: interrupted: deleted 4 records\n")
    assert desk.counts() == {"failed": 1}


WRONG = [
    (("retry",), "name the ids of records to retry, or filters"),
    (("cancel",), "name the ids of records to cancel, or filters"),
    (("cancel", NOBODY, "--task", "greet"), "not both"),
    (("retry", "newest"), "newest"),
    (("retry", "--status", "running"), "--status"),
    (("cancel", "--status", "failed"), "--status"),
    (("purge",), "--older-than"),
    (("purge", "--older-than", "soon"), "--older-than"),
    (("purge", "--older-than", "1d", "--status", "running"), "--status"),
]


@pytest.mark.parametrize(("words", "reason"), WRONG)
def test_a_wrong_call_is_one_line_and_exit_code_2(file_desk: Desk, words: tuple[str, ...], reason: str) -> None:
    code, line = file_desk.refused(*words)
    assert code == 2
    assert reason in line
