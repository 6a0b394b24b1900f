"""In: ``watch`` in a terminal that somebody ends. Out: the terminal as it was."""

from __future__ import annotations

import os
import pty
import signal
import subprocess

import pytest

from tests.process.harness import PATIENCE, SCRIPTS, Site

pytestmark = pytest.mark.process

ENTERED, LEFT = b"\x1b[?1049h", b"\x1b[?1049l"
SHOWN = b"\x1b[?25h"
"""The cursor."""


def read_until(terminal: int, wanted: bytes, seen: bytes = b"") -> bytes:
    while wanted not in seen:
        try:
            seen += os.read(terminal, 65_536)
        except OSError:  # nobody is left at the other end
            break
    return seen


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_gives_the_terminal_back(site: Site, number: signal.Signals) -> None:
    terminal, other_end = pty.openpty()
    command = [str(SCRIPTS / "litestar"), "queues", "watch", "--interval", "0.2"]
    environment = site.environment | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    with subprocess.Popen(
        command, cwd=site.folder, env=environment, stdin=other_end, stdout=other_end, stderr=other_end
    ) as process:
        os.close(other_end)
        try:
            seen = read_until(terminal, b"Ctrl-C ends")
            assert ENTERED in seen
            process.send_signal(number)
            seen = read_until(terminal, LEFT, seen[-100:])
            code = process.wait(PATIENCE)
        finally:
            process.kill()
    os.close(terminal)
    assert code == 0
    assert LEFT in seen
    assert SHOWN in seen
