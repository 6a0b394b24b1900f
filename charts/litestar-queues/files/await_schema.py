"""In: the app's settings. Out: exit code 0 once the Job beside this pod has made the tables."""

from __future__ import annotations

import os
import subprocess
import sys
import time

COMMAND = ("litestar", "queues", "migrate", "--check")


def main() -> int:
    """Ask until it is there or the time is over."""
    deadline = time.monotonic() + float(os.environ.get("AWAIT_SCHEMA_TIMEOUT", "600"))
    while code := subprocess.call(COMMAND):  # noqa: S603 - a constant
        if time.monotonic() > deadline:
            return code
        time.sleep(2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
