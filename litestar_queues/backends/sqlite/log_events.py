"""In: the path of a write-ahead log. Out: word that somebody writes to it, from the kernel, so that nobody need look.

Linux alone has inotify; where it is missing or refused, ``following`` stays false.
"""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path
from typing import Any

__all__ = ("LogEvents",)

_IN_MODIFY = 2
_BUFFER = 65_536


class LogEvents:
    """Writes to one file, by whatever process. All but :meth:`wake` is called on one thread, or once it has ended."""

    def __init__(self) -> None:
        self.following = False
        """Whether writes are told."""
        self._libc: Any = None
        self._inotify = self._watch = self._waker = -1
        self._poll: Any = None
        if sys.platform == "linux":
            self._open()

    def follow(self, path: Path) -> None:
        """Be told of writes to this file from now on."""
        if self._inotify >= 0:
            self.unfollow()
            self._watch = self._libc.inotify_add_watch(self._inotify, os.fsencode(path), _IN_MODIFY)
            self.following = self._watch >= 0

    def unfollow(self) -> None:
        """Be told no more."""
        if self.following:
            self._libc.inotify_rm_watch(self._inotify, self._watch)
            self.following = False

    def wait(self, seconds: float) -> bool:
        """Return once the file was written to, :meth:`wake` was called or the seconds are over; which, is told."""
        ready = [fd for fd, _ in self._poll.poll(seconds * 1000)]
        for fd in ready:
            os.read(fd, _BUFFER)  # what has gathered is one event
        return self._inotify in ready

    def wake(self) -> None:
        """End the wait."""
        if self._waker >= 0:
            os.write(self._waker, (1).to_bytes(8, sys.byteorder))

    def close(self) -> None:
        """Give the descriptors back."""
        self.following = False
        descriptors = self._inotify, self._waker
        self._inotify = self._waker = -1
        for fd in descriptors:
            if fd >= 0:
                os.close(fd)

    def _open(self) -> None:
        import ctypes  # here, since only a worker pays for it

        self._libc = ctypes.CDLL(None)
        if not hasattr(self._libc, "inotify_init1"):
            return
        self._inotify = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._inotify < 0:
            return
        try:
            self._waker = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        except OSError:  # no descriptor is left
            self.close()
            return
        self._poll = select.poll()
        self._poll.register(self._inotify, select.POLLIN)
        self._poll.register(self._waker, select.POLLIN)
