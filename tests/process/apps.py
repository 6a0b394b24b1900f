"""In: nothing. Out: the text of the usual app, with tasks that note what they do and hold out as tests need it."""

from __future__ import annotations

__all__ = ("APP", "TASKS")

TASKS = '''
import asyncio
import time
from pathlib import Path

from litestar_queues import task


def note(line):
    with open("notes.txt", "a") as notes:
        notes.write(f"{line}\\n")


@task
async def greet(name="you"):
    note(f"greet {name}")


@task
async def hold(name=""):
    """Wait on the loop until the file `go` is there."""
    note(f"hold {name}")
    while not Path("go").exists():
        await asyncio.sleep(0.02)
    note(f"held {name}")


@task
def hold_thread():
    note("hold_thread")
    while not Path("go").exists():
        time.sleep(0.02)


@task
async def swallow():
    """Take no notice of cancellation."""
    note("swallow")
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            note("swallowed")


@task
def block_thread():
    note("block_thread")
    time.sleep(3600)


@task
async def block_loop():
    note("block_loop")
    time.sleep(3600)


@task
async def block_loop_on_go():
    await hold("block_loop_on_go")
    time.sleep(3600)


@task("scheduler.heartbeat", interval=1)
async def heartbeat():
    note("heartbeat")
'''

APP = f"""
from litestar import Litestar

from litestar_queues import QueuePlugin
{TASKS}

app = Litestar(plugins=[QueuePlugin()])
"""
