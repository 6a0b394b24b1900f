"""In: SIGTERM and SIGINT, from the first moment on. Out: a drain, an escalation, an end that nothing can hold up."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import TIMEOUT_MAX, Thread
from types import FrameType

__all__ = ("SIGNALS", "ExitGuard", "SignalDesk", "end_process", "server_is_leaving")

CLEAN, BROKEN, CANCELLED = range(3)
_MOST_SIGNALS = 2


class SignalDesk:
    """Takes the signals of a worker process.

    Before anything runs, the first one ends the process with exit code 0: nothing is held yet, and an exception could
    be swallowed wherever an import has just come to. Later whoever listens is told of the first and the second, and the
    third ends the process at once.

    ``signal.signal`` serves everywhere. The loop's own ``add_signal_handler`` does not exist on Windows, and would stay
    silent for as long as a task blocks the loop, which is when a way out is wanted most.
    """

    def __init__(self) -> None:
        self.received = 0
        self.code = CLEAN
        """Exit code of a signal that comes when nobody listens."""
        self._listener: Callable[[int], None] | None = None

    def install(self) -> None:
        """Take the signals from now on."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    @contextmanager
    def listen(self, listener: Callable[[int], None]) -> Iterator[None]:
        """Call the function with 1 and 2, between two steps of the main thread, until the block ends."""
        self._listener = listener
        try:
            yield
        except BaseException:
            self.code = BROKEN
            raise
        finally:
            self._listener = None

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.received += 1
        if self._listener is not None and self.received <= _MOST_SIGNALS:
            self._listener(self.received)
        else:
            end_process(self.code if self._listener is None else CANCELLED)


class ExitGuard:
    """Ends the process at a deadline, whatever else still runs or blocks.

    Until the drain has given its own, the exit code is 2.
    """

    def __init__(self) -> None:
        self.code = CANCELLED
        self._deadlines: SimpleQueue[float] = SimpleQueue()
        # now, not in the signal handler: it may interrupt the main thread while that holds the locks of `threading`
        Thread(target=self._watch, name="litestar-queues-exit", daemon=True).start()

    def end_within(self, seconds: float) -> None:
        """Set the deadline; a later call may only make it earlier."""
        self._deadlines.put(time.monotonic() + seconds)  # which one signal may do while another is doing it

    def _watch(self) -> None:
        deadline = self._deadlines.get()
        while (left := deadline - time.monotonic()) > 0:
            with suppress(Empty):
                deadline = min(deadline, self._deadlines.get(timeout=min(left, TIMEOUT_MAX)))
        end_process(self.code)


def end_process(code: int) -> None:
    """End without waiting for threads and tasks that may never end."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # nobody is left to be told
            stream.flush()
    os._exit(code)


SIGNALS = SignalDesk()


def server_is_leaving() -> bool:
    """Whether uvicorn has been told to stop: it shuts the app down only once every stream has ended."""
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return bool(getattr(server, "should_exit", False))
