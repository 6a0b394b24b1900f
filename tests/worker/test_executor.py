"""In: claims. Out: one outcome for each, handed on, whatever stopped the run."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from litestar_queues.events import Run
from litestar_queues.execution.context import StopReason, TaskExecutionContext
from litestar_queues.outcomes import Cancelled, Completed, Outcome, Released
from litestar_queues.records import Claim, Held
from litestar_queues.worker.executor import Executor
from litestar_queues.worker.slots import Slots
from tests.worker.harness import make_claim, until

DONE = Completed(None)


class Stage:
    """An executor whose runs end when the test lets them."""

    def __init__(self, *, stubborn: bool = False) -> None:
        self.stubborn = stubborn
        self.abandoned = 0
        self.entered: list[UUID] = []
        self.curtain = asyncio.Event()
        self.ended: list[Run] = []
        self.slots = Slots(10)
        completer: Any = self
        self.executor = Executor(self, completer, worker_id="worker:1", save_progress=self.save, publish=None)

    def save(self, claim: Claim, encoded: bytes) -> None:
        raise NotImplementedError

    def put(self, run: Run) -> None:
        self.ended.append(run)

    def close(self) -> None: ...

    async def run(self, claim: Claim, context: TaskExecutionContext) -> Outcome:
        self.entered.append(claim.id)
        while True:
            try:
                await self.curtain.wait()
                return DONE
            except asyncio.CancelledError:
                if not self.stubborn:
                    return Cancelled("in vain") if context.stop_reason == "requested" else Released()

    async def play(self, number: int = 1) -> Claim:
        """Start a run and wait until it is under way."""
        claim = make_claim(id=UUID(int=number), token=number)
        self.executor.start(claim, self.slots)
        await until(lambda: claim.id in self.entered)
        return claim

    async def idle(self) -> None:
        async with asyncio.timeout(10):
            await self.executor.idle.wait()

    def outcomes(self) -> list[tuple[Claim, Outcome]]:
        return [(run.claim, run.outcome) for run in self.ended]


async def test_a_run_takes_a_slot_and_its_outcome_is_handed_on() -> None:
    stage = Stage()
    claim = await stage.play()
    assert (stage.slots.free, stage.executor.running_count) == (9, 1)
    assert stage.executor.held() == [Held(claim.id, claim.token)]
    assert not stage.executor.idle.is_set()
    stage.curtain.set()
    await stage.idle()
    assert stage.outcomes() == [(claim, DONE)]
    assert stage.ended[0].duration > 0
    assert (stage.slots.free, stage.executor.running_count, stage.executor.held()) == (10, 0, [])


async def test_a_cancelled_run_is_asked_once_and_ends_by_its_reason() -> None:
    stage = Stage()
    claim = await stage.play()
    assert stage.executor.cancel([claim.id, UUID(int=99)], "requested") == [claim.id]
    assert stage.executor.cancel([claim.id], "requested") == []
    await stage.idle()
    assert stage.outcomes() == [(claim, Cancelled("in vain"))]


async def test_a_run_stopped_before_its_first_step_never_begins() -> None:
    stage = Stage()
    reasons: tuple[StopReason, ...] = ("requested", "drain")
    claims = [make_claim(id=UUID(int=number)) for number in (1, 2)]
    for claim, reason in zip(claims, reasons, strict=True):
        stage.executor.start(claim, stage.slots)
        stage.executor.cancel([claim.id], reason)
    await stage.idle()
    assert stage.entered == []
    wanted = [(claims[0], Cancelled("cancelled on request before it ran")), (claims[1], Released())]
    assert stage.outcomes() == wanted
    assert stage.slots.free == 10


async def test_the_outcome_of_a_lost_claim_is_nobodys_business() -> None:
    stage = Stage()
    claim = await stage.play()
    stage.executor.cancel([claim.id], "lost")
    await stage.idle()
    assert stage.outcomes() == []
    assert stage.slots.free == 10


async def test_cancelling_all_counts_those_that_were_asked_before_too() -> None:
    stage = Stage(stubborn=True)
    first = await stage.play(1)
    await stage.play(2)
    stage.executor.cancel([first.id], "requested")
    assert stage.executor.cancel_all("drain") == 2
    stage.curtain.set()
    await stage.idle()
    assert stage.executor.cancel_all("drain") == 0


async def test_a_run_that_swallows_its_cancellation_is_given_back_and_heard_no_more() -> None:
    stage = Stage(stubborn=True)
    claim = await stage.play()
    stage.executor.cancel_all("drain")
    assert stage.executor.abandon() == 1
    assert stage.executor.idle.is_set()
    assert stage.outcomes() == [(claim, Released())]
    stage.curtain.set()
    await until(lambda: stage.slots.free == 10)
    assert stage.outcomes() == [(claim, Released())]


async def test_a_newer_run_of_a_record_survives_the_end_of_the_older_one() -> None:
    stage = Stage(stubborn=True)
    old = await stage.play()
    stage.executor.cancel([old.id], "lost")
    new = old._replace(token=2)
    stage.executor.start(new, stage.slots)
    await until(lambda: len(stage.entered) == 2)
    assert stage.executor.held() == [Held(new.id, 2)]
    stage.curtain.set()
    await until(lambda: stage.slots.free == 10)
    assert stage.outcomes() == [(new, DONE)]


async def test_a_run_whose_record_is_claimed_anew_is_stopped_at_once() -> None:
    stage = Stage()
    old = await stage.play()
    new = old._replace(token=2)
    stage.executor.start(new, stage.slots)
    await until(lambda: stage.slots.free == 9)
    assert stage.executor.held() == [Held(new.id, 2)]
    stage.curtain.set()
    await stage.idle()
    assert stage.outcomes() == [(new, DONE)]


async def test_a_claim_that_was_never_started_can_be_given_back() -> None:
    stage = Stage()
    claim = make_claim()
    stage.executor.give_back(claim)
    assert stage.outcomes() == [(claim, Released())]
