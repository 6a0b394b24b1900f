"""In: a table of stores. Out: each contract test once for every one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from litestar_queues.backends.base import QueueBackend
from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.backends.sqlite import SQLiteBackend
from litestar_queues.clock import Clock
from tests.builders import FakeClock

Store = Callable[[Path, Clock], QueueBackend]
"""Makes a backend, not opened yet; called twice with one folder it makes two on the same store, where that can be."""

STORES: dict[str, Store] = {
    "memory": lambda _, clock: MemoryBackend(clock=clock),
    "sqlite": lambda folder, clock: SQLiteBackend(folder / "queue.db", synchronous="NORMAL", clock=clock),
}


@pytest.fixture(params=STORES)
def make_backend(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Callable[[], QueueBackend]:
    store = STORES[request.param]
    return lambda: store(tmp_path, clock)


@pytest.fixture
async def backend(make_backend: Callable[[], QueueBackend]) -> AsyncIterator[QueueBackend]:
    backend = make_backend()
    await backend.open()
    yield backend
    await backend.close()
