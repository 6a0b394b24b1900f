"""In: dependencies of an app. Out: a task that was run with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from litestar_queues.results import TaskResult
from tests.worker.harness import Shop

__all__ = ("provided", "run")


def provided(values: Mapping[str, Any] | None = None, /, **providers: Any) -> Shop:
    """A shop whose app has these dependencies."""
    shop = Shop()
    shop.service.dependencies.bind(providers, values or {})
    return shop


async def run(shop: Shop, function: Callable[..., Any], *args: Any, **options: Any) -> TaskResult:
    """Run a function as a task, to its end."""
    handle = await shop.service.enqueue(shop.task(function, name="task", **options), *args)
    await shop.service.run_due()
    return await handle.refresh()
