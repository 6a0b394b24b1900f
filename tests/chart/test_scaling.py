"""In: values that scale. Out: what autoscalers, KEDA and the eviction of pods are told."""

from __future__ import annotations

import pytest

from tests.chart.tools import case, needs

pytestmark = [pytest.mark.chart, needs("helm")]


def test_keda_adds_up_the_queues_of_a_pool() -> None:
    scaled = case("everything")["ScaledObject", "shop-litestar-queues-worker-mail"]["spec"]
    assert [trigger["metadata"]["valueLocation"] for trigger in scaled["triggers"]] == [
        "queues.mail.demand",
        r"queues.it\'s urgent.demand",
    ]
    assert scaled["advanced"]["scalingModifiers"]["formula"] == "queue0 + queue1"
    assert scaled["advanced"]["scalingModifiers"]["target"] == "500"
    exporter = case("everything")["Service", "shop-litestar-queues-exporter"]
    host = f"{exporter['metadata']['name']}.queues.svc:{exporter['spec']['ports'][0]['port']}"
    assert scaled["triggers"][0]["metadata"]["url"] == f"http://{host}/queues.json"


def test_keda_asks_the_exporter_for_all_queues_where_a_pool_names_none() -> None:
    objects = case("default", worker={"keda": {"enabled": True}})
    scaled = objects["ScaledObject", "shop-litestar-queues-worker-default"]["spec"]
    assert [trigger["metadata"]["valueLocation"] for trigger in scaled["triggers"]] == ["totals.demand"]
    assert "scalingModifiers" not in scaled["advanced"]
    assert scaled["minReplicaCount"] == 1


def test_keda_may_ask_the_database_for_what_is_due_and_what_runs() -> None:
    objects = case("everything")
    scaled = objects["ScaledObject", "shop-litestar-queues-worker-reports"]["spec"]
    [trigger] = scaled["triggers"]
    assert trigger["metadata"]["query"].endswith("and queue in ('reports')")
    assert trigger["metadata"]["targetQueryValue"] == "4"
    authentication = objects["TriggerAuthentication", trigger["authenticationRef"]["name"]]
    assert authentication["spec"]["secretTargetRef"] == [
        {"parameter": "connection", "name": "shop-reports", "key": "DATABASE_URL"}
    ]
    assert scaled["scaleTargetRef"]["kind"] == "Deployment"


def test_an_autoscaler_may_go_by_other_metrics_than_cpu() -> None:
    metrics = case("everything")["HorizontalPodAutoscaler", "shop-litestar-queues-web"]["spec"]["metrics"]
    assert [one["type"] for one in metrics] == ["Pods"]
    metrics = case("everything")["HorizontalPodAutoscaler", "shop-litestar-queues-worker-default"]["spec"]["metrics"]
    assert [one["resource"]["name"] for one in metrics] == ["cpu"]


def test_a_budget_keeps_no_pod_that_is_not_ready() -> None:
    budgets = [one for (kind, _), one in case("everything").items() if kind == "PodDisruptionBudget"]
    assert len(budgets) == 4
    assert {one["spec"]["unhealthyPodEvictionPolicy"] for one in budgets} == {"AlwaysAllow"}


def test_scaling_in_waits_at_least_for_a_drain() -> None:
    objects = case("everything")
    behavior = objects["HorizontalPodAutoscaler", "shop-litestar-queues-worker-default"]["spec"]["behavior"]
    assert behavior == {"scaleDown": {"stabilizationWindowSeconds": 300}}
    reports = objects["ScaledObject", "shop-litestar-queues-worker-reports"]["spec"]["advanced"]
    assert reports["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 900
