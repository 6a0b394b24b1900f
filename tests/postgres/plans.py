"""In: a statement and its arguments. Out: the plan that the server makes for it, as text and as a tree."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from litestar_queues.backends.postgres.drivers import _SETTINGS as SETTINGS

__all__ = ("FILL", "SETTINGS", "Node", "explain", "nodes")

Node = Mapping[str, Any]

FILL = Path(__file__).with_name("fill.sql").read_text("utf-8")
"""A busy queue with some history, to be analysed after it."""


async def explain(connection: Any, sql: str, arguments: Sequence[Any], *, generic: bool, analyze: bool = False) -> Node:
    """The plan of a statement, kept or made for these arguments; what it changed is undone."""
    await connection.execute(f"set plan_cache_mode = {'force_generic_plan' if generic else 'force_custom_plan'}")
    transaction = connection.transaction()
    await transaction.start()
    options = "format json, analyze, buffers" if analyze else "format json"
    text = await connection.fetchval(f"explain ({options}) {sql}", *arguments)
    await transaction.rollback()
    return dict(json.loads(text)[0]["Plan"])


def nodes(plan: Node) -> Iterator[Node]:
    """Every step of a plan."""
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)
