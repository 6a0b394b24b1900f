"""Laws: a full fleet is a well fleet, and an absent one loses nothing."""

from __future__ import annotations

import time

from e2e.harness.kube import Namespace, is_ready
from e2e.harness.wait import DRAINED, POD_GONE, TASK, eventually

POOL = "statefulset/shop-litestar-queues-worker-default"
PROBES = {"canaryMinutes": 0.75, "periodSeconds": 5, "failureThreshold": 3}
"""The canary is due every 20 s. Without one a pod would be restarted after 45 s and three failures."""
WATCHED_SECONDS = 75


def test_a_full_fleet_is_not_restarted(shop: Namespace, measured: list[str]) -> None:
    shop.install(worker={"concurrency": 5, "drainTimeout": 1, "probes": PROBES})
    with shop.web() as web:
        web.enqueue("slow", count=50, seconds=30)
        eventually(TASK, lambda: shop.sql("select 1 from lq_live where task like '%slow' and status = 'running'"))
        time.sleep(WATCHED_SECONDS)
        [[waiting]] = shop.sql("select count(*) from lq_live where task like '%slow' and status = 'pending'")
    assert waiting > 20, "it is still full"
    assert shop.restarts() == 0
    assert "Liveness probe failed" not in shop.events()
    assert all(is_ready(pod) for pod in shop.pods().values())
    measured.append(f"full fleet: 5 slots taken and {waiting} records waiting for {WATCHED_SECONDS} s, no restart")


def test_a_pool_comes_back_from_zero_also_with_the_command_as_its_probe(shop: Namespace) -> None:
    shop.install(worker={"replicas": 2, "probes": {"liveness": "cli"}})
    with shop.web() as web:
        shop.kubectl("scale", POOL, "--replicas=0")
        eventually(POD_GONE, lambda: not shop.pods())
        records = web.enqueue("fast", count=50)
        assert web.task(records[0])["status"] == "pending"
        shop.kubectl("scale", POOL, "--replicas=2")
        eventually(DRAINED, lambda: all(web.task(record)["status"] == "completed" for record in records))
    assert all([attempt for attempt, _, _ in shop.runs(record)] == [1] for record in records[:5])
    asked = shop.execute(next(iter(shop.pods())), "litestar", "queues", "scheduler-health")
    assert asked.stdout.startswith("healthy: scheduler.heartbeat"), asked.stderr
    assert shop.restarts() == 0
