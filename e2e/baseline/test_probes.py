"""Laws: probes are cheap, see a wedged loop, and are blind to what a restart would not heal."""

from __future__ import annotations

import time

import pytest

from e2e.harness.kube import Namespace, is_ready, statuses
from e2e.harness.wait import BACK, POD_READY, RESCUE, RESTART, TASK, eventually

POD = "shop-litestar-queues-worker-default-0"
OUTAGE_SECONDS = 120
MOST_CPU = 0.060
MOST_MEMORY_KIB = 25 * 1024
MOST_WALL_AT_A_TENTH_OF_A_CORE = 1.0
COST = """
import resource, statistics, subprocess, sys, time
walls, spent = [], 0.0
for _ in range(10):
    began = time.monotonic()
    subprocess.run(["litestar-queues-probe", *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)
    walls.append(time.monotonic() - began)
    time.sleep(0.5)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print((used.ru_utime + used.ru_stime) / 10, used.ru_maxrss, statistics.median(walls))
"""


@pytest.mark.each_change
def test_a_probe_is_cheap(shop: Namespace, measured: list[str]) -> None:
    shop.install(worker={"resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "100m"}}}, web={"enabled": False})
    answer = eventually(TASK, lambda: healthy(shop))
    assert answer.startswith(("healthy", "live")), answer

    cost = shop.execute(POD, "python", "-c", COST, "scheduler-health")
    assert cost.returncode == 0, cost.stderr
    cpu, memory, wall = (float(word) for word in cost.stdout.split())
    measured.append(f"exec probe: {cpu * 1000:.0f} ms CPU, {memory / 1024:.1f} MiB, {wall:.2f} s wall at 100m CPU")
    assert cpu < MOST_CPU
    assert memory < MOST_MEMORY_KIB
    assert wall < MOST_WALL_AT_A_TENTH_OF_A_CORE
    assert shop.restarts() == 0


def healthy(shop: Namespace) -> str:
    answer = shop.execute(POD, "litestar-queues-probe", "scheduler-health")
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.mark.each_change
def test_a_wedged_loop_restarts_the_pod_and_its_task_runs_again(shop: Namespace, measured: list[str]) -> None:
    shop.install()
    uid = shop.pod(POD).metadata.uid
    began = time.monotonic()
    with shop.web() as web:
        [record] = web.enqueue("wedge", seconds=3600)
        eventually(RESTART, lambda: shop.restarts() == 1)
        measured.append(f"wedged loop: restarted after {time.monotonic() - began:.0f} s")
        eventually(RESCUE, lambda: web.task(record)["status"] == "completed")
    assert shop.pod(POD).metadata.uid == uid, "the container is restarted, the pod stays"
    assert [(pod, ended) for _, pod, ended in shop.runs(record)] == [(POD, False), (POD, True)]
    assert "Liveness probe failed" in shop.events()


def test_a_database_that_is_away_restarts_nothing(shop: Namespace, measured: list[str]) -> None:
    shop.install(worker={"replicas": 2})
    with shop.web() as web:
        [before] = web.enqueue("slow", seconds=5)
        eventually(TASK, lambda: shop.runs(before))
        shop.kubectl("scale", "statefulset", "postgres", "--replicas=0")
        eventually(POD_READY, lambda: shop.pod("postgres-0") is None)
        time.sleep(OUTAGE_SECONDS)
        assert not any(is_ready(pod) for pod in shop.pods().values()), "a worker that cannot claim is not ready"
        assert shop.restarts() == 0
        assert shop.restarts("exporter") == 0

        shop.kubectl("scale", "statefulset", "postgres", "--replicas=1")
        eventually(POD_READY, lambda: is_ready(shop.pod("postgres-0")))
        began = time.monotonic()
        [after] = eventually(BACK, lambda: web.enqueue("fast"))
        eventually(BACK, lambda: web.task(after)["status"] == "completed")
        measured.append(f"database back: the first new task is done after {time.monotonic() - began:.1f} s")
        eventually(RESCUE, lambda: web.task(before)["status"] == "completed")
        eventually(BACK, lambda: all(is_ready(pod) for pod in shop.pods().values()))
    assert shop.restarts() == 0
    assert all(status.restart_count == 0 for pod in shop.pods("web").values() for status in statuses(pod))
