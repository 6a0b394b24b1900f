"""Laws: whoever is told to stop finishes or gives back, inside the grace period; whoever is killed loses nothing."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from kubernetes import client, watch

from e2e.harness.kube import Namespace, is_ready, statuses
from e2e.harness.wait import POD_GONE, POD_READY, RESCUE, TASK, eventually

PREFIX = "shop-litestar-queues-worker-default"
CANCELLED = 2
"""Exit code of a drain that had to give back what it ran."""
KILLED = 137
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
