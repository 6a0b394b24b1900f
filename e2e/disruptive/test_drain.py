"""Laws: whoever is told to stop finishes or gives back, inside the grace period; whoever is killed loses nothing."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from kubernetes import client, watch

from e2e.harness.kube import Namespace, is_ready, statuses
from e2e.harness.wait import BACK, POD_GONE, POD_READY, RESCUE, TASK, eventually

PREFIX = "shop-litestar-queues-worker-default"
CANCELLED = 2
"""Exit code of a drain that had to give back what it ran."""
KILLED = 137
DRAIN_FLAGS = ("--delete-emptydir-data", "--timeout=120s")
"""Each pod has an emptyDir for /tmp, which kubectl does not throw away unasked."""
UNDER_A_SHELL = ["sh", "-c", 'litestar-queues-worker "$@"; exit $?', "sh"]
"""Process 1 takes no SIGKILL from inside its own namespace, so the worker is a child."""
SIGKILL = "import os; os.kill(int(open('/proc/1/task/1/children').read().split()[0]), 9)"


@pytest.mark.each_change
def test_a_deleted_pod_finishes_its_task(shop: Namespace, measured: list[str]) -> None:
    shop.install(worker={"replicas": 2})
    with shop.web() as web:
        [record] = web.enqueue("slow", seconds=20)
        pod = eventually(TASK, lambda: shop.runs(record))[0][1]
        code, seconds = delete(shop, pod)
        measured.append(f"deleted with a 20 s task running: exit code {code}, gone after {seconds:.1f} s")
        assert code == 0
        assert seconds < shop.pod(PREFIX + "-0").spec.termination_grace_period_seconds
        assert web.task(record)["status"] == "completed"
    assert shop.runs(record) == [(1, pod, True)]


def test_a_task_beyond_the_drain_is_given_back_and_finished_elsewhere(shop: Namespace, measured: list[str]) -> None:
    shop.install(worker={"replicas": 2, "drainTimeout": 3})
    with shop.web() as web:
        [record] = web.enqueue("slow", seconds=20)
        pod = eventually(TASK, lambda: shop.runs(record))[0][1]
        code, seconds = delete(shop, pod)
        measured.append(f"drain of 3 s with a 20 s task: exit code {code}, gone after {seconds:.1f} s")
        assert code == CANCELLED
        assert seconds < 3 + 5 + 15
        eventually(RESCUE, lambda: web.task(record)["status"] == "completed")
    [first, second] = shop.runs(record)
    assert first == (1, pod, False)
    assert second[2]
    assert second[1] != pod


def test_a_pod_that_is_told_to_stop_while_it_starts_ends_at_once(shop: Namespace, measured: list[str]) -> None:
    shop.install(worker={"replicas": 1}, web={"enabled": False}, exporter={"enabled": False})
    slowest = 0.0
    for _ in range(2):
        pod = PREFIX + "-0"
        old = shop.pod(pod).metadata.uid
        code, _ = delete(shop, pod)
        assert code == 0
        eventually(POD_READY, lambda pod=pod, old=old: is_running_anew(shop, pod, old), every=0.05)
        code, seconds = delete(shop, pod)
        slowest = max(slowest, seconds)
        assert code == 0
        eventually(POD_READY, lambda pod=pod: is_ready(shop.pod(pod)))
    measured.append(f"SIGTERM at start: exit code 0, gone after {slowest:.1f} s at most")


def test_a_killed_worker_takes_its_own_back_at_once(shop: Namespace, measured: list[str]) -> None:
    shop.install(settings={"worker_stale_after": 60}, worker={"command": UNDER_A_SHELL})
    pod = PREFIX + "-0"
    with shop.web() as web:
        [record] = web.enqueue("slow", seconds=8)
        eventually(TASK, lambda: shop.runs(record))
        killed = shop.execute(pod, "python", "-c", SIGKILL)
        assert killed.returncode in {0, KILLED}, killed.stderr
        began = time.monotonic()
        eventually(POD_READY, lambda: shop.restarts() == 1)
        eventually(RESCUE, lambda: len(shop.runs(record)) == 2, every=0.1)
        taken = time.monotonic() - began
        measured.append(f"kill -9: the same pod runs the record again after {taken:.1f} s, with a lease of 60 s")
        assert taken < 30, "well before the lease of 60 s runs out"
        eventually(TASK, lambda: web.task(record)["status"] == "completed")
    last = statuses(shop.pod(pod))[0].last_state.terminated
    assert last.exit_code == KILLED


def test_a_pod_ends_in_time_while_the_database_is_away(shop: Namespace, measured: list[str]) -> None:
    shop.install(
        worker={"replicas": 1, "drainTimeout": 5}, settings={"worker_stale_after": 20, "worker_heartbeat_interval": 4}
    )
    pod = PREFIX + "-0"
    grace = shop.pod(pod).spec.termination_grace_period_seconds
    with shop.web() as web:
        [record] = web.enqueue("slow", seconds=20)
        eventually(TASK, lambda: shop.runs(record))
        shop.kubectl("scale", "statefulset", "postgres", "--replicas=0")
        eventually(POD_READY, lambda: shop.pod("postgres-0") is None)
        code, seconds = delete(shop, pod)
        measured.append(
            f"deleted while the database is away: exit code {code}, gone after {seconds:.1f} s of {grace} s"
        )
        assert code == CANCELLED, "it is not killed, and no other end of the drain hides that it cut a task off"
        assert seconds < grace
        time.sleep(grace)
        assert not is_ready(shop.pod(pod))
        shop.kubectl("scale", "statefulset", "postgres", "--replicas=1")
        eventually(POD_READY, lambda: is_ready(shop.pod("postgres-0")))
        eventually(BACK, lambda: is_ready(shop.pod(pod)))
        eventually(RESCUE, lambda: web.task(record)["status"] == "completed")
    assert shop.restarts() == 0


def test_a_node_is_drained_one_worker_at_a_time(shop: Namespace, measured: list[str]) -> None:
    shop.install(worker={"replicas": 2, "podDisruptionBudget": {"enabled": True}})
    with shop.web() as web:
        records = web.enqueue("slow", count=10, seconds=10)
        eventually(TASK, lambda: all(shop.runs(record) for record in records))
        node = shop.pod(PREFIX + "-0").spec.node_name
        before = {name: pod.metadata.uid for name, pod in shop.pods().items() if pod.spec.node_name == node}
        selector = "--pod-selector=app.kubernetes.io/component=worker,litestar-queues/pool=default"
        with ThreadPoolExecutor(1) as threads:
            try:
                began = time.monotonic()
                drained = threads.submit(shop.kubectl, "drain", node, selector, *DRAIN_FLAGS)
                eventually(POD_GONE, lambda: len(stayed(shop, before)) == len(before) - 1)
                time.sleep(8)  # on a cluster of one node the pod that went has nowhere to go
                alone = stayed(shop, before)
                assert len(alone) == len(before) - 1
                assert all(is_ready(shop.pod(name)) for name in alone)
            finally:
                shop.kubectl("uncordon", node)
            drained.result()
        measured.append(
            f"kubectl drain with a budget: {len(before)} pods, one at a time, in {time.monotonic() - began:.0f} s"
        )
        eventually(POD_READY, lambda: all(is_ready(pod) for pod in shop.pods().values()))
        eventually(TASK, lambda: all(web.task(record)["status"] == "completed" for record in records))
    assert all([ended for *_, ended in shop.runs(record)] == [True] for record in records), "nothing was cut short"
    assert stayed(shop, before) == []


def stayed(shop: Namespace, before: dict[str, str]) -> list[str]:
    """Pods that are the same as before."""
    return [name for name, uid in before.items() if not is_another(shop.pod(name), uid)]


def delete(shop: Namespace, pod: str) -> tuple[int, float]:
    """Delete a pod; gives its exit code and the seconds until it was gone."""
    uid = shop.pod(pod).metadata.uid
    with ThreadPoolExecutor(1) as threads:
        code = threads.submit(exit_code, shop, pod, uid)
        began = time.monotonic()
        shop.core.delete_namespaced_pod(pod, shop.name)
        eventually(POD_GONE, lambda: is_another(shop.pod(pod), uid), every=0.1)
        return code.result(), time.monotonic() - began


def exit_code(shop: Namespace, name: str, uid: str) -> int:
    """Watch a pod until its container has ended."""
    for event in watch.Watch().stream(shop.core.list_namespaced_pod, shop.name, timeout_seconds=int(POD_GONE.seconds)):
        pod: client.V1Pod = event["object"]
        if pod.metadata.name == name and pod.metadata.uid == uid:
            for status in statuses(pod):
                if status.state.terminated:
                    return int(status.state.terminated.exit_code)
    msg = f"{name} did not end"
    raise AssertionError(msg)


def is_another(pod: client.V1Pod | None, uid: str) -> bool:
    """Whether the pod with that uid is gone."""
    return pod is None or pod.metadata.uid != uid


def is_running_anew(shop: Namespace, name: str, old: str) -> bool:
    """Whether the next pod of that name runs its container."""
    pod = shop.pod(name)
    return is_another(pod, old) and pod is not None and any(status.state.running for status in statuses(pod))
