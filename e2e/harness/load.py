"""In: the web app's Service, as pods see it. Out: a steady load from a pod of its own, and what came of each call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from e2e.harness.kube import IMAGE, NAME, Namespace
from e2e.harness.wait import DRAINED, POD_READY, eventually

RATE = 50
BATCH = 10
POD = "load"
SCRIPT = """
import json, pathlib, sys, time
from urllib.request import Request, urlopen
url, batch, rate, stop = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), pathlib.Path("/tmp/stop")
began = due = time.monotonic()
while not stop.exists():
    try:
        with urlopen(Request(f"{url}?count={batch}", method="POST"), timeout=20) as answer:
            said = json.load(answer)
    except OSError as error:
        said = f"after {time.monotonic() - began:.1f} s: {error}"
    print(json.dumps(said), flush=True)
    due += batch / rate
    time.sleep(max(0.0, due - time.monotonic()))
print(time.monotonic() - began, flush=True)
"""


class Load:
    """Enqueues calls of a task until it is told to stop. It goes through the Service, so web pods may come and go."""

    def __init__(self, shop: Namespace, task: str = "fast") -> None:
        self.ids: list[str] = []
        self.trouble: list[str] = []
        self.seconds = 0.0
        self._shop = shop
        self._url = f"http://{NAME}-web/enqueue/{task}"

    @contextmanager
    def on(self) -> Iterator[None]:
        """Enqueue while the block runs."""
        self._shop.kubectl("apply", "-f", "-", stdin=json.dumps(self._pod()))
        eventually(POD_READY, lambda: self._shop.logs(POD))
        yield
        self._shop.execute(POD, "touch", "/tmp/stop")
        eventually(DRAINED, lambda: self._shop.pod(POD).status.phase == "Succeeded")
        for line in self._shop.logs(POD).splitlines():
            match json.loads(line):
                case list(ids):
                    self.ids += ids
                case str(trouble):
                    self.trouble.append(trouble)
                case seconds:
                    self.seconds = seconds

    def _pod(self) -> dict[str, Any]:
        container = {
            "name": POD,
            "image": IMAGE,
            "command": ["python", "-c", SCRIPT, self._url, str(BATCH), str(RATE)],
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
        spec = {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
        }
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD}, "spec": spec}
