"""In: what a claim saw of paused queues. Out: which queues the next one may name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from litestar_queues.backends.postgres.drivers import Connection
    from litestar_queues.backends.postgres.statements import Statements
    from litestar_queues.backends.postgres.work import ClaimRequest

__all__ = ("Pauses",)


class Pauses:
    """What this process knows of pauses; the statement that claims holds nothing where it does not know one.

    So a claim costs the same as ever while nothing is paused, and every process keeps a pause at once. While one is in
    force each claim is preceded by a look, and names its queues.

    Args:
        sql: The statements.
    """

    def __init__(self, sql: Statements) -> None:
        self._sql = sql
        self._in_force = False
        self.known: list[str] = []
        """Queues that were paused at the last look."""
        self.open: list[str] | None = None
        """Those that may be claimed from; ``None``: whatever the claim asks for."""
        self.resumed_in: float | None = None
        """Seconds until a pause ends behind which records wait."""

    async def look(self, connection: Connection, request: ClaimRequest, now: datetime | None) -> None:
        """Look before a claim, where the last one knew of a pause."""
        self.known, self.open, self.resumed_in = [], None, None
        if not self._in_force:
            return
        queues = list(dict.fromkeys(request.queues))
        rows = await connection.run(self._sql["look_around_pauses"], now, queues, not queues)
        known, can_open, resumed_in = rows[0][:3]
        self._in_force = bool(known)
        if known:
            self.known, self.open, self.resumed_in = list(known), list(can_open), resumed_in

    def expect(self) -> None:
        """A claim met a pause that it did not know: look before the next one."""
        self._in_force = True
