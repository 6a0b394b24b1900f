"""In: a namespace of the cluster that KUBECONFIG names. Out: what tests do there and see there."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import yaml
from kubernetes import client

from e2e.harness.wait import INSTALL, POD_READY, eventually

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/litestar-queues"
POSTGRES = ROOT / "manifests/overlays/demo-postgres/postgres.yaml"
IMAGE = os.environ.get("E2E_IMAGE", "litestar-queues-e2e:1")
NEXT_IMAGE = os.environ.get("E2E_NEXT_IMAGE", "")
"""The same app in its second release; without it no test of images that change is run."""
POSTGRES_IMAGE = os.environ.get("E2E_POSTGRES_IMAGE", "")
"""Runs in place of the overlay's image, where that cannot be pulled."""
PROMETHEUS_IMAGE = os.environ.get("E2E_PROMETHEUS_IMAGE") or "prom/prometheus:v3.5.0"
LEDGER = (
    "create table run (record uuid, attempt int, pod text, release int, begun_at timestamptz default clock_timestamp(),"
    " ended_at timestamptz)"
)
NAME = "shop-litestar-queues"
FORWARD_SECONDS = 15


def run(*command: str, stdin: str | None = None, seconds: float = 300) -> str:
    """Run a program to its good end."""
    answer = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=seconds)
    assert answer.returncode == 0, f"{' '.join(command)} ended with {answer.returncode}: {answer.stderr}{answer.stdout}"
    return answer.stdout


def image_values(image: str) -> dict[str, str]:
    """An image as the chart's values name it."""
    repository, _, tag = image.rpartition(":")
    return {"repository": repository, "tag": tag, "pullPolicy": "IfNotPresent"}


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """The first values under the second, as helm merges them."""
    both = dict(base)
    for key, value in over.items():
        both[key] = merged(both[key], value) if isinstance(both.get(key), dict) and isinstance(value, dict) else value
    return both


class Namespace:
    """A namespace that enforces the `restricted` pod security standard, and what is in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.core = client.CoreV1Api()
        self.apps = client.AppsV1Api()

    # -- objects

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl in the namespace."""
        return run("kubectl", "--namespace", self.name, *arguments, stdin=stdin)

    def pods(self, component: str | None = "worker") -> dict[str, client.V1Pod]:
        """Pods of a component of the release by name; `None`: all pods."""
        selector = f"app.kubernetes.io/component={component}" if component else ""
        return {
            pod.metadata.name: pod for pod in self.core.list_namespaced_pod(self.name, label_selector=selector).items
        }

    def pod(self, name: str) -> client.V1Pod | None:
        """One pod, if it is there."""
        return self.pods(None).get(name)

    def restarts(self, component: str = "worker") -> int:
        """How often containers of a component have been restarted."""
        return sum(status.restart_count for pod in self.pods(component).values() for status in statuses(pod))

    def events(self) -> str:
        """What Kubernetes has to tell."""
        return self.kubectl("get", "events", "--sort-by=.lastTimestamp")

    def execute(self, pod: str, *command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program in a pod's first container."""
        call = ("kubectl", "--namespace", self.name, "exec", *(("--stdin",) if stdin else ()), pod, "--", *command)
        return subprocess.run(call, input=stdin, capture_output=True, text=True, check=False, timeout=120)

    def logs(self, pod: str, *, previous: bool = False) -> str:
        """Log of a pod."""
        return self.kubectl("logs", pod, "--all-containers", *(("--previous",) if previous else ()))

    # -- database

    def start_database(self) -> None:
        """Start the demo overlay's PostgreSQL."""
        objects = list(yaml.safe_load_all(POSTGRES.read_text()))
        for one in objects:
            if POSTGRES_IMAGE and one["kind"] == "StatefulSet":
                one["spec"]["template"]["spec"]["containers"][0]["image"] = POSTGRES_IMAGE
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))

    def await_database(self) -> None:
        """Wait until it is there, and make the ledger in it."""
        eventually(POD_READY, lambda: is_ready(self.pod("postgres-0")))
        self.sql(LEDGER)

    def sql(self, statement: str) -> list[list[Any]]:
        """Ask the database; each row a list."""
        asks = statement.lstrip().startswith("select")
        query = f"select json_agg(to_json(r)) from ({statement}) r" if asks else statement
        command = ("psql", "--username", "queues", "--dbname", "queues", "-qAt", "-v", "ON_ERROR_STOP=1", "-c", query)
        answer = self.execute("postgres-0", *command)
        assert answer.returncode == 0, answer.stderr
        rows = json.loads(answer.stdout.strip() or "null") if asks else None
        return [list(row.values()) for row in rows or []]

    def runs(self, record: str) -> list[tuple[int, str, bool]]:
        """Attempts of a record as its task wrote them down: number, pod, and whether it came to its end."""
        rows = self.sql(
            f"select attempt, pod, ended_at is not null as ended from run where record = '{record}' order by begun_at"
        )
        return [(attempt, pod, ended) for attempt, pod, ended in rows]

    # -- the release

    def helm(self, *arguments: str, values: Mapping[str, Any] | None = None, seconds: float = INSTALL.seconds) -> str:
        """Run helm in the namespace with values over those of all tests."""
        base = {
            "database": {"existingSecret": "litestar-queues-database"},
            "image": image_values(IMAGE),
            "web": {"preStopSeconds": 1},
            "worker": {"drainTimeout": 30, "minReadySeconds": 2},
        }
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(json.dumps(merged(base, values or {})))
            file.flush()
            more = ("--values", file.name) if values is not None else ()
            return run("helm", "--namespace", self.name, *arguments, *more, seconds=seconds + 30)

    def install(self, **values: Any) -> None:
        """Install the chart and wait until all of it is ready."""
        self.helm("install", "shop", str(CHART), "--wait", "--timeout", f"{INSTALL.seconds:g}s", values=values)

    def upgrade(self, *, wait: bool = True, **values: Any) -> None:
        """Upgrade the release."""
        more = ("--wait", "--timeout", f"{INSTALL.seconds:g}s") if wait else ()
        self.helm("upgrade", "shop", str(CHART), *more, values=values)

    @contextmanager
    def forward(self, target: str, port: int) -> Iterator[str]:
        """Reach a port of a Service; gives its URL."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            local = probe.getsockname()[1]
        command = ("kubectl", "--namespace", self.name, "port-forward", target, f"{local}:{port}")
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + FORWARD_SECONDS
            while not listens(local):
                assert time.monotonic() < deadline, "kubectl port-forward does not listen"
                time.sleep(0.1)
            yield f"http://127.0.0.1:{local}"
        finally:
            process.terminate()
            process.wait()

    @contextmanager
    def web(self) -> Iterator[Web]:
        """Reach the web app."""
        with self.forward(f"svc/{NAME}-web", 80) as url:
            yield Web(url)

    # -- what is left when a test fails

    def save(self, folder: Path) -> None:
        """Write down logs, events and pods."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in self.pods(None):
            for previous in (False, True):
                try:
                    text = self.logs(name, previous=previous)
                except AssertionError:
                    continue
                (folder / f"{name}{'.previous' if previous else ''}.log").write_text(text)
        (folder / "events.txt").write_text(self.events())
        (folder / "pods.yaml").write_text(self.kubectl("get", "pods,statefulsets,deployments,jobs", "--output", "yaml"))


class Web:
    """The app of the tests, over HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url

    def enqueue(self, name: str, *, count: int = 1, seconds: float = 0.0) -> list[str]:
        """Enqueue calls of a task and get their ids."""
        request = Request(f"{self.url}/enqueue/{name}?count={count}&seconds={seconds:g}", method="POST")
        with urlopen(request, timeout=20) as answer:
            ids: list[str] = json.load(answer)
            return ids

    def task(self, record: str) -> dict[str, Any]:
        """How a task is doing."""
        try:
            with urlopen(f"{self.url}/tasks/{record}", timeout=20) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except HTTPError as error:
            return {"status": f"HTTP {error.code}"}


def listens(port: int) -> bool:
    """Whether a port of this machine takes connections."""
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def statuses(pod: client.V1Pod) -> Sequence[client.V1ContainerStatus]:
    """States of a pod's containers."""
    return pod.status.container_statuses or []


def is_ready(pod: client.V1Pod | None) -> bool:
    """Whether all containers of a pod are ready and it is not on its way out."""
    if pod is None or pod.metadata.deletion_timestamp:
        return False
    return bool(statuses(pod)) and all(status.ready for status in statuses(pod))


def ready_after(pod: client.V1Pod) -> float:
    """Seconds from the start of the container to readiness, to one second, as Kubernetes writes it down."""
    begun: datetime = statuses(pod)[0].state.running.started_at
    ready: datetime = next(c.last_transition_time for c in pod.status.conditions if c.type == "Ready")
    return (ready - begun).total_seconds()
