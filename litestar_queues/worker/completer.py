"""In: runs with their outcomes. Out: batched, token-fenced finishes; it knows outcomes, never tasks."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, assert_never
from uuid import UUID

from litestar_queues.errors import BackendError, BackendUnavailableError, QueueConfigurationError
from litestar_queues.events import CompletionsRefused, EventBus, RecordsFinished, RoomFailed, Run
from litestar_queues.outcomes import Cancelled, Completed, Completion, Failed, Released, Retried, RunError, Snoozed
from litestar_queues.records import Held, QueuedTaskRecord
from litestar_queues.rooms import StoreHealth, pause_after, sleep_until_set
from litestar_queues.status import TaskStatus

if TYPE_CHECKING:
    from litestar_queues.backends.base import QueueBackend

__all__ = ("Completer",)

_BATCH = 500
_HIGH = 4 * _BATCH
_LOW = _BATCH
"""Claiming pauses above the high mark until the low one is reached, so that it does not flap."""


class Completer:
    """Writes whatever has ended since the last write, in one statement; nothing waits for a timer.

    Args:
        backend: Where outcomes go.
        worker_id: Who held the records.
        health: Told of outages.
        bus: Told of stored and refused outcomes.
        before_write: Awaited before each write; flushes progress, which a finished record takes no more.
    """

    def __init__(
        self,
        backend: QueueBackend,
        *,
        worker_id: str,
        health: StoreHealth,
        bus: EventBus,
        before_write: Callable[[], Awaitable[None]],
    ) -> None:
        self._backend = backend
        self._worker_id = worker_id
        self._health = health
        self._bus = bus
        self._before_write = before_write
        self._waiting: deque[Run] = deque()
        self._writing: Sequence[Run] = ()
        self._signal = asyncio.Event()
        self.empty = asyncio.Event()
        """Set while everything put so far is stored."""
        self.empty.set()
        self._full = False
        self.on_relief: list[Callable[[], None]] = []

    @property
    def is_full(self) -> bool:
        """Whether claiming should pause."""
        return self._full

    def held(self) -> list[Held]:
        """Claims whose outcome is not stored yet; their leases must go on."""
        return [Held(run.claim.id, run.claim.token) for run in (*self._writing, *self._waiting)]

    def put(self, run: Run) -> None:
        """Take one run; it is written soon."""
        self._waiting.append(run)
        self._signal.set()
        self.empty.clear()
        if len(self._waiting) >= _HIGH:
            self._full = True

    async def run(self, stop: asyncio.Event) -> None:
        """Write until told to stop; what is still waiting then stays with its lease."""
        while not stop.is_set():
            await self._signal.wait()
            self._signal.clear()
            while self._waiting and not stop.is_set():
                self._writing = self._take()
                await self._write(self._writing, stop)
                self._writing = ()
                self._relieve()
            if not self._waiting:
                self.empty.set()

    def interrupt(self) -> None:
        """End the wait for work, so that a stop is seen at once."""
        self._signal.set()

    def _take(self) -> list[Run]:
        """The next runs, each of another record: of two runs of one, the store could not name the one it refused."""
        taken: dict[UUID, Run] = {}
        while self._waiting and len(taken) < _BATCH and self._waiting[0].claim.id not in taken:
            run = self._waiting.popleft()
            taken[run.claim.id] = run
        return list(taken.values())

    def _relieve(self) -> None:
        if self._full and len(self._waiting) <= _LOW:
            self._full = False
            for callback in self.on_relief:
                callback()

    async def _write(self, runs: Sequence[Run], stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            asked_at = time.monotonic()
            try:
                await self._prepare()
                refused = await self._backend.finish_many([_completion(run) for run in runs])
                if refused and failures:
                    refused = await self._not_stored_before(runs, refused)
            except QueueConfigurationError:
                raise
            except BackendUnavailableError as error:
                self._health.down("completer", error)
                failures += 1
                await sleep_until_set(stop, pause_after(failures))
            except BackendError as error:
                await self._write_apart(runs, error, stop)
                return
            else:
                self._health.up("completer", asked_at=asked_at)
                self._report(runs, refused)
                return

    async def _not_stored_before(self, runs: Sequence[Run], refused: Sequence[UUID]) -> list[UUID]:
        """Those of the refused that no earlier try has stored, whose answer was lost on its way back."""
        records, by_id = await self._backend.get_many(refused), {run.claim.id: run for run in runs}
        return [one for one in refused if one not in records or not self._ended_as(by_id[one], records[one])]

    def _ended_as(self, run: Run, record: QueuedTaskRecord) -> bool:
        """Whether the record says what the run did; nobody else writes that, unless it ran twice and ended the same."""
        is_ours = record.worker_id == self._worker_id
        match run.outcome:
            case Completed():
                return is_ours and record.status is TaskStatus.COMPLETED
            case Cancelled():
                return is_ours and record.status is TaskStatus.CANCELLED
            case Failed(error) | Retried(error):  # the next attempt may be another worker's
                return any(one.attempt == run.claim.attempt and one.error == error for one in record.errors)
            case Released() | Snoozed():
                return record.attempt < run.claim.attempt
            case _:
                assert_never(run.outcome)

    async def _prepare(self) -> None:
        try:
            await self._before_write()
        except BackendUnavailableError:
            raise
        except BackendError as error:  # progress that is refused must not cost the outcome
            self._bus.emit(RoomFailed("progress", error))

    async def _write_apart(self, runs: Sequence[Run], error: BackendError, stop: asyncio.Event) -> None:
        """One outcome of a batch cannot be stored: find it, and store that it failed for this reason."""
        if len(runs) > 1:
            for run in runs:
                await self._write([run], stop)
            return
        run = runs[0]
        self._bus.emit(RoomFailed("completer", error))
        if isinstance(run.outcome, Failed):
            return  # not even that can be stored; its lease runs out and the rescuer decides
        reason = RunError(type(error).__name__, f"the outcome of the run could not be stored: {error}")
        await self._write([run._replace(outcome=Failed(reason))], stop)

    def _report(self, runs: Sequence[Run], refused: Sequence[UUID]) -> None:
        if not refused:
            self._bus.emit(RecordsFinished(runs))
            return
        turned_down = set(refused)
        self._bus.emit(CompletionsRefused([run.claim.id for run in runs if run.claim.id in turned_down]))
        accepted = [run for run in runs if run.claim.id not in turned_down]
        if accepted:
            self._bus.emit(RecordsFinished(accepted))


def _completion(run: Run) -> Completion:
    return Completion(run.claim.id, run.claim.token, run.outcome)
