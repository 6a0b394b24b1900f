"""Laws: under steady load a rollout loses nothing, doubles nothing, and keeps nobody waiting."""

from __future__ import annotations

import time

import pytest

from e2e.harness.kube import NEXT_IMAGE, Namespace, image_values, merged
from e2e.harness.load import RATE, Load
from e2e.harness.wait import DRAINED, ROLLOUT, TASK, eventually

POOL = "statefulset/shop-litestar-queues-worker-default"
MOST_P99 = 10.0
MOST_WAIT = 30.0
WAITS = """
select percentile_cont(0.5) within group (order by wait) filter (where known) as p50,
    percentile_cont(0.99) within group (order by wait) filter (where known) as p99, max(wait) as longest
from (select task not like '%newfast' as known, extract(epoch from (first.at - created_at))::float as wait from lq_done
      join (select record, min(begun_at) as at from run group by record) first on first.record = id
      where task like '%fast') waits
"""
"""What only the next release knows waits for its first worker; the longest wait counts that too."""


FLEET = {"worker": {"replicas": 3}, "web": {"preStopSeconds": 5}, "settings": {"worker_unknown_task_delay": 2}}
"""The second release enqueues a task that workers of the first do not know; those give it back for so long."""
changes_image = pytest.mark.skipif(not NEXT_IMAGE, reason="E2E_NEXT_IMAGE names no second release of the app")


def test_a_rolling_restart_under_load(shop: Namespace, measured: list[str]) -> None:
    shop.install(**FLEET)
    load = Load(shop)
    with load.on():
        time.sleep(5)
        began = time.monotonic()
        shop.kubectl("rollout", "restart", POOL)
        shop.kubectl("rollout", "status", POOL, f"--timeout={ROLLOUT.seconds:g}s")
        rollout = time.monotonic() - began
        time.sleep(5)
    judge(shop, load, measured, f"rolling restart of 3 pods in {rollout:.0f} s")


@changes_image
@pytest.mark.each_change
def test_an_upgrade_to_another_image_under_load(shop: Namespace, measured: list[str]) -> None:
    shop.install(**FLEET)
    load = Load(shop, "mixed")
    with load.on():
        time.sleep(5)
        began = time.monotonic()
        shop.upgrade(**FLEET, image=image_values(NEXT_IMAGE))
        rollout = time.monotonic() - began
        time.sleep(5)
    judge(shop, load, measured, f"helm upgrade to another image, 3 pods in {rollout:.0f} s")
    assert sorted(shop.sql("select distinct release from run")) == [[1], [2]]
    new = "select distinct release from run join lq_done on id = record where task like '%newfast'"
    assert shop.sql(new) == [[2]], "what only the second release knows, only the second release ran"


@changes_image
def test_a_rollback_of_a_deployment_to_the_image_before_under_load(shop: Namespace, measured: list[str]) -> None:
    fleet = merged(FLEET, {"worker": {"kind": "Deployment"}})
    shop.install(**fleet)
    shop.upgrade(**fleet, image=image_values(NEXT_IMAGE))
    load = Load(shop)
    with load.on():
        time.sleep(5)
        began = time.monotonic()
        shop.helm("rollback", "shop", "1", "--wait", "--timeout", f"{ROLLOUT.seconds:g}s")
        rollout = time.monotonic() - began
        time.sleep(5)
    judge(shop, load, measured, f"helm rollback of a Deployment to the image before, 3 pods in {rollout:.0f} s")
    assert sorted(
        shop.sql("select distinct release from run where record in (select id from lq_done where task like '%fast')")
    ) == [[1], [2]]


def judge(shop: Namespace, load: Load, measured: list[str], what: str) -> None:
    """Every record that was enqueued has one outcome and ran once."""
    assert load.trouble == []
    rate = len(load.ids) / load.seconds
    assert rate > RATE * 0.9, f"the load was {rate:.0f} tasks/s only"
    eventually(DRAINED, lambda: shop.sql("select count(*) from lq_live where task like '%fast'") == [[0]])
    done = {row[0]: row[1] for row in shop.sql("select id, status from lq_done where task like '%fast'")}
    lost = set(load.ids) - set(done)
    unasked = set(done) - set(load.ids)
    ended_otherwise = {status for status in done.values() if status != "completed"}
    [[doubled]] = shop.sql("select count(*) from (select record from run group by record having count(*) > 1) twice")
    [[p50, p99, longest]] = shop.sql(WAITS)
    measured.append(
        f"{what} under {rate:.0f} tasks/s: {len(load.ids)} records, {len(lost)} lost, {doubled} run twice, "
        f"wait p50 {p50 * 1000:.0f} ms, p99 {p99:.2f} s, longest {longest:.2f} s"
    )
    assert (lost, unasked, ended_otherwise, doubled) == (set(), set(), set(), 0)
    assert p99 < MOST_P99
    assert longest < MOST_WAIT
    assert shop.restarts() == 0


def test_schedules_fire_once_per_tick_during_a_rollout(shop: Namespace, measured: list[str]) -> None:
    shop.install(worker={"replicas": 3}, web={"enabled": False}, exporter={"enabled": False})
    eventually(TASK, lambda: shop.sql("select 1 from lq_tick where schedule = 'tick'"))
    began = time.monotonic()
    shop.kubectl("rollout", "restart", POOL)
    shop.kubectl("rollout", "status", POOL, f"--timeout={ROLLOUT.seconds:g}s")
    time.sleep(max(4.0, 62 - (time.monotonic() - began)))
    ticks = shop.sql(
        "select t.at, extract(epoch from t.at - lag(t.at) over (order by t.at))::float as gap, t.record,"
        " (select count(*) from run where run.record = t.record) as runs"
        " from lq_tick t where schedule = 'tick' and t.fired_at < now() - interval '3 seconds' order by t.at"
    )
    minutes = shop.sql(
        "select (select count(*) from run where run.record = t.record) as runs"
        " from lq_tick t where schedule = 'minute' and t.fired_at < now() - interval '3 seconds'"
    )
    assert len(ticks) > 20
    assert {runs for *_, runs in ticks} == {1}, "each tick has one record, and that ran once"
    assert {gap for _, gap, _, _ in ticks[1:]} == {2.0}, "no tick is left out"
    assert minutes
    assert {row[0] for row in minutes} == {1}
    [[strays]] = shop.sql(
        "select count(*) from lq_done where schedule in ('tick', 'minute')"
        " and id not in (select record from lq_tick where record is not null)"
    )
    assert strays == 0
    measured.append(f"schedules during a rollout of 3 pods: {len(ticks)} ticks, each run once, none left out")
