"""One look for all watchers, nothing kept for slow ones, and an end when nobody watches."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from litestar.testing import AsyncTestClient

from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.dashboard.live import Live
from litestar_queues.dashboard.snapshot import Eyes, Snapshot
from litestar_queues.lookout import Lookout
from litestar_queues.service import QueueService
from tests.dashboard.conftest import app_with

ROOT = Path(__file__).parents[2]
INTERVAL = 0.01


class Looking:
    """A store that is looked at, counted."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.looks = 0
        self.fails = False

    async def __call__(self) -> Snapshot:
        self.looks += 1
        if self.fails:
            raise RuntimeError("away")
        return self.snapshot

    def change(self) -> None:
        self.snapshot = replace(self.snapshot, failures=[*self.snapshot.failures, object()])  # type: ignore[list-item]


@pytest.fixture
async def looking() -> AsyncIterator[Looking]:
    async with QueueService(backend=MemoryBackend()) as service:
        yield Looking(await Eyes(service).look())


@pytest.fixture
async def live(looking: Looking) -> AsyncIterator[Live]:
    live = Live(looking, interval=INTERVAL, most=3)
    yield live
    await live.lookout.close()


async def frames(stream: AsyncIterator[bytes], count: int) -> list[bytes]:
    async with asyncio.timeout(20):
        return [await anext(stream) for _ in range(count)]


async def test_a_number_stays_while_nothing_changes_and_moves_when_something_does(live: Live, looking: Looking) -> None:
    stream = live.stream()
    assert (await frames(stream, 2))[0] == b"retry: 1000\n\n"
    first = (await frames(stream, 3))[-1]
    assert first == (await frames(stream, 1))[0]
    looking.change()
    assert (await frames(stream, 3))[-1] != first


async def test_one_look_serves_all_watchers_and_there_is_none_without(live: Live, looking: Looking) -> None:
    await asyncio.sleep(INTERVAL * 5)
    assert looking.looks == 0
    streams = [live.stream() for _ in range(3)]
    await asyncio.gather(*(frames(one, 8) for one in streams))
    assert looking.looks <= 10
    for one in streams:
        await one.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(INTERVAL * 5)
    assert live.lookout.watchers == 0
    ended_with = looking.looks
    await asyncio.sleep(INTERVAL * 10)
    assert looking.looks == ended_with


async def test_looking_goes_on_when_somebody_comes_back(live: Live, looking: Looking) -> None:
    for _ in range(2):
        stream = live.stream()
        assert b"data: 1\n\n" in await frames(stream, 4)
        await stream.aclose()  # type: ignore[attr-defined]
        await asyncio.sleep(INTERVAL * 5)


async def test_a_slow_watcher_misses_frames_and_holds_up_nobody(live: Live, looking: Looking) -> None:
    slow, quick = live.stream(), live.stream()
    await frames(slow, 3)
    tracemalloc.start()
    for _ in range(50):
        looking.change()
        looking.snapshot = replace(looking.snapshot, failures=looking.snapshot.failures[-1:])
        await frames(quick, 1)
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 100_000
    newest = (await frames(quick, 1))[-1]
    assert (await frames(slow, 1))[0] >= newest  # the latest at once, and none of those between


async def test_a_store_that_is_away_is_told_and_its_return_too(live: Live, looking: Looking) -> None:
    stream = live.stream()
    looking.fails = True
    assert (await frames(stream, 4))[-1].startswith(b"event: down\n")
    looking.fails = False
    assert (await frames(stream, 4))[-1].startswith(b"data: ")


async def test_no_more_streams_than_allowed(live: Live) -> None:
    streams = [live.stream() for _ in range(4)]
    for one in streams[:3]:
        await frames(one, 1)
    assert live.lookout.is_full
    with pytest.raises(StopAsyncIteration):
        await anext(streams[3])


async def test_closing_ends_all_streams_and_the_look_under_way(live: Live, looking: Looking) -> None:
    stream = live.stream()
    await frames(stream, 3)
    await live.lookout.close()
    with pytest.raises(StopAsyncIteration):
        await frames(stream, 3)
    assert not [one for one in asyncio.all_tasks() if one.get_name() == "litestar-queues-dashboard"]


async def test_a_refresh_shares_the_look_and_a_page_load_does_not(looking: Looking) -> None:
    live = Live(looking, interval=600.0, most=1)
    await frames(live.stream(), 3)
    assert await live.current(fresh=False) is looking.snapshot
    assert looking.looks == 1
    await live.current(fresh=True)
    assert looking.looks == 2
    await live.lookout.close()


async def test_more_watchers_than_allowed_are_told_to_come_later(monkeypatch: pytest.MonkeyPatch) -> None:
    app, _ = app_with()
    monkeypatch.setattr(Lookout, "is_full", True)
    async with AsyncTestClient(app) as client:
        answer = await client.get("/queues/live")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "30"


SERVER = """
import sys, uvicorn
from tests.dashboard.conftest import app_with
app, plugin = app_with()
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
"""


@pytest.fixture
def server() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen([sys.executable, "-c", SERVER, str(port)], cwd=ROOT) as process:
        yield process, port
        process.kill()


@pytest.mark.process
async def test_a_server_stops_though_somebody_watches(server: tuple[subprocess.Popen[bytes], int]) -> None:
    process, port = server
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        for _ in range(200):
            with contextlib.suppress(httpx.ConnectError):
                await client.get("/queues/assets/icon.svg")
                break
            await asyncio.sleep(0.1)
        async with client.stream("GET", "/queues/live") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.aiter_lines()
            while not (await anext(lines)).startswith("data: "):
                pass
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(10):
                async for _ in lines:
                    pass
    assert await asyncio.to_thread(process.wait, 10) in {0, -signal.SIGTERM}
