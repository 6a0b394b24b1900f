"""In: a statement and its arguments. Out: the plan that the server makes for it, as text and as a tree."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from litestar_queues.backends.postgres.drivers import _SETTINGS as SETTINGS

__all__ = ("FILL", "SETTINGS", "Node", "explain", "nodes")

Node = Mapping[str, Any]

PENDING, ENDED = 50_000, 100_000

FILL = (
    f"""
    insert into lq_live (id, task, queue, status, rank, due_at, created_at, max_attempts, payload)
    select gen_random_uuid(), 'greet', 'q' || n % 5, 'pending', n % 3, now() - n * interval '1 ms', now(), 1, '[[],{{}}]'
    from generate_series(1, {PENDING}) as n
    """,
    """
    insert into lq_live (id, task, queue, status, rank, due_at, created_at, max_attempts, payload)
    select gen_random_uuid(), 'greet', 'q' || n % 5, 'scheduled', 0, now() + n * interval '1 s', now(), 1, '[[],{}]'
    from generate_series(1, 2000) as n
    """,
    """
    insert into lq_live (
        id, task, queue, status, rank, due_at, created_at, max_attempts, payload, token, lease_until, worker_id, key
    )
    select
        gen_random_uuid(), 'greet', 'q' || n % 5, 'running', 0, now(), now(), 1, '[[],{}]', n, now() + n * interval '1 s',
        'worker:' || n % 4, 'key ' || n
    from generate_series(1, 500) as n
    """,
    f"""
    insert into lq_done (
        id, task, queue, status, rank, due_at, created_at, attempt, max_attempts, lost_leases, cancel_requested,
        completed_at, key, unique_until, payload
    )
    select
        gen_random_uuid(), 'greet', case when n % 1000 = 0 then 'litestar-queues.canary' else 'q' || n % 5 end,
        case when n % 100 = 0 then 'failed' else 'completed' end, 0, now(), now(), 1, 1, 0, false,
        now() - n * interval '1 s', case when n % 50 = 0 then 'done ' || n end,
        case when n % 50 = 0 then now() + interval '1 h' end, '[[],{{}}]'
    from generate_series(1, {ENDED}) as n
    """,
    "insert into lq_count select 'q' || n % 5, 'completed', 100 from generate_series(1, 100) as n",
    "insert into lq_tick select 'report', now() - n * interval '1 m', now() - n * interval '1 m', null from generate_series(1, 5000) as n",
    "insert into lq_schedule select 'report ' || n, 'greet', '', now(), false, null, null, now() from generate_series(1, 50) as n",
)
"""A busy queue with some history, to be analysed after it."""


async def explain(connection: Any, sql: str, arguments: Sequence[Any], *, generic: bool) -> Node:
    """The plan of a prepared statement; nothing is changed by it."""
    await connection.execute(f"set plan_cache_mode = {'force_generic_plan' if generic else 'force_custom_plan'}")
    # asyncpg prepares it, so that the server knows the types; a second one is planned under the setting
    text = await connection.fetchval(f"explain (format json) {sql}", *arguments)
    return dict(json.loads(text)[0]["Plan"])


def nodes(plan: Node) -> Iterator[Node]:
    """Every step of a plan."""
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)
