"""In: the time. Out: the schedules that are due, and each tick's record, written once, ever, in one transaction."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from litestar_queues.backends.postgres.enqueue import insert
from litestar_queues.backends.postgres.rows import as_schedule
from litestar_queues.ticks import DueSchedules

if TYPE_CHECKING:
    from uuid import UUID

    from litestar_queues.backends.postgres.drivers import Connection
    from litestar_queues.backends.postgres.statements import Statements
    from litestar_queues.ticks import TickBatch

__all__ = ("due_schedules", "fire_ticks")


async def due_schedules(
    connection: Connection, sql: Statements, names: list[str], now: datetime | None
) -> DueSchedules:
    """Those of the named schedules that are due, and the seconds until the next of the others is."""
    rows = await connection.run(sql["find_schedules"], now, names)
    looked_at = rows[0][8] if rows else (await connection.run(sql["store_time"], now))[0][0]
    due = [as_schedule(row) for row in rows if row[3] <= looked_at]
    later = [row[3] for row in rows if row[3] > looked_at]
    return DueSchedules(due, looked_at, (min(later) - looked_at).total_seconds() if later else None)


async def fire_ticks(
    connection: Connection, sql: Statements, batch: TickBatch, *, now: datetime | None, channel: str | None
) -> int:
    """Write ticks, records and the next due time; gives how many records were made."""
    await connection.run(sql["begin"])
    moved = await connection.run(sql["move_schedule"], batch.schedule, batch.expected_at, batch.next_at)
    if not moved:
        await connection.run(sql["commit"])
        return 0
    made = 0
    last_at: datetime | None = None
    last_record: UUID | None = None
    for tick in batch.ticks:
        if not await connection.run(sql["take_tick"], now, batch.schedule, tick.at):
            continue
        last_at = tick.at
        if not batch.overlap and (await connection.run(sql["schedule_is_live"], batch.schedule))[0][0]:
            continue
        enqueued = (await insert(connection, sql, [tick.record], now=now, channel=channel))[0]
        if enqueued.created:
            made += 1
            last_record = enqueued.id
            await connection.run(sql["note_tick"], batch.schedule, tick.at, enqueued.id)
    if last_at is not None:
        await connection.run(sql["note_fired"], batch.schedule, last_at, last_record)
    await connection.run(sql["commit"])
    return made
