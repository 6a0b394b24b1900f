"""In: outcomes and the demand of a worker. Out: both in one statement wherever both are there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, assert_never
from uuid import UUID

import msgspec

from litestar_queues.backends.laws import storable, summary, text_of
from litestar_queues.backends.postgres.pauses import Pauses
from litestar_queues.backends.postgres.rows import Round
from litestar_queues.backends.postgres.starts import Starts
from litestar_queues.errors import BackendError, InvalidArgumentError
from litestar_queues.ids import new_token
from litestar_queues.outcomes import Cancelled, Completed, Completion, Failed, Released, Retried, RunError, Snoozed
from litestar_queues.records import CANARY_QUEUE, Claim, ClaimBatch

if TYPE_CHECKING:
    from litestar_queues.backends.postgres.drivers import Connection
    from litestar_queues.backends.postgres.lane import Lane
    from litestar_queues.backends.postgres.statements import Statements

__all__ = ("ClaimRequest", "WorkDesk")

_MOST_ROUNDS = 20
_MOST_PROMOTED = 5_000

Key = tuple[UUID, int]


class ClaimRequest(NamedTuple):
    """The arguments of one claim."""

    worker_id: str
    queues: Sequence[str]
    limit: int
    lease: float
    now: datetime | None


@dataclass(slots=True)
class _Finish:
    completions: Sequence[Completion]
    now: datetime | None
    future: asyncio.Future[set[Key]]


_Claim = tuple[ClaimRequest, asyncio.Future[ClaimBatch]]


class WorkDesk:
    """Gathers what a worker asks for while a statement is under way into the next one."""

    def __init__(
        self, lane: Lane, scout: Lane, sql: Statements, *, channel: str | None, on_change: Callable[[], None]
    ) -> None:
        self._lane = lane
        self._sql = sql
        self._channel = channel
        self._on_change = on_change
        self._finishes: list[_Finish] = []
        self._claims: list[_Claim] = []
        self._unwanted: list[tuple[Sequence[Claim], datetime | None]] = []
        self._starts = Starts(scout, sql, on_change)
        self._pauses = Pauses(sql)
        self._serving: asyncio.Task[None] | None = None

    async def finish(self, completions: Sequence[Completion], now: datetime | None) -> list[UUID]:
        """Write outcomes; gives the refused ids."""
        if len({one.id for one in completions}) < len(completions):  # of two about one record the first counts
            return [refused for one in completions for refused in await self.finish([one], now)]
        successes = [one for one in completions if type(one.outcome) is Completed]
        others = [one for one in completions if type(one.outcome) is not Completed]
        accepted: set[Key] = set()
        if successes:
            finish = _Finish(successes, now, asyncio.get_running_loop().create_future())
            self._finishes.append(finish)
            self._start_serving()
            accepted |= await finish.future
        if others:
            accepted |= await self._lane.run(lambda connection: self._end(connection, others, now))
        return [one.id for one in completions if (one.id, one.token) not in accepted]

    async def claim(self, request: ClaimRequest) -> ClaimBatch:
        """Hold what is due, up to the limit."""
        future: asyncio.Future[ClaimBatch] = asyncio.get_running_loop().create_future()
        self._claims.append((request, future))
        self._start_serving()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:  # the answer came too late
                self._unwanted.append((future.result().claims, request.now))
                self._start_serving()
            raise

    def _start_serving(self) -> None:
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        try:
            while True:
                # what ended in this step of the loop and what it makes room for come together, and whoever got claims
                # asks for more before they run: so the server works while this process does
                await asyncio.sleep(0)
                if not (self._finishes or self._claims or self._unwanted):
                    return
                finishes, self._finishes = self._finishes, []
                claim = self._claims.pop(0) if self._claims else None
                if claim is not None and claim[1].done():  # it was cancelled before its turn
                    claim = None
                if finishes or claim is not None:
                    await self._together(finishes, claim)
                while self._unwanted:
                    await self._release(*self._unwanted.pop())
        finally:
            self._serving = None

    async def _together(self, finishes: Sequence[_Finish], claim: _Claim | None) -> None:
        try:
            accepted, batch = await self._lane.serve(
                lambda connection: self._work(connection, finishes, claim and claim[0])
            )
        except BaseException as error:
            if finishes and claim is not None and isinstance(error, InvalidArgumentError):  # one of them is at fault
                await self._together(finishes, None)
                await self._together((), claim)
                return
            for future in [*(one.future for one in finishes), *([claim[1]] if claim else ())]:
                if not future.done():
                    future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for one in finishes:
            if not one.future.done():
                one.future.set_result(accepted & {(done.id, done.token) for done in one.completions})
        if claim is None:
            return
        if not claim[1].done():
            claim[1].set_result(batch)
        else:
            self._unwanted.append((batch.claims, claim[0].now))

    async def _release(self, claims: Sequence[Claim], now: datetime | None) -> None:
        """Give back what a cancelled claim got, rather than let it wait for the end of its lease."""
        released = [Completion(one.id, one.token, Released()) for one in claims]
        if not released:
            return
        with suppress(BackendError):
            await self._lane.run(lambda connection: self._end(connection, released, now))
        self._on_change()

    async def _work(
        self, connection: Connection, finishes: Sequence[_Finish], request: ClaimRequest | None
    ) -> tuple[set[Key], ClaimBatch]:
        done = [completion for finish in finishes for completion in finish.completions]
        now = finishes[0].now if finishes else request.now if request else None
        results = [text_of(completion.outcome.result) for completion in done]  # type: ignore[union-attr]
        ended = ([completion.id for completion in done], [completion.token for completion in done], results)
        if request is None:
            found = await self._round(connection, now, ended, ClaimRequest("", (), 0, 0.0, now), 0)
            return found.accepted(), ClaimBatch(())
        claims: list[Claim] = []
        accepted: set[Key] = set()
        promoted = False
        for _ in range(_MOST_ROUNDS):
            wanted = request.limit - len(claims)
            await self._pauses.look(connection, request, now)
            found = await self._round(connection, now, ended, request, wanted, despite_due=promoted)
            accepted |= found.accepted()
            ended = ([], [], [])
            claims += found.claims()
            next_due_in = found.next_due_in
            if found.met_a_pause:  # nothing was held
                self._pauses.expect()
            elif found.expired:
                await connection.run(self._sql["expire_many"], now, found.expired)
                self._on_change()
            elif not promoted and next_due_in is not None and next_due_in <= 0:
                # the statement has held nothing, lest it pass over a more urgent one among them
                queues = list(request.queues)
                await connection.run(self._sql["promote"], now, _MOST_PROMOTED, queues, not queues)
                promoted = True
            else:
                return accepted, ClaimBatch(claims, self._look_again_in(next_due_in, full=len(claims) == request.limit))
            if len(claims) == request.limit:
                return accepted, ClaimBatch(claims)
        return accepted, ClaimBatch(claims, 0.0)

    def _look_again_in(self, next_due_in: float | None, *, full: bool) -> float | None:
        if full:
            return None
        sources = (next_due_in, self._starts.next_look_in, self._pauses.resumed_in)
        reasons = [seconds for seconds in sources if seconds is not None]
        return max(0.0, min(reasons)) if reasons else None

    async def _round(
        self,
        connection: Connection,
        now: datetime | None,
        ended: Any,
        request: ClaimRequest,
        limit: int,
        *,
        despite_due: bool = False,
    ) -> Round:
        began = time.monotonic()
        starts = self._starts.now(request.queues)
        queues = list(dict.fromkeys(request.queues))
        if not queues and limit:  # to ask which queues there are would look at the front
            queues = [queue for queue in starts[0] if queue != CANARY_QUEUE]
        everywhere = not queues and limit > 0
        if self._pauses.open is not None:
            queues, everywhere = self._pauses.open, False
        token = new_token()
        rows = await connection.run(
            self._sql["finish_and_claim"],
            now, *ended, queues, everywhere, limit, token, request.lease,
            request.worker_id, *starts, despite_due, self._pauses.known,
        )  # fmt: skip
        found = Round._make(rows[0])
        if limit:
            await self._starts.learn(connection, found, time.monotonic() - began)
        return found

    async def _end(self, connection: Connection, completions: Sequence[Completion], now: datetime | None) -> set[Key]:
        """Write outcomes other than success."""
        endings: list[tuple[Any, ...]] = []
        returns: list[tuple[Any, ...]] = []
        for one in completions:
            outcome = one.outcome
            match outcome:
                case Failed():
                    endings.append((one.id, one.token, "failed", summary(outcome.error), _entry(outcome.error)))
                case Cancelled():
                    endings.append((one.id, one.token, "cancelled", storable(outcome.reason), None))
                case Retried():
                    error = outcome.error
                    returns.append((one.id, one.token, outcome.delay, summary(error), _entry(error), True))
                case Snoozed():
                    returns.append((one.id, one.token, outcome.delay, storable(outcome.reason), None, False))
                case Released():
                    returns.append((one.id, one.token, None, None, None, False))
                case Completed():
                    raise AssertionError
                case _:
                    assert_never(outcome)
        ended: list[Any] = []
        if endings:
            ended += await connection.run(self._sql["end_many"], now, *map(list, zip(*endings, strict=True)))
        if returns:
            columns = map(list, zip(*returns, strict=True))
            ended += await connection.run(self._sql["give_back_many"], now, *columns, self._channel)
        tokens = {one.id: one.token for one in completions}
        return {(row[0], tokens[row[0]]) for row in ended}


def _entry(error: RunError) -> str:
    """What an attempt raised, as JSON without its opening brace: the server puts attempt and time before it."""
    entry = {"type": storable(error.type), "message": storable(error.message), "traceback": storable(error.traceback)}
    return "," + msgspec.json.encode(entry).decode()[1:]
