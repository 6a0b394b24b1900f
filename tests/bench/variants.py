"""In: a number of finished records. Out: how fast one connection gets through records in two layouts of the tables.

``move``: a finish deletes the record from the live table and inserts it into the history, as the library does.
``update``: one table with partial indexes, in which a finish is an update. Both finish a batch and claim the next in
one statement, and have the columns and indexes of the library's tables.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from importlib import import_module
from typing import Any

from tests.bench.lab import median
from tests.bench.postgres import databases

_BATCH = 250
_COLUMNS = (
    "id, task, queue, rank, due_at, created_at, attempt, max_attempts, lost_leases, cancel_requested, worker_id, "
    "started_at, expires_at, timeout, key, unique_until, schedule, execution_backend, execution_profile, backoff, "
    "metadata, progress, errors, payload"
)
_ONE = """
create table lq_one (like lq_live including all);
alter table lq_one add completed_at timestamptz, add result text;
create index on lq_one (status, completed_at) where completed_at is not null;
alter table lq_one set (fillfactor = 70);
"""
_HISTORY = """
insert into {table} (id, task, queue, status, rank, due_at, created_at, attempt, max_attempts, lost_leases,
    cancel_requested, worker_id, started_at, completed_at, payload)
select gen_random_uuid(), 'noop', 'default', 'completed', 0, now(), now(), 1, 1, 0, false, 'w:1', now(),
    now() - n * interval '1 ms', '[[1],{{}}]'
from generate_series(1, {number}) as n
"""
_FILL = """
insert into {table} (id, task, queue, status, rank, due_at, created_at, max_attempts, payload)
select gen_random_uuid(), 'noop', 'default', 'pending', 0, clock_timestamp(), now(), 1, '[[1],{{}}]'
from generate_series(1, {number})
"""
_CLAIM = """
picked as materialized (
    select ctid as place from {table} where status = 'pending' and queue = 'default'
    order by rank, due_at, id limit $2 for update skip locked
),
held as (
    update {table} set status = 'running', token = 1, lease_until = now() + interval '60 s', worker_id = 'w:1',
        started_at = now(), attempt = attempt + 1
    where ctid = any(array(select place from picked))
    returning id
)
select array_agg(id) from held
"""
_MOVE = f"""
with ended as (delete from lq_live where id = any($1::uuid[]) and token = 1 returning *),
kept as (
    insert into lq_done ({_COLUMNS}, status, completed_at, result)
    select {_COLUMNS}, 'completed', now(), null from ended
),
counted as (insert into lq_count (queue, status, n) select queue, 'completed', count(*) from ended group by queue),
{_CLAIM.format(table="lq_live")}
"""
_UPDATE = f"""
with ended as (
    update lq_one set status = 'completed', completed_at = now(), token = null, lease_until = null
    where id = any($1::uuid[]) and token = 1 returning queue
),
counted as (insert into lq_count (queue, status, n) select queue, 'completed', count(*) from ended group by queue),
{_CLAIM.format(table="lq_one")}
"""
_LAYOUTS = {"move": ("lq_live", "lq_done", _MOVE), "update": ("lq_one", "lq_one", _UPDATE)}


async def drain(connection: Any, layout: str, number: int) -> float:
    """Records a second."""
    table, _, sql = _LAYOUTS[layout]
    await connection.execute(_FILL.format(table=table, number=number))
    await connection.execute(f"analyze {table}")
    held: list[Any] = []
    done, began = 0, time.perf_counter()
    while True:
        held = await connection.fetchval(sql, held, _BATCH) or []
        if not held:
            return done / (time.perf_counter() - began)
        done += len(held)


async def compare(url: str, history: int, number: int, repeats: int) -> None:
    """Print the medians, and the longest vacuum of the table that claims go to."""
    from litestar_queues import QueueConfig, QueueService
    from litestar_queues.backends.postgres.drivers import _SETTINGS

    async with QueueService(QueueConfig(queue_backend=url)):
        pass
    plain = url.replace("+asyncpg", "")
    connection = await import_module("asyncpg").connect(plain, server_settings=_SETTINGS)
    await connection.execute(_ONE)
    for _, table, _ in _LAYOUTS.values():
        await connection.execute(_HISTORY.format(table=table, number=history))
        await connection.execute(f"vacuum analyze {table}")
    rates: dict[str, list[float]] = {name: [] for name in _LAYOUTS}
    vacuums: dict[str, list[float]] = {name: [] for name in _LAYOUTS}
    for turn in range(repeats):
        for name in _LAYOUTS if turn % 2 == 0 else reversed(_LAYOUTS):
            rates[name].append(await drain(connection, name, number))
            began = time.perf_counter()
            await connection.execute(f"vacuum {_LAYOUTS[name][0]}")
            vacuums[name].append(time.perf_counter() - began)
    for name in _LAYOUTS:
        print(f"{name}: {median(rates[name]):,.0f} records a second, vacuum afterwards {median(vacuums[name]):.2f} s")


def main() -> None:
    """Take the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.variants", description=__doc__)
    parser.add_argument("--history", type=int, default=2_000_000)
    parser.add_argument("--number", type=int, default=40_000)
    parser.add_argument("--repeats", type=int, default=4)
    options = parser.parse_args()
    with databases() as made:
        asyncio.run(compare(made.new(), options.history, options.number, options.repeats))


if __name__ == "__main__":
    main()
