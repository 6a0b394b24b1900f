"""In: the app's settings. Out: exit code 0 once the fleet has run a canary of this test, and the exporter is well."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from urllib.request import urlopen

CANARY = os.environ.get("LITESTAR_QUEUES_SCHEDULER_CANARY_TASK", "scheduler.heartbeat")
QUEUES = ("litestar", "queues")


def main() -> int:
    """Ask until all answers are good or the time is over."""
    deadline = time.monotonic() + float(os.environ.get("SMOKE_TIMEOUT", "150"))
    while code := check(deadline):
        if time.monotonic() > deadline:
            return code
        time.sleep(5)
    return 0


def check(deadline: float) -> int:
    """Enqueue a canary, which any worker runs beside its slots, and wait for it; then ask for health and exporter."""
    seconds = max(1, int(deadline - time.monotonic()))
    calls = (("enqueue", CANARY, "--wait", "--timeout", f"{seconds}s"), ("scheduler-health", "--minutes", "5"))
    for call in calls:
        if code := subprocess.call([*QUEUES, *call]):  # noqa: S603 - commands of the library
            return code
    url = os.environ.get("SMOKE_EXPORTER")
    return check_exporter(url) if url else 0


def check_exporter(url: str) -> int:
    """Read the metrics, of which one says whether the store answered."""
    try:
        with urlopen(url, timeout=20) as answer:  # noqa: S310 - the chart's own address
            lines = answer.read().decode().splitlines()
    except OSError as error:
        sys.stderr.write(f"the exporter does not answer: {error}\n")
        return 1
    if "litestar_queues_up 1.0" in lines:
        sys.stdout.write(f"the exporter reaches the store: {len(lines)} lines of metrics\n")
        return 0
    sys.stderr.write("the exporter does not reach the store: see its log\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
