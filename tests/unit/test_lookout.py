"""In: watchers of a store. Out: looks while there are any, and an end when the server leaves, whatever hangs."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from litestar_queues import lookout as module
from litestar_queues.lookout import Lookout
from tests.worker.harness import until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GLANCE", 0.005)


class Store:
    """Something that is looked at."""

    def __init__(self) -> None:
        self.looked = asyncio.Event()
        self.hangs = self.is_broken = False

    async def look(self) -> float:
        self.looked.set()
        if self.is_broken:
            raise RuntimeError("nobody expected that")
        await asyncio.sleep(3_600 if self.hangs else 0)
        return 0.005

    async def is_looked_at(self) -> None:
        self.looked.clear()
        async with asyncio.timeout(20):
            await self.looked.wait()


def lookout_of(store: Store, woken: asyncio.Event, most: int = 9) -> Lookout:
    return Lookout(store.look, wake=woken.set, most=most, name="lookout")


async def none_left() -> None:
    await until(lambda: not [one for one in asyncio.all_tasks() if one.get_name() == "lookout"])


@pytest.mark.parametrize("hangs", [False, True])
async def test_watchers_are_woken_when_the_server_leaves_though_a_look_hangs(
    monkeypatch: pytest.MonkeyPatch, *, hangs: bool
) -> None:
    store, woken = Store(), asyncio.Event()
    store.hangs = hangs
    lookout = lookout_of(store, woken)
    with lookout.watch():
        await store.is_looked_at()
        assert not woken.is_set()
        monkeypatch.setattr(module, "server_is_leaving", lambda: True)
        async with asyncio.timeout(20):
            await woken.wait()
        assert lookout.is_full
        await none_left()


async def test_looks_end_with_the_last_watcher_and_begin_with_the_next() -> None:
    store, woken = Store(), asyncio.Event()
    lookout = lookout_of(store, woken)
    for _ in range(2):
        with ExitStack() as watchers:
            for _ in range(3):
                watchers.enter_context(lookout.watch())
            await store.is_looked_at()
            await store.is_looked_at()
        await none_left()
    assert not woken.is_set()


async def test_after_a_look_that_breaks_the_next_watcher_begins_anew() -> None:
    store, woken = Store(), asyncio.Event()
    lookout = lookout_of(store, woken)
    store.is_broken = True
    with lookout.watch():
        await store.is_looked_at()
        await none_left()
        store.is_broken = False
        with lookout.watch():
            await store.is_looked_at()
            await store.is_looked_at()
    await lookout.close()


async def test_no_more_watchers_than_allowed_and_none_after_the_end() -> None:
    lookout = lookout_of(Store(), asyncio.Event(), most=1)
    full = [lookout.is_full]
    with lookout.watch():
        full.append(lookout.is_full)
    full.append(lookout.is_full)
    await lookout.close()
    assert [*full, lookout.is_full] == [False, True, False, True]
