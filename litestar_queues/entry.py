"""In: the first moment of a worker's process. Out: a process that can be told to end, and only then the rest.

``litestar-queues-worker`` is ``litestar queues run`` with the same options, made to be process 1 of a container. The
kernel gives process 1 no default action for SIGTERM: what arrives before there is a handler is lost, and the container
is killed at the end of its grace period. ``litestar`` imports for half a second before it comes to its commands.
"""

from __future__ import annotations

import sys

from litestar_queues.signals import SIGNALS

__all__ = ("main",)


def main() -> None:
    """Take the signals, then run the worker as Litestar's command does."""
    SIGNALS.install()
    sys.argv = ["litestar", "queues", "run", *sys.argv[1:]]
    from litestar.__main__ import run_cli

    run_cli()
