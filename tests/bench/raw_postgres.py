"""In: a database of PostgreSQL. Out: how fast asyncpg alone does what a durable queue cannot do without."""

from __future__ import annotations

import asyncio
import json
import time
from importlib import import_module
from typing import Any

__all__ = ("commit_times", "connect", "copy", "drain", "insert_groups", "insert_one_by_one")

_SCHEMA = """
create table if not exists job (
    n bigint generated always as identity primary key, task text not null, payload text not null,
    state smallint not null default 0, at timestamptz
) with (fillfactor = 70);
create index if not exists job_waiting on job (n) where state = 0;
"""
_INSERT = """
with made as (insert into job (task, payload) values ('noop', $1) returning n) select pg_notify('job', '') from made
"""
_INSERT_MANY = "insert into job (task, payload) select 'noop', payload from unnest($1::text[]) as new (payload)"
_CLAIM = """
with due as (select n from job where state = 0 order by n limit $1 for update skip locked)
update job set state = 1, at = now() from due where job.n = due.n returning job.n, payload
"""
_FINISH = "update job set state = 2, at = now() where n = any($1::bigint[]) and state = 1"
_BATCH = 500


async def connect(url: str) -> Any:
    """Connect, with the table made."""
    asyncpg = import_module("asyncpg")
    connection = await asyncpg.connect(url)
    await connection.execute(_SCHEMA)
    return connection


async def insert_one_by_one(connection: Any, seconds: float) -> float:
    """Rows a second, one commit and one notification each."""
    done, began = 0, time.perf_counter()
    while time.perf_counter() < began + seconds:
        await connection.fetch(_INSERT, f"[[{done}], {{}}]")
        done += 1
    return done / (time.perf_counter() - began)


async def insert_groups(connection: Any, size: int, seconds: float) -> float:
    """Rows a second, so many to a statement."""
    done, began = 0, time.perf_counter()
    while time.perf_counter() < began + seconds:
        await connection.fetch(_INSERT_MANY, [f"[[{i}], {{}}]" for i in range(done, done + size)])
        done += size
    return done / (time.perf_counter() - began)


async def copy(connection: Any, number: int) -> float:
    """Rows a second by one COPY."""
    rows = [("noop", f"[[{i}], {{}}]") for i in range(number)]
    began = time.perf_counter()
    await connection.copy_records_to_table("job", records=rows, columns=("task", "payload"))
    return number / (time.perf_counter() - began)


async def drain(url: str, number: int) -> float:
    """Rows a second, five hundred at a time, each in an asyncio task; a batch is finished while the next is claimed."""

    async def noop(_: int) -> None:
        pass

    connection, other = await connect(url), await connect(url)
    await connection.execute("truncate job")
    await copy(connection, number)
    await connection.execute("analyze job")
    began, done = time.perf_counter(), 0
    claimed = await connection.fetch(_CLAIM, _BATCH)
    while claimed:
        await asyncio.gather(*(noop(json.loads(row[1])[0][0]) for row in claimed))
        ids = [row[0] for row in claimed]
        claimed, _ = await asyncio.gather(connection.fetch(_CLAIM, _BATCH), other.fetch(_FINISH, ids))
        done += len(ids)
    return done / (time.perf_counter() - began)


async def commit_times(url: str, number: int) -> list[float]:
    """Milliseconds of an insert and the claim that follows it, with pauses between."""
    connection, other = await connect(url), await connect(url)
    taken = []
    for i in range(number):
        await asyncio.sleep(0.05)
        began = time.perf_counter()
        await connection.fetch(_INSERT, f"[[{i}], {{}}]")
        await other.fetch(_CLAIM, _BATCH)
        taken.append((time.perf_counter() - began) * 1000)
    return taken
