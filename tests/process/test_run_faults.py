"""In: a store that is away, wrong or shared, and workers that vanish. Out: one line each, and every record kept."""

from __future__ import annotations

import time

import pytest

from tests.process.apps import APP
from tests.process.harness import STARTED, Site, free_port, until

pytestmark = pytest.mark.process

DOWN, UP = "the store cannot be reached", "the store is reached again"


def test_a_store_that_stays_away_ends_the_worker_after_the_startup_timeout(site: Site) -> None:
    site.set(queue_backend=f"sqlite:///{site.folder}/missing/queue.db", startup_timeout=1)
    workers = [site.worker(), site.worker(worker_enters_lifespan="no")]
    for worker in workers:
        answer = worker.answer()
        assert answer.code == 1
        [log, error] = answer.err.splitlines()
        assert DOWN in log
        assert error.startswith("Error: sqlite file ")
        assert error.endswith("check that its folder exists and that this user may write there")
        assert time.monotonic() - worker.began >= 1


def test_a_store_that_appears_in_time_lets_the_worker_go_on(site: Site) -> None:
    folder = site.folder / "missing"
    port = free_port()
    site.set(queue_backend=f"sqlite:///{folder}/queue.db", health_port=port)
    worker = site.worker().says(DOWN)
    assert STARTED not in worker.err
    assert site.probe("ready", "--port", str(port)).err == "not ready: the store cannot be reached\n"
    folder.mkdir()
    worker.starts()
    assert worker.stops() == 0
    assert (worker.err.count(DOWN), worker.err.count(UP)) == (1, 1)


def test_a_signal_ends_a_worker_that_waits_for_its_store(site: Site) -> None:
    site.set(queue_backend=f"sqlite:///{site.folder}/missing/queue.db")
    worker = site.worker().says(DOWN)
    assert worker.stops() == 0
    assert "Traceback" not in worker.err


def test_an_outage_during_the_run_is_told_once_loses_nothing_and_costs_nothing(site: Site) -> None:
    site.set(worker_poll_interval=0.1)
    site.enqueue("hold")
    site.enqueue("greet", "later", delay=2)
    worker = site.worker()
    site.noted("hold ")
    away = site.database.rename(site.folder / "away.db")
    worker.says(DOWN)
    site.go()
    site.noted("held ")
    began, before = time.monotonic(), worker.cpu_seconds()
    time.sleep(1)  # how much it does in a while is what is tested
    assert worker.cpu_seconds() - before < 0.5 * (time.monotonic() - began)
    away.rename(site.database)
    worker.says(UP)
    assert site.becomes("hold", "completed").attempt == 1
    site.becomes("greet", "completed")
    assert worker.stops() == 0
    assert (worker.err.count(DOWN), worker.err.count(UP)) == (1, 1), worker.err
    assert site.notes().count("held ") == site.notes().count("greet later") == 1


def test_a_drain_during_an_outage_says_that_outcomes_are_not_stored(site: Site) -> None:
    site.enqueue("hold")
    worker = site.worker(initialize_schedules="no")
    site.noted("hold ")
    site.database.rename(site.folder / "away.db")
    site.go()
    site.noted("held ")
    worker.says(DOWN)
    assert worker.stops() == 1
    assert "Error: the drain could not store the outcomes of 1 tasks" in worker.err
    assert "Bad" not in worker.err, worker.err
    assert "Traceback" not in worker.err
    site.folder.joinpath("away.db").rename(site.database)
    assert site.record("hold").status == "running"  # until its lease runs out


def test_a_drain_that_cuts_tasks_off_during_an_outage_ends_as_one_that_cuts_tasks_off(site: Site) -> None:
    site.enqueue("hold")
    worker = site.worker("--drain-timeout", "0.1", initialize_schedules="no")
    site.noted("hold ")
    site.database.rename(site.folder / "away.db")
    worker.says(DOWN)
    assert worker.stops() == 2
    assert (
        "1 tasks were cancelled and given back; 1 outcomes could not be stored, and their records run again"
        in worker.err
    )
    assert "Traceback" not in worker.err


def test_what_no_waiting_can_mend_ends_the_worker_at_once(site: Site) -> None:
    (site.folder / "text.db").write_text("This is a text, and no database at all. " * 100)
    site.enqueue("greet")
    site.sql("insert into lq_schema values (99, 'later', 0)")
    workers = {
        "is not a SQLite database": site.worker(queue_backend="sqlite:///text.db"),
        "does not exist: run `litestar queues migrate`": site.worker(
            queue_backend="sqlite:///fresh.db", migrate_on_start="no"
        ),
        "no_such_module": site.worker(task_modules="no_such_module"),
        "health_file": site.worker(queue_backend="sqlite:///good.db", health_file="missing/health.json"),
        "has schema version 99": site.worker(),
    }
    for text, worker in workers.items():
        answer = worker.answer()
        assert answer.code == 1
        assert answer.error_line.startswith("Error: ")
        assert text in answer.error_line


def test_a_worker_that_cannot_go_on_ends_with_exit_code_1(site: Site) -> None:
    site.set(worker_poll_interval=0.1)
    worker = site.worker().starts()
    site.sql("drop table lq_record")
    answer = worker.answer()
    assert answer.code == 1
    assert answer.err.splitlines()[-1].startswith("Error: sqlite file")
    assert "run `litestar queues migrate`" in answer.err
    assert "Traceback" not in answer.err


def test_an_error_that_nobody_expected_ends_the_worker_with_exit_code_1_and_a_traceback(site: Site) -> None:
    lifespan = "\n\n@app.on_startup.append\nasync def breaks():\n    raise RuntimeError('the lamp is broken')\n"
    site.write("app.py", APP + lifespan)
    answer = site.worker().answer()
    assert answer.code == 1
    assert answer.err.splitlines()[-1] == "RuntimeError: the lamp is broken"
    assert STARTED not in answer.err.splitlines()  # a traceback may quote the line of code that would print it


def test_the_records_of_a_killed_worker_run_again_elsewhere_once_their_leases_have_run_out(site: Site) -> None:
    site.set(worker_stale_after=1.5, worker_heartbeat_interval=0.3)
    site.enqueue("hold")
    first = site.worker()
    site.noted("hold ")
    second = site.worker().starts()
    first.kill()
    site.noted("hold ", times=2)
    site.go()
    assert site.becomes("hold", "completed").lost_leases == 1
    assert "taken back from worker" in second.err
    assert second.stops() == 0


def test_what_runs_at_most_once_fails_with_its_killed_worker_and_does_not_run_again(site: Site) -> None:
    site.set(worker_stale_after=1.5, worker_heartbeat_interval=0.3)
    site.enqueue("hold", "once", at_most_once=True)
    first = site.worker()
    site.noted("hold once")
    second = site.worker().starts()
    first.kill()
    site.go()
    failed = site.becomes("hold", "failed")
    assert failed.error == "LeaseLost: the worker vanished while it ran this record, which runs at most once"
    assert second.stops() == 0
    assert site.notes().count("hold once") == 1


def test_a_named_worker_takes_back_what_its_predecessor_held_at_once(site: Site) -> None:
    site.set(worker_stale_after=3600)
    for name in ("first", "other"):
        site.enqueue("hold", name, queue=name)
    workers = {name: site.worker("--queue", name, worker_name=name) for name in ("first", "other")}
    for name, worker in workers.items():
        site.noted(f"hold {name}")
        worker.kill()
    site.go()
    site.worker(worker_name="first")
    site.noted("held first")
    assert "held other" not in site.notes()
    until("it is stored", lambda: {record.status for record in site.records("hold")} == {"completed", "running"})


def test_two_workers_on_one_file_run_each_record_once(site: Site) -> None:
    count = 300
    site.set(worker_max_concurrency=5)
    workers = [site.worker(), site.worker()]
    for worker in workers:
        worker.starts()
    for number in range(0, count, 50):
        site.enqueue("greet", number, times=50)
    site.becomes("greet", "completed")
    records = site.records("greet")
    assert [worker.stops() for worker in workers] == [0, 0]
    assert len(records) == sum(line.startswith("greet") for line in site.notes()) == count
    assert {record.attempt for record in records} == {1}
    assert len({record.worker_id for record in records}) == 2
