"""In: evidence of a sound life, and one thing wrong with it. Out: the checker says which promise it breaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.ledger.checker import check
from tests.ledger.evidence import Change, Evidence, Row, Run
from tests.ledger.play import play
from tests.ledger.scenarios import SCENARIOS
from tests.ledger.sidelog import SideLog, read

RECORD, OTHER = UUID(int=1), UUID(int=2)


def sound() -> Evidence:
    """A record whose first holder vanished, which ran again and completed; another failed at its one attempt."""
    found = Evidence(acks=[{"id": RECORD, "process": "producer-1"}, {"id": OTHER, "process": "producer-1"}], ticks=1)
    found.changes[RECORD] = [
        Change(what="made", at=0, status="pending", key="k", schedule="tick", max_attempts=1),
        Change(what="moved", at=1, was="pending", status="running", token=7, attempt=1),
        Change(what="moved", at=4, was="running", status="pending", old_token=7, overdue=True, lost_leases=1),
        Change(what="moved", at=5, was="pending", status="running", token=8, attempt=1, lost_leases=1),
        Change(what="ended", at=7, was="running", status="completed", old_token=8, attempt=1, lost_leases=1),
    ]
    found.runs[RECORD] = [Run(7, "worker-1", 1, 9, "returned"), Run(8, "worker-2", 5, 6, "returned")]
    found.rows[RECORD] = [Row("completed", 1, 1, 1)]
    found.changes[OTHER] = [
        Change(what="made", at=0, status="pending"),
        Change(what="moved", at=1, was="pending", status="running", token=9, attempt=1),
        Change(what="ended", at=2, was="running", status="failed", old_token=9, attempt=1),
    ]
    found.runs[OTHER] = [Run(9, "worker-1", 1, 2, "ValueError")]
    found.rows[OTHER] = [Row("failed", 1, 1, 0)]
    found.balance = {"enqueued": 2, "live": 0, "terminal": 2, "pruned": 0}
    return found


def change(at: int, **fields: Any) -> Callable[[Evidence], None]:
    def apply(found: Evidence) -> None:
        found.changes[RECORD][at] = replace(found.changes[RECORD][at], **fields)

    return apply


def lose(found: Evidence) -> None:
    del found.rows[RECORD]


def store_twice(found: Evidence) -> None:
    found.rows[RECORD] *= 2


def make_twice(found: Evidence) -> None:
    found.changes[RECORD].append(found.changes[RECORD][0])


def end_twice(found: Evidence) -> None:
    found.changes[RECORD].append(found.changes[RECORD][-1])


def key_of_another(found: Evidence) -> None:
    found.changes[OTHER][0] = replace(found.changes[OTHER][0], key="k")


def tick_of_another(found: Evidence) -> None:
    found.changes[OTHER][0] = replace(found.changes[OTHER][0], schedule="tick")


def miscount(found: Evidence) -> None:
    found.balance = dict(found.balance) | {"terminal": 3}


def run_twice_on_one_claim(found: Evidence) -> None:
    found.runs[RECORD].append(Run(8, "worker-3", 5, 6, "returned"))


def never_run(found: Evidence) -> None:
    found.runs[OTHER].clear()


def finish_late(found: Evidence) -> None:
    """The vanished holder comes back at 7 and ends the record, while the present one is at work until 9."""
    found.runs[RECORD][1].ended = 9


def raise_and_complete(found: Evidence) -> None:
    found.runs[RECORD][1].how = "ValueError"


def try_once_more(found: Evidence) -> None:
    retried = Change(what="moved", at=2, was="running", status="scheduled", old_token=9, attempt=1)
    again = Change(what="moved", at=2, was="scheduled", status="running", token=10, attempt=1)
    found.changes[OTHER][2:2] = [retried, again]
    found.runs[OTHER].append(Run(10, "worker-1", 1, 2, "ValueError"))
    found.changes[OTHER][-1] = replace(found.changes[OTHER][-1], old_token=10)


def give_up_early(found: Evidence) -> None:
    found.changes[OTHER][-1] = replace(
        found.changes[OTHER][-1], overdue=True, lost_leases=1, error="LeaseLost: 1 workers in a row vanished"
    )


def too_many_attempts(found: Evidence) -> None:
    found.rows[OTHER] = [Row("failed", 2, 1, 0)]


def test_a_sound_life_breaks_no_promise() -> None:
    assert check(sound()) == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lose, "lost: producer-1 was told that it is durable"),
        (store_twice, "stored 2 times"),
        (make_twice, "made 2 times"),
        (end_twice, "ended 2 times"),
        (key_of_another, "key k has 2 records"),
        (tick_of_another, "2 records in 1 ticks"),
        (miscount, "the library's balance is"),
        (change(3, was="running"), "while None held it"),
        (change(2, overdue=False), "before its lease had run out"),
        (run_twice_on_one_claim, "ran 1 times more often under token 8"),
        (never_run, "failed although it never ran"),
        (finish_late, "completed while the run under token 8 had not ended"),
        (raise_and_complete, "had raised ['ValueError']"),
        (change(4, status="cancelled"), "which nobody asked for"),
        (try_once_more, "claimed 2 times and given back 0 times, 1 attempts are allowed"),
        (too_many_attempts, "2 attempts, 1 are allowed"),
        (give_up_early, "given up after 1 lost leases"),
    ],
)
def test_a_broken_promise_is_found_and_named(wrong: Callable[[Evidence], None], says: str) -> None:
    evidence = sound()
    wrong(evidence)
    assert any(says in text for text in check(evidence)), check(evidence)


def test_a_line_that_is_torn_by_the_end_of_its_process_is_left_out(tmp_path: Path) -> None:
    SideLog(tmp_path, "worker").write("start", n=1)
    log = next(tmp_path.iterdir())
    log.write_text(log.read_text("utf-8") + '{"what": "en', "utf-8")
    assert [line["what"] for line in read(tmp_path)] == ["start"]


@pytest.mark.process
@pytest.mark.timeout(180)  # it waits for up to 100 s before it says what it waits for in vain
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_workers_that_are_killed_lose_nothing_and_double_nothing(store: str) -> None:
    (scenario,) = (one for one in SCENARIOS if one.name == "workers-die")
    report = play(scenario, store, seed=1)
    assert report.broken == []
    assert report.rescued
