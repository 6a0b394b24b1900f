"""In: ``enqueue``. Out: one more record, or one line that says why not; with ``--wait`` how it ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest

from litestar_queues import QueueService
from tests.cli.desk import Desk
from tests.worker.harness import until_found


@contextmanager
def somebody_works(desk: Desk) -> Iterator[None]:
    """Another process, as far as the store can tell, that runs what is due."""
    done = threading.Event()
    other = Desk.beside(desk)

    def work() -> None:
        while not done.wait(0.05):
            other.work()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    done.set()
    thread.join()


def test_it_prints_the_id_of_the_record_that_it_stored(desk: Desk) -> None:
    printed = desk.sees("enqueue", "greet")
    record = desk.record(UUID(printed.strip()))
    assert (record.task_name, record.queue, record.status, record.args) == ("greet", "default", "pending", ())


def test_arguments_and_options_arrive(desk: Desk) -> None:
    at = "00000000-0000-0000-0000-000000000001"
    options = ("--queue", "slow", "--priority", "-5", "--key", "k", "--run-after", "1h30m")
    record = desk.record(
        UUID(desk.sees("enqueue", "note", "--args", f'["{at}"]', "--kwargs", '{"times": 2}', *options).strip())
    )
    assert (record.args, dict(record.kwargs)) == ((at,), {"times": 2})
    assert (record.queue, record.priority, record.key, record.status) == ("slow", -5, "k", "scheduled")
    assert (record.scheduled_at - record.created_at).total_seconds() == pytest.approx(5_400, abs=5)


def test_an_argument_that_is_called_as_an_option_is_an_argument(desk: Desk) -> None:
    code, line = desk.refused("enqueue", "greet", "--kwargs", '{"queue": "mail"}')
    assert code == 1
    assert "'queue'" in line


def test_a_key_that_is_taken_gives_the_record_that_has_it(desk: Desk) -> None:
    first = desk.reads("enqueue", "greet", "--key", "k")
    assert first == {"id": first["id"], "task": "greet", "created": True}
    again = desk.types("enqueue", "greet", "--key", "k", "--json")
    assert (again.exit_code, again.stderr) == (0, f"Note: the key was taken, so this record has it: {first['id']}\n")
    assert desk.reads("enqueue", "greet", "--key", "k") == {**first, "created": False}
    assert desk.counts() == {"pending": 1}


def test_wait_prints_the_result_and_the_exit_code_tells_the_outcome(desk: Desk) -> None:
    with somebody_works(desk):
        good = desk.types("enqueue", "greet", "--args", '["ada"]', "--wait", "--timeout", "20")
        bad = desk.types("enqueue", "fail", "--args", '["no\\nluck"]', "--wait", "--timeout", "20")
        as_json = desk.reads("enqueue", "greet", "--wait", "--timeout", "20")
    assert (good.exit_code, good.stdout) == (0, '"hello ada"\n')
    assert good.stderr.startswith("enqueued ")
    assert (bad.exit_code, bad.stdout) == (3, "")
    assert bad.stderr.splitlines()[1:] == ["failed: ValueError: no\\nluck"]
    assert (as_json["status"], as_json["result"]) == ("completed", "hello you")


def test_wait_for_what_nobody_runs_ends_by_the_timeout_and_the_record_stays(desk: Desk) -> None:
    ended = desk.types("enqueue", "greet", "--wait", "--timeout", "0.1")
    enqueued, still = ended.stderr.splitlines()
    record_id = enqueued.removeprefix("enqueued ")
    assert (ended.exit_code, ended.stdout) == (5, "")
    assert still == f"still pending: see `litestar queues show {record_id}`"
    assert desk.types("enqueue", "greet", "--wait", "--timeout", "0.1", "--json").exit_code == 5
    assert desk.counts() == {"pending": 2}


def test_wait_for_what_is_cancelled_is_exit_code_4(desk: Desk) -> None:
    other = Desk.beside(desk)

    async def cancel(service: QueueService) -> None:
        [only] = await until_found(service.list_tasks)
        await service.cancel_task(only.id)

    # by no command, for the tester of commands catches what the process writes: one at a time
    thread = threading.Thread(target=other.do, args=(cancel,))
    thread.start()
    ended = desk.types("enqueue", "greet", "--wait", "--timeout", "20")
    thread.join()
    assert (ended.exit_code, ended.stdout) == (4, "")
    assert ended.stderr.splitlines()[1].startswith("cancelled: ")


REFUSED = [
    (("grete",), 1, "did you mean 'greet'"),
    (("no-such-task",), 1, "no task 'no-such-task' is registered"),
    (("note",), 1, "'at' is missing"),
    (("greet", "--args", "[1, 2]"), 1, "at most 1 positional"),
    (("greet", "--args", '["a"]', "--kwargs", '{"name": "b"}'), 1, "given twice"),
    (("greet", "--kwargs", '{"nam": "b"}'), 1, "'nam'"),
    (("note", "--args", '["no uuid"]'), 1, "'at'"),
    (("greet", "--priority", "99999999999"), 1, "priority"),
    (("greet", "--key", ""), 1, "key"),
    (("greet", "--queue", "litestar-queues.x"), 1, "queue"),
    (("greet", "--args", "[1"), 2, "--args"),
    (("greet", "--args", "{}"), 2, "an array is wanted"),
    (("greet", "--args", "[NaN]"), 2, "--args"),
    (("greet", "--args", "'a'"), 2, "--args"),
    (("greet", "--args", "[" * 5_000), 2, "--args"),
    (("greet", "--kwargs", "[]"), 2, "an object is wanted"),
    (("greet", "--kwargs", "\udc80"), 2, "--kwargs"),
    (("greet", "--run-after", "-1s"), 2, "--run-after"),
    (("greet", "--run-after", "inf"), 2, "--run-after"),
    (("greet", "--timeout", "5s"), 2, "add --wait"),
    (("greet", "--priority", "high"), 2, "--priority"),
    (("greet", "--args", '["\\ud800"]'), 2, "--args"),
    ((), 2, "NAME"),
]


@pytest.mark.parametrize(("words", "code", "reason"), REFUSED)
def test_what_cannot_run_is_refused_in_one_line_and_nothing_is_stored(
    file_desk: Desk, words: tuple[str, ...], code: int, reason: str
) -> None:
    assert file_desk.refused("enqueue", *words)[0] == code
    assert reason in file_desk.refused("enqueue", *words)[1]
    assert file_desk.counts() == {}


def test_a_store_that_lives_in_the_app_is_refused_for_the_record_would_vanish(tmp_path: object) -> None:
    desk = Desk(queue_backend="memory")
    for words in (("enqueue", "greet"), ("list",), ("pause", "mail"), ("purge", "--older-than", "1d")):
        code, line = desk.refused(*words)
        assert code == 1
        assert line.startswith("Error: the records of this backend (")
