"""In: SIGTERM and SIGINT. Out: a drain, an escalation, and in every case an end in time."""

from __future__ import annotations

import signal
import time

import pytest

from tests.process.harness import PATIENCE, STARTED, Site

pytestmark = pytest.mark.process

PROMISED_MARGIN = 5.0
"""A worker ends within drain timeout + final cancel timeout + so many seconds."""
BUSY_MACHINE = 4.0
"""Seconds that a test grants on top, since other tests use the processors too."""
AGES = "3600"


def test_one_signal_ends_an_idle_worker_with_exit_code_0(site: Site) -> None:
    workers = {signal.SIGTERM: site.worker(), signal.SIGINT: site.worker()}
    for number, worker in workers.items():
        answer = worker.starts().send(number).answer()
        assert answer.code == 0
        assert answer.out == ""
        assert answer.err.splitlines().count(STARTED) == 1
        assert "Traceback" not in answer.err


def test_a_drain_lets_running_tasks_finish_and_leaves_waiting_ones_alone(site: Site) -> None:
    site.enqueue("hold")
    site.enqueue("hold_thread")
    worker = site.worker()
    site.noted("hold ")
    site.noted("hold_thread")
    worker.terminate().says("drains: 2 tasks are running")
    site.enqueue("greet")
    site.go()
    assert worker.ends() == 0
    assert site.record("hold").status == "completed"
    assert site.record("hold_thread").status == "completed"
    assert site.record("greet").status == "pending"
    assert "0 tasks were cancelled" in worker.err


def test_a_drain_past_its_timeout_gives_the_record_back_and_ends_with_exit_code_2(site: Site) -> None:
    for queue in ("option", "setting"):
        site.enqueue("hold", queue, queue=queue)
    workers = [
        site.worker("--queue", "option", "--drain-timeout", "0.3"),
        site.worker("--queue", "setting", worker_graceful_shutdown_timeout=0.3),
    ]
    for queue in ("option", "setting"):
        site.noted(f"hold {queue}")
    assert [worker.stops() for worker in workers] == [2, 2]
    assert [(record.status, record.attempt) for record in site.records("hold")] == [("pending", 0)] * 2
    assert all("1 tasks were cancelled and given back" in worker.err for worker in workers)


def test_a_record_that_a_drain_gave_back_runs_again_elsewhere(site: Site) -> None:
    site.enqueue("hold")
    first = site.worker("--drain-timeout", "0")
    site.noted("hold ")
    assert first.stops() == 2
    second = site.worker()
    site.noted("hold ", times=2)
    site.go()
    assert site.becomes("hold", "completed").attempt == 1
    assert second.stops() == 0


def test_a_second_signal_cancels_what_runs_at_once(site: Site) -> None:
    workers = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        site.enqueue("hold", number.name, queue=number.name)
        workers[number] = site.worker("--queue", number.name, "--drain-timeout", AGES)
    for number, worker in workers.items():
        site.noted(f"hold {number.name}")
        worker.terminate().says("drains").send(number)
    assert [worker.ends() for worker in workers.values()] == [2, 2]
    assert [(record.status, record.attempt) for record in site.records("hold")] == [("pending", 0)] * 2


def test_two_signals_in_the_same_moment_are_an_escalation_as_well(site: Site) -> None:
    site.enqueue("hold")
    busy, idle = site.worker("--drain-timeout", AGES), site.worker("--queue", "idle")
    site.noted("hold ")
    assert busy.send(signal.SIGTERM, signal.SIGINT).ends() == 2
    assert idle.starts().send(signal.SIGTERM, signal.SIGINT).ends() == 0
    assert site.record("hold").status == "pending"


def test_a_third_signal_waits_for_nothing_any_more(site: Site) -> None:
    site.set(worker_final_cancel_timeout=AGES)
    site.enqueue("swallow")
    worker = site.worker("--drain-timeout", AGES)
    site.noted("swallow")
    worker.terminate().says("drains").terminate()
    site.noted("swallowed")
    assert worker.terminate().ends() == 2


STUBBORN = ("swallow", "block_thread", "block_loop")


def test_the_worker_ends_in_time_whatever_a_task_does(site: Site) -> None:
    site.set(worker_final_cancel_timeout=0.5)
    for task in STUBBORN:
        site.enqueue(task, queue=task)
    site.enqueue("block_loop", queue="escalated")
    workers = {task: site.worker("--queue", task, "--drain-timeout", "0.5") for task in STUBBORN}
    workers["escalated"] = site.worker("--queue", "escalated", "--drain-timeout", AGES)
    for task in STUBBORN:
        site.noted(task, times=2 if task == "block_loop" else 1)

    limit = 0.5 + 0.5 + PROMISED_MARGIN + BUSY_MACHINE
    workers["escalated"].terminate()
    time.sleep(0.3)  # two in one moment may both be taken by a thread that does not wake the blocked one
    workers["escalated"].terminate()
    began = time.monotonic()
    for task in STUBBORN:
        workers[task].terminate()
    assert {name: worker.ends(limit) for name, worker in workers.items()} == dict.fromkeys(workers, 2)
    assert time.monotonic() - began < limit

    for task in ("swallow", "block_thread"):
        assert (site.record(task).status, site.record(task).attempt) == ("pending", 0)
    # nobody could give these back: the rescuer of another worker will, once their leases have run out
    assert {record.status for record in site.records("block_loop")} == {"running"}
    assert not any("Traceback" in worker.err for worker in workers.values())


def test_a_plain_function_that_ends_while_the_drain_waits_for_it_has_its_outcome_stored(site: Site) -> None:
    site.enqueue("hold_thread")
    worker = site.worker("--drain-timeout", "0", worker_final_cancel_timeout=PATIENCE)
    site.noted("hold_thread")
    worker.terminate().says("drains")
    site.go()
    assert worker.ends() == 2
    assert site.record("hold_thread").status == "completed"
