"""In: runs with outcomes. Out: each stored once, in batches, through outages, and never at the cost of another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self
from uuid import UUID

import pytest

from litestar_queues import rooms
from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.errors import BackendError, SchemaVersionError
from litestar_queues.events import (
    BackendDown,
    BackendUp,
    CompletionsRefused,
    EventBus,
    RecordsFinished,
    RoomFailed,
    Run,
)
from litestar_queues.outcomes import (
    Cancelled,
    Completed,
    Completion,
    Failed,
    Outcome,
    Released,
    Retried,
    RunError,
    Snoozed,
)
from litestar_queues.records import Claim, ClaimBatch, Held, QueuedTaskRecord
from litestar_queues.rooms import StoreHealth
from litestar_queues.status import TaskStatus
from litestar_queues.worker.completer import Completer
from litestar_queues.worker.progress import ProgressKeeper
from tests.builders import make_error, make_record
from tests.faults.faulty import FaultyBackend
from tests.worker.harness import Told, until, within

UNSTORABLE = b"unstorable"


class Ledger:
    """A completer on a store that refuses some outcomes with an error."""

    def __init__(self) -> None:
        self.backend = FaultyBackend(MemoryBackend())
        self.bus = EventBus()
        self.told = Told(self.bus)
        self.stop = asyncio.Event()
        health = StoreHealth(self.bus)
        self.progress = ProgressKeeper(self.backend, health=health, bus=self.bus)
        self.completer = Completer(
            self.backend, worker_id="w:1", health=health, bus=self.bus, before_write=self.progress.flush
        )
        self.sizes: list[int] = []
        self._finish = self.backend.finish_many
        self.backend.finish_many = self._finish_many
        self.is_bad: Callable[[Outcome], bool] = lambda _: False

    async def _finish_many(self, completions: Sequence[Completion]) -> Any:
        self.sizes.append(len(completions))
        if any(self.is_bad(one.outcome) for one in completions):
            raise BackendError("too strange to store")
        return await self._finish(completions)

    async def __aenter__(self) -> Self:
        await self.backend.open()
        self.running = asyncio.create_task(self.completer.run(self.stop))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop.set()
        self.completer.interrupt()
        async with within():
            await asyncio.wait({self.running})

    async def claims(self, count: int) -> Sequence[Claim]:
        await self.backend.enqueue_many([make_record() for _ in range(count)])
        batch: ClaimBatch = await self.backend.claim_many(worker_id="w:1", queues=(), limit=count, lease=60)
        return batch.claims

    async def written(self) -> None:
        async with within():
            await self.completer.empty.wait()

    async def record(self, record_id: UUID) -> QueuedTaskRecord:
        found: Mapping[UUID, QueuedTaskRecord] = await self.backend.get_many([record_id])
        return found[record_id]

    async def status(self, record_id: UUID) -> TaskStatus:
        return (await self.record(record_id)).status


def done(claim: Claim, result: bytes | None = None) -> Run:
    return Run(claim, Completed(result), 0.0)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "_FIRST_PAUSE", 0.0)


async def test_all_that_ended_since_the_last_write_goes_in_one_statement() -> None:
    async with Ledger() as ledger:
        runs = [done(claim) for claim in await ledger.claims(3)]
        for run in runs:
            ledger.completer.put(run)
        assert not ledger.completer.empty.is_set()
        await ledger.written()
        assert ledger.sizes == [3]
        assert ledger.told.all(RecordsFinished) == [RecordsFinished(runs)]
        assert (await ledger.backend.statistics()).completed == 3


async def test_a_statement_is_bounded() -> None:
    async with Ledger() as ledger:
        for claim in await ledger.claims(1_100):
            ledger.completer.put(done(claim))
        await ledger.written()
        assert ledger.sizes == [500, 500, 100]


async def test_progress_is_stored_before_the_outcome_which_ends_it() -> None:
    async with Ledger() as ledger:
        (claim,) = await ledger.claims(1)
        ledger.progress.save(claim, b'{"current":1}')
        ledger.completer.put(done(claim))
        await ledger.written()
        record = await ledger.record(claim.id)
        assert record.progress == {"current": 1}


async def test_progress_that_the_store_refuses_costs_no_outcome() -> None:
    async with Ledger() as ledger:
        (claim,) = await ledger.claims(1)
        error = BackendError("no such progress")
        ledger.backend.fail("save_progress", error=error)
        ledger.progress.save(claim, b"{}")
        ledger.completer.put(done(claim))
        await ledger.written()
        assert await ledger.status(claim.id) is TaskStatus.COMPLETED
        assert ledger.told.all(RoomFailed) == [RoomFailed("progress", error)]


@pytest.mark.parametrize("method", ["finish_many", "save_progress"])
async def test_an_outage_is_told_once_and_outlived(method: str) -> None:
    async with Ledger() as ledger:
        (claim,) = await ledger.claims(1)
        ledger.backend.fail(method, 3 if method == "finish_many" else 1)
        ledger.progress.save(claim, b"{}")
        ledger.completer.put(done(claim))
        await ledger.written()
        assert await ledger.status(claim.id) is TaskStatus.COMPLETED
        assert [len(ledger.told.all(kind)) for kind in (BackendDown, BackendUp)] == [1, 1]


async def test_an_outcome_that_came_too_late_is_told_and_changes_nothing() -> None:
    async with Ledger() as ledger:
        late, good = await ledger.claims(2)
        ledger.completer.put(done(late._replace(token=late.token + 1)))
        ledger.completer.put(done(good))
        await ledger.written()
        assert ledger.told.events == [CompletionsRefused([late.id]), RecordsFinished([done(good)])]
        assert await ledger.status(late.id) is TaskStatus.RUNNING


@pytest.mark.parametrize(
    "outcome",
    [
        Completed(b"1"),
        Failed(make_error()),
        Retried(make_error(), 9),
        Cancelled("stopped"),
        Released(),
        Snoozed("?", 9),
    ],
    ids=lambda outcome: type(outcome).__name__,
)
async def test_an_outcome_whose_answer_was_lost_is_told_as_stored(outcome: Outcome) -> None:
    async with Ledger() as ledger:
        (claim,) = await ledger.claims(1)
        ledger.backend.drop_reply("finish_many")
        ledger.completer.put(run := Run(claim, outcome, 0.0))
        await ledger.written()
        assert ledger.told.all(RecordsFinished) == [RecordsFinished([run])]
        assert ledger.told.all(CompletionsRefused) == []


async def test_after_an_outage_an_outcome_that_came_too_late_is_still_no_success() -> None:
    async with Ledger() as ledger:
        (claim,) = await ledger.claims(1)
        await ledger.backend.finish_many([Completion(claim.id, claim.token, Released())])
        (second,) = (await ledger.backend.claim_many(worker_id="w:2", queues=(), limit=1, lease=60)).claims
        await ledger.backend.finish_many([Completion(second.id, second.token, Completed(None))])
        ledger.backend.fail("finish_many")
        ledger.completer.put(done(claim))
        await ledger.written()
        assert ledger.told.all(CompletionsRefused) == [CompletionsRefused([claim.id])]
        assert ledger.told.all(RecordsFinished) == []


async def test_of_two_runs_of_one_record_the_one_is_told_that_counts() -> None:
    async with Ledger() as ledger:
        (lost,) = await ledger.claims(1)
        await ledger.backend.finish_many([Completion(lost.id, lost.token, Released())])
        (held,) = (await ledger.backend.claim_many(worker_id="w:1", queues=(), limit=1, lease=60)).claims
        late, counts = Run(lost, Failed(make_error()), 0.0), done(held, b"1")
        ledger.completer.put(late)
        ledger.completer.put(counts)
        await ledger.written()
        assert ledger.told.all(RecordsFinished) == [RecordsFinished([counts])]
        assert ledger.told.all(CompletionsRefused) == [CompletionsRefused([lost.id])]


async def test_when_all_came_too_late_none_is_told_as_finished() -> None:
    async with Ledger() as ledger:
        (late,) = await ledger.claims(1)
        ledger.completer.put(done(late._replace(token=late.token + 1)))
        await ledger.written()
        assert ledger.told.events == [CompletionsRefused([late.id])]


async def test_an_outcome_that_cannot_be_stored_fails_alone_and_with_the_reason() -> None:
    async with Ledger() as ledger:
        ledger.is_bad = lambda outcome: outcome == Completed(UNSTORABLE)
        good, bad, fine = await ledger.claims(3)
        for run in (done(good), done(bad, UNSTORABLE), done(fine)):
            ledger.completer.put(run)
        await ledger.written()
        statuses = [await ledger.status(claim.id) for claim in (good, bad, fine)]
        assert statuses == [TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.COMPLETED]
        record = await ledger.record(bad.id)
        assert record.error == "BackendError: the outcome of the run could not be stored: too strange to store"
        assert [event.room for event in ledger.told.all(RoomFailed)] == ["completer"]


async def test_where_not_even_the_failure_can_be_stored_the_others_go_on() -> None:
    async with Ledger() as ledger:
        ledger.is_bad = lambda outcome: outcome == Completed(UNSTORABLE) or isinstance(outcome, Failed)
        bad, good = await ledger.claims(2)
        ledger.completer.put(done(bad, UNSTORABLE))
        ledger.completer.put(done(good))
        await ledger.written()
        assert await ledger.status(bad.id) is TaskStatus.RUNNING  # its lease runs out
        assert await ledger.status(good.id) is TaskStatus.COMPLETED


async def test_claiming_pauses_above_the_high_mark_until_the_low_one_is_reached() -> None:
    async with Ledger() as ledger:
        relieved: list[int] = []
        ledger.completer.on_relief.append(lambda: relieved.append(sum(ledger.sizes)))
        claims = await ledger.claims(2_100)
        for claim in claims[:1_999]:
            ledger.completer.put(done(claim))
        assert bool(ledger.completer.is_full) is False
        for claim in claims[1_999:]:
            ledger.completer.put(done(claim))
        assert bool(ledger.completer.is_full)
        await ledger.written()
        assert relieved == [2_000]  # 100 are left, which is below the low mark; not at 1,500, nor twice
        assert not ledger.completer.is_full


async def test_what_is_being_written_is_held_as_well_as_what_waits() -> None:
    async with Ledger() as ledger:
        one, two = await ledger.claims(2)
        hang = ledger.backend.hang("finish_many")
        ledger.completer.put(done(one))
        await hang.entered.wait()
        ledger.completer.put(done(two))
        assert ledger.completer.held() == [Held(one.id, one.token), Held(two.id, two.token)]
        hang.release()
        await ledger.written()
        assert ledger.completer.held() == []
        assert ledger.sizes == [1, 1]


async def test_a_stop_during_an_outage_leaves_outcomes_to_their_leases() -> None:
    async with Ledger() as ledger:
        one, two = await ledger.claims(2)
        ledger.backend.is_down = True
        ledger.completer.put(done(one))
        await until(lambda: len(ledger.sizes) > 2)
        ledger.completer.put(done(two))
    assert ledger.running.done()
    assert not ledger.completer.empty.is_set()
    assert Held(two.id, two.token) in ledger.completer.held()


async def test_a_wrong_configuration_ends_it() -> None:
    async with Ledger() as ledger:
        (claim,) = await ledger.claims(1)
        ledger.backend.fail("finish_many", error=SchemaVersionError())
        ledger.completer.put(Run(claim, Failed(RunError("ValueError", "no")), 0.0))
        with pytest.raises(SchemaVersionError):
            await ledger.running
