"""In: a question and how long its answer may take. Out: the answer, or the name of the wait that was too long."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Wait:
    """How long something may take, and why so long."""

    name: str
    seconds: float


INSTALL: Final = Wait("install: images are there, a migration, four pods that import their app", 180)
POD_READY: Final = Wait("pod ready: container start, import, first readiness probe after 5 s", 60)
POD_GONE: Final = Wait("pod gone: the longest grace period of these tests and a little", 120)
TASK: Final = Wait("task done: picked up at once, done in milliseconds; a busy machine needs longer", 30)
RESTART: Final = Wait("restart by liveness: loop counts as stuck, failures in a row, grace period of the probe", 180)
RESCUE: Final = Wait("rescue: the lease runs out, another worker looks for such leases", 60)
SCRAPE: Final = Wait("exporter: an answer is kept for 3 s", 20)
BACK: Final = Wait("after an outage: connections are made anew, with pauses that grow", 90)
DRAINED: Final = Wait("backlog: what came during a rollout is worked off", 60)
ROLLOUT: Final = Wait("rollout: pod by pod, each drained, started, and ready for some seconds", 240)


def eventually(wait: Wait, question: Callable[[], Answer], *, every: float = 0.5) -> Answer:
    """Ask until the answer is truthy."""
    deadline = time.monotonic() + wait.seconds
    while True:
        trouble: object = None
        try:
            if answer := question():
                return answer
            trouble = answer
        except Exception as error:
            trouble = error
        if time.monotonic() > deadline:
            msg = f"after {wait.seconds:g} s: {wait.name}. Last answer: {trouble!r}"
            raise AssertionError(msg)
        time.sleep(every)
