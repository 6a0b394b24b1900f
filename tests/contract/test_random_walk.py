"""In: long random histories. Out: the books balance at every step, and every store tells the same story as memory."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest

from litestar_queues.backends.base import QueueBackend
from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.outcomes import Cancelled, Completed, Completion, Failed, Outcome, Released, Retried, Snoozed
from litestar_queues.records import CANARY_QUEUE, Claim, Held, RecordFilter
from litestar_queues.status import TERMINAL, TaskStatus
from litestar_queues.ticks import TickBatch
from tests.builders import NOON, FakeClock, make_error, make_record, make_schedule, make_tick
from tests.contract.laws import assert_balanced

QUEUES = ("a", "b", CANARY_QUEUE)
WORKERS = ("w:1", "w:2", "other:1")
STEPS = 250


class Walk:
    """One history, told to two backends whose clock is the same; what they answer must be the same."""

    def __init__(self, dice: random.Random, clock: FakeClock, one: QueueBackend, model: QueueBackend) -> None:
        self.dice = dice
        self.clock = clock
        self.both = (one, model)
        self.ids: list[UUID] = []
        self.claims: list[tuple[Claim, Claim]] = []
        self.verbs = [
            *[self.enqueue, self.claim, self.finish] * 4,
            *[self.advance, self.renew, self.cancel, self.retry, self.rescue] * 2,
            *[self.rescue_predecessor, self.progress, self.fire, self.pause, self.prune, self.prune_ticks],
        ]

    async def step(self) -> None:
        await self.dice.choice(self.verbs)()

    async def ask(self, verb: str, *args: Any, **options: Any) -> Any:
        """Ask both; the order of an answer counts only where it is law."""
        first, second = [await getattr(backend, verb)(*args, **options) for backend in self.both]
        assert _unordered(first) == _unordered(second), verb
        return first

    async def enqueue(self) -> None:
        dice = self.dice
        records = [
            make_record(
                queue=dice.choice(QUEUES),
                priority=dice.choice([0, 0, 1]),
                delay=dice.choice([0, 0, 0, 7]),
                expires_in=dice.choice([None, None, 12]),
                key=dice.choice([None, None, "k", "l"]),
                unique_for=dice.choice([None, 20]),
                schedule=dice.choice([None, "report"]),
            )
            for _ in range(dice.randint(1, 4))
        ]
        if self.ids and dice.random() < 0.2:
            records.append(make_record(id=dice.choice(self.ids)))
        self.ids += [record.id for record in records]
        await self.ask("enqueue_many", records)

    async def claim(self) -> None:
        demand: dict[str, Any] = {
            "worker_id": self.dice.choice(WORKERS),
            "queues": self.dice.choice([(), ("a",), ("b", "a"), QUEUES]),
            "limit": self.dice.randint(1, 5),
            "lease": self.dice.choice([2, 10, 60]),
        }
        first, second = [await backend.claim_many(**demand) for backend in self.both]
        assert [one._replace(token=0) for one in first.claims] == [one._replace(token=0) for one in second.claims]
        assert first.next_due_in == second.next_due_in
        self.claims += zip(first.claims, second.claims, strict=True)

    async def finish(self) -> None:
        chosen = self._some_claims()
        outcomes = [self._outcome() for _ in chosen]
        refused = [
            await backend.finish_many(
                [
                    Completion(pair[at].id, pair[at].token, outcome)
                    for pair, outcome in zip(chosen, outcomes, strict=True)
                ]
            )
            for at, backend in enumerate(self.both)
        ]
        assert sorted(refused[0]) == sorted(refused[1])

    async def renew(self) -> None:
        chosen = list(dict.fromkeys(self._some_claims()))
        answers = [
            await backend.renew_many([Held(pair[at].id, pair[at].token) for pair in chosen], lease=15)
            for at, backend in enumerate(self.both)
        ]
        assert _unordered(answers[0].lost) == _unordered(answers[1].lost)
        assert _unordered(answers[0].cancelled) == _unordered(answers[1].cancelled)

    async def progress(self) -> None:
        chosen = self._some_claims()
        for at, backend in enumerate(self.both):
            await backend.save_progress({Held(pair[at].id, pair[at].token): b'{"current":1}' for pair in chosen})

    async def cancel(self) -> None:
        await self.ask("cancel_many", self._some_ids(), include_running=self.dice.random() < 0.5)
        for worker_id in WORKERS:
            await self.ask("cancel_requests", worker_id)

    async def retry(self) -> None:
        await self.ask("retry_many", self._some_ids())

    async def rescue(self) -> None:
        await self.ask("rescue_many", limit=100, max_lost_leases=2)

    async def rescue_predecessor(self) -> None:
        await self.ask("rescue_predecessor", "w:3", max_lost_leases=2)

    async def fire(self) -> None:
        definition = self.dice.choice(["x", "x", "y"])
        await self.ask("sync_schedules", [make_schedule(definition=definition, first_at=self.clock.now())])
        due = await self.ask("due_schedules", ["report", "unknown"])
        for row in due.rows:
            ticks = [make_tick(row.next_at), make_tick(self.clock.now())]
            self.ids += [tick.record.id for tick in ticks]
            batch = TickBatch("report", row.next_at, ticks, self.clock.now(), overlap=self.dice.random() < 0.5)
            await self.ask("fire_ticks", batch)

    async def pause(self) -> None:
        await self.ask("pause_schedule", "report", paused=self.dice.random() < 0.3)

    async def prune(self) -> None:
        for status in TERMINAL:
            await self.ask("prune_many", status, older_than=self.dice.choice([0, 30]), limit=100)

    async def prune_ticks(self) -> None:
        await self.ask("prune_ticks", older_than=30, limit=100)

    async def advance(self) -> None:
        self.clock.advance(self.dice.choice([0.5, 3, 11]))

    async def compare(self) -> None:
        """Everything that can be read is the same."""
        for status in (None, *TaskStatus):
            await self.ask("list_records", RecordFilter(status=status, limit=20))
        await self.ask("get_many", self.ids)
        for queue in (None, *QUEUES):
            await self.ask("statistics", queue)
        await self.ask("ledger")
        await self.ask("list_schedules")

    def _some_claims(self) -> list[tuple[Claim, Claim]]:
        return self.dice.choices(self.claims[-15:], k=self.dice.randint(1, 4)) if self.claims else []

    def _some_ids(self) -> Sequence[UUID]:
        return self.dice.choices(self.ids[-25:], k=3) if self.ids else []

    def _outcome(self) -> Outcome:
        error = make_error()
        endings: list[Outcome] = [Completed(b"1"), Completed(None), Failed(error), Retried(error, 4), Retried(error, 0)]
        return self.dice.choice([*endings, Snoozed("unknown", 4), Cancelled("stopped"), Released()])


def _unordered(answer: Any) -> Any:
    if isinstance(answer, Mapping):
        return dict(answer)
    if isinstance(answer, list | tuple) and answer and isinstance(answer[0], UUID):
        return sorted(answer)
    if isinstance(answer, list | tuple) and answer and hasattr(answer[0], "worker_id") and hasattr(answer[0], "task"):
        return sorted(answer)
    return list(answer) if isinstance(answer, list | tuple) else answer


@pytest.mark.parametrize("seed", range(6))
async def test_a_random_history_balances_at_every_step_and_reads_as_in_memory(
    backend: QueueBackend, clock: FakeClock, seed: int
) -> None:
    model = MemoryBackend(clock=clock)
    await model.open()
    walk = Walk(random.Random(seed), clock, backend, model)
    for step in range(STEPS):
        await walk.step()
        await assert_balanced(backend)
        if step % 10 == 0:
            await walk.compare()
    await walk.compare()
    ledger = await backend.ledger()
    assert ledger["terminal"] + ledger["pruned"] > 20
    assert clock.now() > NOON
