"""In: a file that others write to, and a kernel that tells of it or does not. Out: word of each write all the same."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from pathlib import Path

import pytest

from litestar_queues.backends.sqlite import SQLiteBackend
from litestar_queues.backends.sqlite.log_events import LogEvents
from tests.builders import make_record

LONG = 20.0
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no inotify")


@only_linux
def test_writes_are_told_once_however_many_they_are(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"")
    events = LogEvents()
    events.follow(file)
    assert events.following
    assert not events.wait(0)
    for _ in range(3):
        with file.open("ab") as log:
            log.write(b"frame")
    assert events.wait(LONG)
    assert not events.wait(0)
    events.close()


@only_linux
def test_a_wake_ends_the_wait_and_is_no_write(tmp_path: Path) -> None:
    events = LogEvents()
    waker = threading.Timer(0.02, events.wake)
    waker.start()
    began = time.monotonic()
    assert not events.wait(LONG)
    assert time.monotonic() - began < LONG / 2
    waker.join()
    events.close()


def test_a_file_that_is_not_there_is_not_followed(tmp_path: Path) -> None:
    events = LogEvents()
    events.follow(tmp_path / "nothing")
    assert not events.following
    events.close()


@only_linux
def test_closing_gives_every_descriptor_back() -> None:
    before = set(Path("/proc/self/fd").iterdir())
    for _ in range(5):
        LogEvents().close()
    assert len(set(Path("/proc/self/fd").iterdir())) <= len(before)


@pytest.mark.parametrize("kernel_tells", [True, False])
async def test_a_commit_of_another_connection_wakes_with_and_without_the_kernels_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel_tells: bool
) -> None:
    if not kernel_tells:
        monkeypatch.setattr(LogEvents, "_open", lambda _: None)
    watching, writing = SQLiteBackend(tmp_path / "queue.db"), SQLiteBackend(tmp_path / "queue.db")
    await watching.open()
    await writing.open()
    woken = asyncio.Event()
    unsubscribe = watching.subscribe(woken.set)
    await asyncio.sleep(0.6)  # until it is at rest
    for _ in range(2):
        woken.clear()
        await writing.enqueue_many([make_record()])
        async with asyncio.timeout(LONG):
            await woken.wait()
    unsubscribe()
    await watching.close()
    await writing.close()


async def test_a_backend_at_rest_closes_at_once(tmp_path: Path) -> None:
    backend = SQLiteBackend(tmp_path / "queue.db")
    await backend.open()
    unsubscribe = backend.subscribe(lambda: None)
    await asyncio.sleep(0.6)
    began = time.monotonic()
    await backend.close()
    assert time.monotonic() - began < LONG / 2
    unsubscribe()
