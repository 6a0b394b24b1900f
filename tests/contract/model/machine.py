"""In: a store that two processes have open, and the model. Out: any history, told to both, who must answer alike.

Durations are few whole seconds, so that ends of leases, windows, delays and pauses meet the clock to the microsecond.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, precondition, rule

from litestar_queues.backends.base import QueueBackend
from litestar_queues.fleet import QueuePause
from litestar_queues.outcomes import Cancelled, Completed, Completion, Failed, Outcome, Released, Retried, Snoozed
from litestar_queues.records import CANARY_QUEUE, Enqueued, Held, NewRecord, RecordFilter
from litestar_queues.status import LIVE, TERMINAL, TaskStatus
from litestar_queues.ticks import Tick, TickBatch
from tests.builders import FakeClock, make_error, make_record, make_schedule
from tests.contract.model.records import Model
from tests.contract.model.schedules import ScheduleModel

__all__ = ("Life",)

QUEUES = ("a", "b", CANARY_QUEUE)
WORKERS = ("w:1", "w:2", "v:1")
SCHEDULES = ("hourly", "daily")
ALL = 10_000

seconds = st.sampled_from([1, 2, 5])
maybe_seconds = st.none() | seconds
processes = st.integers(0, 1)
demands = st.sampled_from([(), QUEUES, QUEUES, ("a",), ("b", "a")])
endings: st.SearchStrategy[Outcome] = st.one_of(
    st.sampled_from([Completed(b"1"), Completed(None), Released(), Cancelled("stopped"), Failed(make_error("bad"))]),
    st.builds(Retried, st.just(make_error()), st.sampled_from([0, 2])),
    st.builds(Snoozed, st.just("unknown task"), st.sampled_from([0, 2])),
)


@st.composite
def new_records(draw: st.DrawFn) -> dict[str, Any]:
    """What differs between records; they are minted when the store is asked, so that their ids are in order."""
    key = draw(st.sampled_from([None, None, "k", "l"]))
    return {
        "queue": draw(st.sampled_from(QUEUES)),
        "priority": draw(st.integers(-1, 1)),
        "delay": draw(st.sampled_from([0, 0, 0, 1, 5])),
        "expires_in": draw(st.sampled_from([None, None, 1, 5])),
        "max_attempts": draw(st.integers(1, 3)),
        "key": key,
        "unique_for": draw(maybe_seconds) if key else None,
        "schedule": draw(st.sampled_from([None, None, *SCHEDULES])),
    }


class Life(RuleBasedStateMachine):
    """The life of records in one store."""

    minted: Bundle[NewRecord] = Bundle("minted")
    claims: Bundle[Held] = Bundle("claims")
    """Each that was ever given, most of them stale."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.model = Model(self.clock)
        self.schedules = ScheduleModel(self.model)
        self.given: list[Held] = []
        self.runner = asyncio.Runner()
        make = self.make_store()
        first = make()
        self.stores = [first, make() if first.capabilities.shared else first]

    def make_store(self) -> Callable[[], QueueBackend]:
        """Give the function that makes a backend on one new store."""
        raise NotImplementedError

    @initialize()
    def open(self) -> None:
        for store in dict.fromkeys(self.stores):
            self.runner.run(store.open())

    def teardown(self) -> None:
        for store in self.stores:
            self.runner.run(store.close())
        self.runner.close()

    def ask(self, process: int, verb: str, *args: Any, **options: Any) -> Any:
        return self.runner.run(getattr(self.stores[process], verb)(*args, **options))

    # producers

    @rule(target=minted, process=processes, news=st.lists(new_records(), min_size=1, max_size=4))
    def enqueue(self, process: int, news: list[dict[str, Any]]) -> Any:
        records = [make_record(**new) for new in news]
        self._enqueue(process, records)
        return multiple(*records)

    @rule(process=processes, record=minted)
    def enqueue_again_because_the_answer_was_lost(self, process: int, record: NewRecord) -> None:
        self._enqueue(process, [record])

    def _enqueue(self, process: int, records: Sequence[NewRecord]) -> None:
        answers: Sequence[Enqueued] = self.ask(process, "enqueue_many", records)
        assert list(answers) == self.model.enqueue(records)

    @rule(process=processes, records=st.lists(minted, min_size=1, max_size=3), include_running=st.booleans())
    def cancel(self, process: int, records: list[NewRecord], *, include_running: bool) -> None:
        ids = [record.id for record in records]
        answer = self.ask(process, "cancel_many", ids, include_running=include_running)
        assert dict(answer) == self.model.cancel(ids, include_running=include_running)

    @rule(process=processes, records=st.lists(minted, min_size=1, max_size=3))
    def retry(self, process: int, records: list[NewRecord]) -> None:
        ids = [record.id for record in records]
        assert set(self.ask(process, "retry_many", ids)) == self.model.retry(ids)

    # workers

    @rule(
        target=claims,
        process=processes,
        worker_id=st.sampled_from(WORKERS),
        queues=demands,
        limit=st.integers(1, 4),
        lease=seconds,
    )
    def claim(self, process: int, worker_id: str, queues: tuple[str, ...], limit: int, lease: float) -> Any:
        return multiple(*self._claim(process, worker_id, queues, limit=limit, lease=lease))

    def _claim(self, process: int, worker_id: str, queues: tuple[str, ...], *, limit: int, lease: float) -> list[Held]:
        batch = self.ask(process, "claim_many", worker_id=worker_id, queues=queues, limit=limit, lease=lease)
        rows = self.model.claim(worker_id, queues, limit=limit, lease=lease)
        assert [one.id for one in batch.claims] == [row.seen.id for row in rows]
        assert batch.next_due_in == (None if len(rows) == limit else self.model.next_due_in(queues))
        assert not {one.token for one in batch.claims} & {one.token for one in self.given}
        for one, row in zip(batch.claims, rows, strict=True):
            row.token, seen = one.token, row.seen
            waited = max(0.0, (self.clock.now() - seen.scheduled_at).total_seconds())
            assert (one.attempt, one.max_attempts, one.waited) == (seen.attempt, seen.max_attempts, waited)
            assert (one.task, one.queue, one.schedule) == (seen.task_name, seen.queue, seen.schedule)
        given = [Held(one.id, one.token) for one in batch.claims]
        self.given += given
        return given

    @rule(process=processes, ended=st.lists(st.tuples(claims, endings), min_size=1, max_size=4))
    def finish(self, process: int, ended: list[tuple[Held, Outcome]]) -> None:
        completions = [Completion(*claim, outcome) for claim, outcome in ended]
        refused: Sequence[UUID] = self.ask(process, "finish_many", completions)
        assert sorted(refused) == sorted(self.model.finish(completions))

    @rule(process=processes, chosen=st.lists(claims, min_size=1, max_size=4, unique=True), lease=seconds)
    def renew(self, process: int, chosen: list[Held], lease: float) -> None:
        renewal = self.ask(process, "renew_many", chosen, lease=lease)
        lost, cancelled = self.model.renew(chosen, lease=lease)
        assert (set(renewal.lost), set(renewal.cancelled)) == (lost, cancelled)

    @rule(process=processes, chosen=st.lists(claims, min_size=1, max_size=3, unique=True), number=st.integers(1, 9))
    def progress(self, process: int, chosen: list[Held], number: int) -> None:
        self.ask(process, "save_progress", dict.fromkeys(chosen, b'{"current":%d}' % number))
        self.model.save_progress({one: {"current": number} for one in chosen})

    @rule(process=processes, limit=st.sampled_from([1, 2, ALL]), most=st.sampled_from([1, 2, 3]))
    def rescue(self, process: int, limit: int, most: int) -> None:
        self._rescue(process, limit, most)

    def _rescue(self, process: int, limit: int, most: int) -> None:
        answer = set(self.ask(process, "rescue_many", limit=limit, max_lost_leases=most))
        stale = self.model.stale()
        chosen = [row for row in stale if row.seen.id in {one.id for one in answer}]
        assert len(chosen) == min(limit, len(stale))
        assert answer == self.model.take_back(chosen, max_lost_leases=most)

    @rule(process=processes, worker_id=st.sampled_from(["w:3", "w:1", "nobody:1"]))
    def rescue_predecessor(self, process: int, worker_id: str) -> None:
        answer = self.ask(process, "rescue_predecessor", worker_id, max_lost_leases=3)
        assert set(answer) == self.model.take_back(self.model.former(worker_id), max_lost_leases=3)

    @rule(target=claims, process=processes, most=st.sampled_from([2, 3]))
    def every_holder_vanishes_and_another_takes_over(self, process: int, most: int) -> Any:
        self.clock.advance(5)
        self._rescue(process, ALL, most)
        return multiple(*self._claim(1 - process, WORKERS[0], QUEUES, limit=ALL, lease=5))

    @precondition(lambda self: self._zombies())
    @rule(process=processes, outcome=endings)
    def zombies_finish(self, process: int, outcome: Outcome) -> None:
        """Holders that vanished come back while others hold their records."""
        completions = [Completion(*claim, outcome) for claim in self._zombies()]
        assert sorted(self.ask(process, "finish_many", completions)) == sorted(one.id for one in completions)

    def _zombies(self) -> list[Held]:
        running = {row.seen.id: row.token for row in self.model.running()}
        return [claim for claim in self.given if running.get(claim.id, claim.token) != claim.token]

    # operators

    @rule(process=processes, queue=st.sampled_from(["a", "b"]), how_long=maybe_seconds)
    def pause(self, process: int, queue: str, how_long: float | None) -> None:
        self.ask(process, "pause_queue", queue, seconds=how_long)
        self.model.pause(queue, how_long)

    @rule(process=processes, queue=st.sampled_from(["a", "b"]))
    def resume(self, process: int, queue: str) -> None:
        assert self.ask(process, "resume_queue", queue) == self.model.resume(queue)

    @rule(
        process=processes,
        status=st.sampled_from(sorted(TERMINAL)),
        older_than=st.sampled_from([0, 2]),
        limit=st.sampled_from([1, ALL]),
    )
    def prune(self, process: int, status: TaskStatus, older_than: float, limit: int) -> None:
        pruned = self.ask(process, "prune_many", status, older_than=older_than, limit=limit)
        prunable = self.model.prunable(status, older_than=older_than)
        gone = set(self.model.rows) - set(self.ask(process, "get_many", list(self.model.rows)))
        assert gone <= prunable
        assert pruned == len(gone) == min(limit, len(prunable))
        self.model.forget(gone)

    # schedules

    @rule(
        process=processes, names=st.sets(st.sampled_from(SCHEDULES), min_size=1), definition=st.sampled_from(["x", "y"])
    )
    def sync_schedules(self, process: int, names: set[str], definition: str) -> None:
        syncs = [make_schedule(name, definition=definition, first_at=self.clock.now()) for name in sorted(names)]
        self.ask(process, "sync_schedules", syncs)
        self.schedules.sync(syncs)

    @rule(target=minted, process=processes, name=st.sampled_from(SCHEDULES), overlap=st.booleans(), late=st.booleans())
    def fire(self, process: int, name: str, *, overlap: bool, late: bool) -> Any:
        """As a scheduler does; a late one saw the schedule before another one had moved it."""
        due = self.ask(process, "due_schedules", [name, "unknown"])
        assert (list(due.rows), due.next_in) == self.schedules.due([name, "unknown"])
        assert due.now == self.clock.now()
        made: list[NewRecord] = []
        for row in due.rows:
            ticks = [Tick(at, make_record(schedule=name)) for at in dict.fromkeys((row.next_at, self.clock.now()))]
            batch = TickBatch(name, row.next_at, ticks, self.clock.now(), overlap)
            for _ in range(1 + late):
                assert self.ask(process, "fire_ticks", batch) == self.schedules.fire(batch)
            made += [tick.record for tick in ticks]
        return multiple(*made)

    @rule(process=processes, name=st.sampled_from(SCHEDULES), paused=st.booleans())
    def pause_schedule(self, process: int, name: str, *, paused: bool) -> None:
        assert self.ask(process, "pause_schedule", name, paused=paused) == self.schedules.pause(name, paused=paused)

    @rule(process=processes, older_than=st.sampled_from([1, 5]))
    def prune_ticks(self, process: int, older_than: float) -> None:
        assert self.ask(process, "prune_ticks", older_than=older_than, limit=ALL) == self.schedules.prune(
            older_than=older_than
        )

    # time

    @rule(by=st.sampled_from([1, 1, 2, 5, 0.000001]))
    def advance(self, by: float) -> None:
        self.clock.advance(by)

    # what holds at any time

    @invariant()
    def everything_that_can_be_read_is_as_the_model_says(self) -> None:
        records = self.ask(0, "list_records", RecordFilter(oldest_first=True, limit=ALL))
        assert list(records) == [self.model.rows[one].seen for one in sorted(self.model.rows)]
        keys = [record.key for record in records if record.key is not None and record.status in LIVE]
        assert len(keys) == len(set(keys))
        assert self.ask(1, "ledger") == self.model.ledger()
        for queue in (None, QUEUES[0]):
            assert self.ask(1, "statistics", queue).as_dict() == self.model.count(queue)
        assert list(self.ask(1, "queue_depths")) == self.model.depths()
        assert list(self.ask(0, "paused_queues")) == [QueuePause(*pause) for pause in self.model.paused()]
        assert list(self.ask(0, "list_schedules")) == self.schedules.all()

    @invariant()
    def what_workers_and_probes_ask_is_as_the_model_says(self) -> None:
        assert self.ask(1, "canary_completed_at") == self.model.canary_completed_at
        asked = {row.seen.id for row in self.model.running(WORKERS[0]) if row.seen.cancel_requested}
        assert set(self.ask(0, "cancel_requests", WORKERS[0])) == asked
