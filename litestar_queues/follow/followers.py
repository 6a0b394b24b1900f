"""In: ids of records that pages follow. Out: their stored state whenever it changes, told to all who follow.

All of them are looked at by one statement a look. A record has one latest state, shared by its followers: a slow one
misses what lay between, and nothing is kept for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID
from zlib import crc32

from litestar_queues.codec import encode_object
from litestar_queues.errors import BackendError, QueueError
from litestar_queues.lookout import Lookout
from litestar_queues.records import QueuedTaskRecord
from litestar_queues.rooms import pause_after, sleep_until_set

__all__ = ("Followers", "State", "TooManyFollowersError")

_BATCH = 200
"""Records in one statement: whole rows come back, with arguments and tracebacks."""
_INTERVAL = 0.5
"""Seconds between two looks; workers store progress as often."""
_LIMIT = 1 << 24


class TooManyFollowersError(QueueError):
    """This process serves as many followers as it may, or it is about to end."""


class State(NamedTuple):
    """What followers are told of a record."""

    version: str
    """Equal in every process for equal states."""
    data: str
    """A JSON object."""
    name: str
    """The record's status."""
    is_last: bool
    """Whether the record has ended."""


class _Followed:
    """One record with its followers."""

    def __init__(self) -> None:
        self.followers = 0
        self.state: State | None = None
        self.changed = asyncio.Event()

    def tell(self, state: State | None) -> None:
        """Wake every follower."""
        self.state = state
        self.changed.set()
        self.changed = asyncio.Event()


class Followers:
    """Looks at records while somebody follows them.

    Args:
        look: Reads records by their ids.
        most: Followers at a time.
        details: Tell results and errors too.
    """

    def __init__(
        self,
        look: Callable[[Sequence[UUID]], Awaitable[Mapping[UUID, QueuedTaskRecord]]],
        *,
        most: int = 1_000,
        details: bool = False,
    ) -> None:
        self._look = look
        self._details = details
        self._followed: dict[UUID, _Followed] = {}
        self._failures = 0
        self.lookout = Lookout(self._look_for_all, wake=self._wake, most=most, name="litestar-queues-followers")

    async def current(self, record_id: UUID) -> State | None:
        """The state of a record as it is stored now; ``None`` where there is no such record.

        Raises:
            TooManyFollowersError: Nobody else can be served.
            BackendError: The store cannot be read.
        """
        if self.lookout.is_full:
            raise TooManyFollowersError
        record = (await self._look([record_id])).get(record_id)
        return None if record is None else self._state(record)

    async def follow(
        self, record_id: UUID, state: State, *, seconds: float, beat: float
    ) -> AsyncIterator[State | None]:
        """Give the states after this one until the last; ``None`` for a sign of life where nothing changes.

        Args:
            record_id: Whom to follow.
            state: What the follower knows.
            seconds: End after so long in any case.
            beat: Seconds between two signs of life.
        """
        followed = self._followed.setdefault(record_id, _Followed())
        followed.followers += 1
        if followed.state is None or followed.state.version != state.version:
            followed.tell(state)  # just read: newer than the last look
        ends_at = time.monotonic() + seconds
        try:
            with self.lookout.watch():
                while not (state.is_last or self.lookout.is_over) and (left := ends_at - time.monotonic()) > 0:
                    changed = followed.changed
                    if followed.state is not None and followed.state.version != state.version:
                        state = followed.state
                        yield state
                        continue
                    await sleep_until_set(changed, min(beat, left))
                    if not changed.is_set():
                        yield None
                    elif followed.state is None:  # pruned meanwhile
                        return
        finally:
            followed.followers -= 1
            if not followed.followers and self._followed.get(record_id) is followed:
                del self._followed[record_id]

    def _wake(self) -> None:
        for followed in self._followed.values():
            followed.tell(followed.state)

    async def _look_for_all(self) -> float:
        try:
            await self._look_at_all()
        except BackendError:  # followers keep what they have, with signs of life, until the store is back
            self._failures += 1
            return pause_after(self._failures)
        self._failures = 0
        return _INTERVAL

    async def _look_at_all(self) -> None:
        wanted = list(self._followed)
        for start in range(0, len(wanted), _BATCH):
            batch = wanted[start : start + _BATCH]
            found = await self._look(batch)
            for record_id in batch:
                followed, record = self._followed.get(record_id), found.get(record_id)
                if followed is None:
                    continue
                state = None if record is None else self._state(record)
                if state is None or followed.state is None or state.version != followed.state.version:
                    followed.tell(state)

    def _state(self, record: QueuedTaskRecord) -> State:
        told: dict[str, Any] = {
            "id": record.id,
            "task": record.task_name,
            "status": str(record.status),
            "attempt": record.attempt,
            "max_attempts": record.max_attempts,
            "progress": record.progress,
        }
        if self._details:
            told |= {"result": record.result, "error": record.error}
        data = encode_object(told, what="the state", max_bytes=_LIMIT)
        return State(f"{crc32(data):08x}", data.decode(), str(record.status), record.is_terminal)
