"""In: a store that two processes have open, and the model. Out: any step, taken by both, who must answer alike.

Durations are few whole seconds, so that ends of leases, windows, delays and pauses meet the clock to the microsecond.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Any
from uuid import UUID

from litestar_queues.backends.base import QueueBackend
from litestar_queues.fleet import QueuePause
from litestar_queues.outcomes import Cancelled, Completed, Completion, Failed, Outcome, Released, Retried, Snoozed
from litestar_queues.records import CANARY_QUEUE, Enqueued, Held, NewRecord, RecordFilter
from litestar_queues.status import LIVE, TERMINAL, TaskStatus
from litestar_queues.ticks import Tick, TickBatch
from tests.builders import FakeClock, make_error, make_record, make_schedule
from tests.contract.model.records import Model
from tests.contract.model.schedules import ScheduleModel
from tests.contract.model.steps import either, one_of, some, step

__all__ = ("Life",)

QUEUES = ("a", "b", CANARY_QUEUE)
WORKERS = ("w:1", "w:2", "v:1")
SCHEDULES = ("hourly", "daily")
ALL = 10_000

seconds = one_of(1, 2, 5)
maybe_seconds = one_of(None, 1, 2, 5)
picks = some(lambda dice: dice.randrange(12), 3)
"""Counted from the latest back."""
demands = one_of(QUEUES, QUEUES, (), ("a",), ("b", "a"))
endings = one_of(
    Completed(b"1"),
    Completed(None),
    Failed(make_error("bad")),
    Retried(make_error(), 0),
    Retried(make_error(), 2),
    Snoozed("unknown task", 0),
    Snoozed("unknown task", 2),
    Cancelled("stopped"),
    Released(),
)


def new_record(dice: Random) -> dict[str, Any]:
    """What differs between records; they are minted when the store is asked, so that their ids are in order."""
    return {
        "queue": dice.choice(QUEUES),
        "priority": dice.randint(-1, 1),
        "delay": dice.choice([0, 0, 0, 1, 5]),
        "expires_in": dice.choice([None, None, 1, 5]),
        "max_attempts": dice.randint(1, 3),
        "key": dice.choice([None, None, "k", "l"]),
        "unique_for": dice.choice([None, 1, 2, 5]),
        "schedule": dice.choice([None, None, *SCHEDULES]),
        "at_most_once": dice.choice([False, False, True]),
    }


class Life:
    """The life of records in one store.

    Args:
        clock: Of the store.
        make_store: Makes a backend on one new store.
    """

    def __init__(self, clock: FakeClock, make_store: Callable[[], QueueBackend]) -> None:
        self.clock = clock
        self.model = Model(clock)
        self.schedules = ScheduleModel(self.model)
        self.minted: list[NewRecord] = []
        self.claims: list[Held] = []
        """Each that there ever was, most of them stale."""
        self.runner = asyncio.Runner()
        first = make_store()
        self.stores = [first, make_store() if first.capabilities.shared else first]
        for store in dict.fromkeys(self.stores):
            self.runner.run(store.open())

    def begin(self, dice: Random) -> None:
        """Let there be some records."""
        self.enqueue(0, [new_record(dice) for _ in range(6)])

    def close(self) -> None:
        for store in self.stores:
            self.runner.run(store.close())
        self.runner.close()

    def ask(self, process: int, verb: str, *args: Any, **options: Any) -> Any:
        return self.runner.run(getattr(self.stores[process], verb)(*args, **options))

    # producers

    @step(4, process=either, news=some(new_record, 5))
    def enqueue(self, process: int, news: list[dict[str, Any]]) -> None:
        records = [make_record(**new) for new in news]
        self._enqueue(process, records)
        self.minted += records

    @step(process=either, picks=picks)
    def enqueue_again_because_the_answer_was_lost(self, process: int, picks: list[int]) -> None:
        self._enqueue(process, self._records(picks))

    def _enqueue(self, process: int, records: Sequence[NewRecord]) -> None:
        answers: Sequence[Enqueued] = self.ask(process, "enqueue_many", records)
        assert list(answers) == self.model.enqueue(records)

    @step(2, process=either, picks=picks, include_running=one_of(False, True))
    def cancel(self, process: int, picks: list[int], *, include_running: bool) -> None:
        ids = [record.id for record in self._records(picks)]
        answer = self.ask(process, "cancel_many", ids, include_running=include_running)
        assert dict(answer) == self.model.cancel(ids, include_running=include_running)

    @step(2, process=either, picks=picks)
    def retry(self, process: int, picks: list[int]) -> None:
        ids = [record.id for record in self._records(picks)]
        assert set(self.ask(process, "retry_many", ids)) == self.model.retry(ids)

    # workers

    @step(6, process=either, worker_id=one_of(*WORKERS), queues=demands, limit=one_of(1, 2, 3, 4, 5), lease=seconds)
    def claim(self, process: int, worker_id: str, queues: tuple[str, ...], limit: int, lease: float) -> None:
        batch = self.ask(process, "claim_many", worker_id=worker_id, queues=queues, limit=limit, lease=lease)
        rows = self.model.claim(worker_id, queues, limit=limit, lease=lease)
        assert [one.id for one in batch.claims] == [row.seen.id for row in rows]
        assert batch.next_due_in == (None if len(rows) == limit else self.model.next_due_in(queues))
        assert not {one.token for one in batch.claims} & {one.token for one in self.claims}
        for one, row in zip(batch.claims, rows, strict=True):
            row.token, seen = one.token, row.seen
            waited = max(0.0, (self.clock.now() - seen.scheduled_at).total_seconds())
            assert (one.attempt, one.max_attempts, one.waited) == (seen.attempt, seen.max_attempts, waited)
            assert (one.task, one.queue, one.schedule) == (seen.task_name, seen.queue, seen.schedule)
        self.claims += [Held(one.id, one.token) for one in batch.claims]

    @step(4, process=either, ended=some(lambda dice: (dice.randrange(5), endings(dice)), 4))
    def finish(self, process: int, ended: list[tuple[int, Outcome]]) -> None:
        completions = [Completion(*claim, outcome) for at, outcome in ended for claim in self._held([at])]
        refused: Sequence[UUID] = self.ask(process, "finish_many", completions)
        assert sorted(refused) == sorted(self.model.finish(completions))

    @step(2, process=either, outcome=endings)
    def zombies_finish(self, process: int, outcome: Outcome) -> None:
        """Holders that vanished come back while others hold their records."""
        tokens = {row.seen.id: row.token for row in self.model.running()}
        zombies = [claim for claim in self.claims if tokens.get(claim.id, claim.token) != claim.token]
        for claim in zombies:
            assert list(self.ask(process, "finish_many", [Completion(*claim, outcome)])) == [claim.id]

    @step(process=either, picks=picks, lease=seconds)
    def renew(self, process: int, picks: list[int], lease: float) -> None:
        held = self._held(picks)
        renewal = self.ask(process, "renew_many", held, lease=lease)
        assert (set(renewal.lost), set(renewal.cancelled)) == self.model.renew(held, lease=lease)

    @step(process=either, picks=picks, number=one_of(1, 2, 3))
    def progress(self, process: int, picks: list[int], number: int) -> None:
        held = self._held(picks)
        self.ask(process, "save_progress", dict.fromkeys(held, b'{"current":%d}' % number))
        self.model.save_progress({one: {"current": number} for one in held})

    @step(2, process=either, limit=one_of(1, 2, ALL), most=one_of(1, 2, 3))
    def rescue(self, process: int, limit: int, most: int) -> None:
        answer = set(self.ask(process, "rescue_many", limit=limit, max_lost_leases=most))
        stale = self.model.stale()
        chosen = [row for row in stale if row.seen.id in {one.id for one in answer}]
        assert len(chosen) == min(limit, len(stale))
        assert answer == self.model.take_back(chosen, max_lost_leases=most)

    @step(2, process=either, worker_id=one_of(*WORKERS))
    def every_holder_vanishes_and_another_takes_over(self, process: int, worker_id: str) -> None:
        self.clock.advance(5)
        self.rescue(process, ALL, 3)
        self.claim(1 - process, worker_id, QUEUES, ALL, 5)

    @step(process=either, worker_id=one_of("w:3", "w:1", "nobody:1"))
    def rescue_predecessor(self, process: int, worker_id: str) -> None:
        answer = self.ask(process, "rescue_predecessor", worker_id, max_lost_leases=3)
        assert set(answer) == self.model.take_back(self.model.former(worker_id), max_lost_leases=3)

    # operators

    @step(process=either, queue=one_of("a", "b"), how_long=maybe_seconds)
    def pause(self, process: int, queue: str, how_long: float | None) -> None:
        self.ask(process, "pause_queue", queue, seconds=how_long)
        self.model.pause(queue, how_long)

    @step(process=either, queue=one_of("a", "b"))
    def resume(self, process: int, queue: str) -> None:
        assert self.ask(process, "resume_queue", queue) == self.model.resume(queue)

    @step(
        3,
        process=either,
        status=one_of(*sorted(TERMINAL)),
        older_than=one_of(0, 2),
        limit=one_of(1, ALL),
    )
    def prune(self, process: int, status: TaskStatus, older_than: float, limit: int) -> None:
        pruned = self.ask(process, "prune_many", status, older_than=older_than, limit=limit)
        prunable = self.model.prunable(status, older_than=older_than)
        gone = set(self.model.rows) - set(self.ask(process, "get_many", list(self.model.rows)))
        assert gone <= prunable
        assert pruned == len(gone) == min(limit, len(prunable))
        self.model.forget(gone)

    # schedules

    @step(process=either, names=some(one_of(*SCHEDULES), 2), definition=one_of("x", "y"))
    def sync_schedules(self, process: int, names: list[str], definition: str) -> None:
        syncs = [make_schedule(name, definition=definition, first_at=self.clock.now()) for name in sorted(set(names))]
        self.ask(process, "sync_schedules", syncs)
        self.schedules.sync(syncs)

    @step(2, process=either, name=one_of(*SCHEDULES), overlap=one_of(False, True), late=one_of(False, True))
    def fire(self, process: int, name: str, *, overlap: bool, late: bool) -> None:
        """As a scheduler does; a late one saw the schedule before another one had moved it."""
        due = self.ask(process, "due_schedules", [name, "unknown"])
        assert (list(due.rows), due.next_in) == self.schedules.due([name, "unknown"])
        assert due.now == self.clock.now()
        for row in due.rows:
            ticks = [Tick(at, make_record(schedule=name)) for at in dict.fromkeys((row.next_at, self.clock.now()))]
            batch = TickBatch(name, row.next_at, ticks, self.clock.now(), overlap)
            for _ in range(1 + late):
                assert self.ask(process, "fire_ticks", batch) == self.schedules.fire(batch)
            self.minted += [tick.record for tick in ticks]

    @step(process=either, name=one_of(*SCHEDULES), paused=one_of(False, True))
    def pause_schedule(self, process: int, name: str, *, paused: bool) -> None:
        assert self.ask(process, "pause_schedule", name, paused=paused) == self.schedules.pause(name, paused=paused)

    @step(process=either, older_than=one_of(1, 5))
    def prune_ticks(self, process: int, older_than: float) -> None:
        pruned = self.ask(process, "prune_ticks", older_than=older_than, limit=ALL)
        assert pruned == self.schedules.prune(older_than=older_than)

    # time

    @step(3, by=one_of(1, 1, 2, 5, 0.000001))
    def time_passes(self, by: float) -> None:
        self.clock.advance(by)

    # what holds at any time

    def check(self) -> None:
        """Everything that anybody can read is as the model says."""
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
        assert self.ask(1, "canary_completed_at") == self.model.canary_completed_at
        asked = {row.seen.id for row in self.model.running(WORKERS[0]) if row.seen.cancel_requested}
        assert set(self.ask(0, "cancel_requests", WORKERS[0])) == asked

    def _records(self, picks: Sequence[int]) -> list[NewRecord]:
        return [self.minted[-1 - pick] for pick in dict.fromkeys(picks) if pick < len(self.minted)]

    def _held(self, picks: Sequence[int]) -> list[Held]:
        return [self.claims[-1 - pick] for pick in dict.fromkeys(picks) if pick < len(self.claims)]
