"""In: the first moment of a worker's process. Out: a process that can be told to end, and only then the rest.

``litestar-queues-worker`` is ``litestar queues run`` with the same options, made to be process 1 of a container. The
kernel gives process 1 no default action for SIGTERM: what arrives before there is a handler is lost, and the container
is killed at the end of its grace period. ``litestar`` imports for half a second before it comes to its commands.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

from litestar_queues.signals import CLEAN, end_process

__all__ = ("main",)


def main() -> None:
    """Take the signals, then run the worker as Litestar's command does."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(
            number, _leave
        )  # until `litestar_queues.cli` takes them over, which is before the app is imported
    sys.argv = ["litestar", "queues", "run", *sys.argv[1:]]
    from litestar.__main__ import run_cli

    run_cli()


def _leave(_number: int, _frame: FrameType | None) -> None:
    """End at once: nothing is held yet, and an exception could be swallowed wherever an import has just come to."""
    end_process(CLEAN)
