"""In: how long claims took and how far they came. Out: where the next one begins."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from litestar_queues.errors import BackendError

if TYPE_CHECKING:
    from litestar_queues.backends.postgres.drivers import Connection
    from litestar_queues.backends.postgres.lane import Lane
    from litestar_queues.backends.postgres.rows import Round
    from litestar_queues.backends.postgres.statements import Statements

__all__ = ("Starts",)

_SLOW, _SLOW_EACH = 0.005, 0.0001
"""Seconds from which a claim is thought to wade through dead rows, and so many more for each record that it holds."""
_SLOW_IN_A_ROW = 3
_MANY_DEAD = 20_000
"""Dead rows from which they are held to be the reason, not the disk or a busy machine; vacuum comes far earlier."""
_REST, _SHORTEST_REST = 50.0, 0.1
"""Between two looks lies so many times what one took, so that those of a worker cost the server a fiftieth of a core at
most; and no fewer seconds than this."""


class Starts:
    """Where claims begin in each queue.

    A transaction that is left open somewhere on the server keeps dead rows from being removed, and a claim from the
    front of the queue wades through all that was ever claimed since. Then claims begin where the last one ended, and
    another connection looks at the front now and then, for records that came back or are more urgent.

    Args:
        lane: The other connection; it is made when it is needed.
        sql: The statements.
        on_change: Called when a look has found a record that the claims so far have passed over.
    """

    def __init__(self, lane: Lane, sql: Statements, on_change: Callable[[], None]) -> None:
        self._lane = lane
        self._sql = sql
        self._on_change = on_change
        self._positions: dict[str, tuple[int, datetime, UUID]] = {}
        self._slow = 0
        self._wading = False
        self._looking: asyncio.Task[None] | None = None
        self._next_look = 0.0

    @property
    def next_look_in(self) -> float | None:
        """Seconds until a claim has the front looked at; ``None`` where claims begin there, and during a look."""
        return max(0.0, self._next_look - time.monotonic()) if self._wading and self._looking is None else None

    def now(self, queues: Sequence[str]) -> tuple[list[Any], ...]:
        """The arguments of a claim from these queues, or from every queue."""
        if not self._wading:
            return [], [], [], []
        if self._looking is None and time.monotonic() >= self._next_look:
            self._looking = asyncio.create_task(self._look(list(queues)))
        positions = self._positions.items()
        return tuple(map(list, zip(*((queue, *position) for queue, position in positions), strict=True)))

    async def learn(self, connection: Connection, found: Round, seconds: float) -> None:
        """Note how far a claim came, and whether it was slow."""
        if not self._wading and seconds <= _SLOW + _SLOW_EACH * len(found.ids or ()):  # as a rule
            self._slow = 0
            self._positions.clear()
            return
        if found.ids is not None:
            for queue, rank, due_at, record_id in zip(found.queues, found.ranks, found.due_ats, found.ids, strict=True):
                self._positions[queue] = (rank, due_at, record_id)
        if self._wading:
            return
        self._slow += 1
        if self._slow >= _SLOW_IN_A_ROW and self._positions:
            self._slow = 0
            self._wading = await self._are_many_dead(connection)

    async def _look(self, queues: list[str]) -> None:
        began = time.monotonic()
        try:
            fronts = await self._lane.serve(lambda connection: self._find_fronts(connection, queues))
        except BackendError:  # claims find out themselves
            fronts, self._wading = (), False
        finally:
            self._looking = None
        now = time.monotonic()
        self._next_look = now + max(_SHORTEST_REST, _REST * (now - began))
        for queue, *front in fronts:
            position = self._positions.get(queue)
            if position is None or tuple(front) < position:
                self._positions[queue] = (front[0], front[1], front[2])
                self._on_change()

    async def _find_fronts(self, connection: Connection, queues: list[str]) -> Sequence[Sequence[Any]]:
        fronts = await connection.run(self._sql["find_fronts"], queues, not queues)
        self._wading = await self._are_many_dead(connection)
        return fronts

    async def _are_many_dead(self, connection: Connection) -> bool:
        dead: int = (await connection.run(self._sql["dead_rows"]))[0][0]
        return dead >= _MANY_DEAD
