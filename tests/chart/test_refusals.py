"""In: values that must not be installed. Out: one sentence that names the value."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.tools import CHART, needs, refusal, render_text

pytestmark = pytest.mark.chart

LONG = "a-pool-with-quite-a-long-name-indeed"

SENTENCES: list[tuple[dict[str, Any], str]] = [
    (
        {"database": {}},
        "database.existingSecret is empty: make a Secret that holds the database's URL, and name it there",
    ),
    (
        {"database": {"existingSecret": "shop-database", "url": "postgresql://shop:secret@db.example/shop"}},
        "database.url names a user or a password, which belong into a Secret: leave them out of it",
    ),
    (
        {"exporter": {"database": {"url": "postgresql://db.example/shop?password=secret"}}},
        "exporter.database.url names a user or a password",
    ),
    (
        {"worker": {"keda": {"enabled": True, "trigger": "postgresql"}, "database": {"url": "postgresql://db/shop"}}},
        (
            'keda.trigger of worker pool "default" is postgresql, which needs the whole URL in the Secret: '
            "leave database.url out, or use the trigger metrics-api"
        ),
    ),
    (
        {"extraEnv": [{"name": "LITESTAR_QUEUES_QUEUE_BACKEND", "value": "postgresql://db/shop"}]},
        "extraEnv sets LITESTAR_QUEUES_QUEUE_BACKEND, which the chart takes from database: leave the variable out",
    ),
    (
        {"web": {"extraEnv": [{"name": "LITESTAR_QUEUES_QUEUE_BACKEND", "value": "postgresql://db/shop"}]}},
        "web.extraEnv sets LITESTAR_QUEUES_QUEUE_BACKEND, which",
    ),
    (
        {"worker": {"extraEnv": [{"name": "LITESTAR_QUEUES_HEALTH_PORT", "value": "1"}]}},
        (
            'extraEnv of worker pool "default" sets LITESTAR_QUEUES_HEALTH_PORT, '
            "which the chart takes from worker.health.port: leave the variable out"
        ),
    ),
    (
        {"worker": {"pools": [{"name": "mail"}, {"name": "mail"}]}},
        'worker.pools has two pools named "mail": give each pool a name of its own',
    ),
    (
        {"worker": {"drainTimeout": 0}},
        (
            'drainTimeout of worker pool "default" is 0: give running tasks a time above 0 seconds, '
            "or every rollout cancels them"
        ),
    ),
    (
        {"worker": {"terminationGracePeriodSeconds": 60}},
        (
            'terminationGracePeriodSeconds of worker pool "default" (60) is below 80, '
            "which is drainTimeout + cancelTimeout + 15: raise it, or leave it out"
        ),
    ),
    (
        {"worker": {"pools": [{"name": "slow", "drainTimeout": 300, "terminationGracePeriodSeconds": 319}]}},
        'terminationGracePeriodSeconds of worker pool "slow" (319) is below 320',
    ),
    (
        {"worker": {"pools": [{"name": LONG}]}},
        (
            f'the name "shop-litestar-queues-worker-{LONG}" of worker pool "{LONG}" has 64 characters, '
            "and Kubernetes allows a StatefulSet 52: shorten the pool's name or fullnameOverride"
        ),
    ),
    (
        {"worker": {"replicas": 3, "autoscaling": {"enabled": True}}},
        (
            'replicas of worker pool "default" is set and autoscaling is enabled too: leave one of them out, '
            "or each upgrade undoes the scaling"
        ),
    ),
    (
        {"worker": {"replicas": 0, "keda": {"enabled": True}}},
        'replicas of worker pool "default" is set and keda is enabled too',
    ),
    (
        {"web": {"replicas": 1, "autoscaling": {"enabled": True}}},
        "replicas of web is set and autoscaling is enabled too",
    ),
    (
        {"worker": {"autoscaling": {"enabled": True}, "keda": {"enabled": True}}},
        (
            'autoscaling and keda are both enabled for worker pool "default": KEDA makes an autoscaler of its own, '
            "so keep one of them"
        ),
    ),
    (
        {"web": {"autoscaling": {"enabled": True, "minReplicas": 9, "maxReplicas": 3}}},
        "autoscaling.minReplicas of web (9) is above autoscaling.maxReplicas (3): swap them",
    ),
    (
        {"exporter": {"enabled": False}, "worker": {"keda": {"enabled": True}}},
        (
            'keda.trigger of worker pool "default" is metrics-api, which asks the exporter: set exporter.enabled, '
            "or use the trigger postgresql"
        ),
    ),
    (
        {"worker": {"podDisruptionBudget": {"enabled": True, "minAvailable": 1}}},
        (
            'podDisruptionBudget of worker pool "default" would block every eviction of its 1 pods, '
            "and no node could be drained: use maxUnavailable 1, or more replicas"
        ),
    ),
    (
        {"web": {"replicas": 3, "podDisruptionBudget": {"enabled": True, "maxUnavailable": 0}}},
        "podDisruptionBudget of web would block every eviction of its 3 pods",
    ),
    (
        {"web": {"podDisruptionBudget": {"enabled": True, "minAvailable": "50%"}}},
        "podDisruptionBudget of web would block every eviction of its 1 pods",
    ),
    (
        {"web": {"podDisruptionBudget": {"enabled": True, "minAvailable": 1, "maxUnavailable": 1}}},
        "podDisruptionBudget of web has minAvailable and maxUnavailable: Kubernetes accepts one of them",
    ),
    (
        {"worker": {"health": {"host": "127.0.0.1"}, "probes": {"type": "http"}}},
        (
            'health.host of worker pool "default" is 127.0.0.1, where no kubelet can ask it: use probes.type exec, '
            "or health.host 0.0.0.0"
        ),
    ),
    (
        {"worker": {"health": {"host": "::1"}}, "metrics": {"podMonitor": True}},
        (
            'health.host of worker pool "default" is ::1, where no Prometheus can scrape it: use 0.0.0.0, '
            "or leave metrics.podMonitor and metrics.annotations out"
        ),
    ),
    (
        {"worker": {"probes": {"type": "http", "liveness": "cli"}}},
        'probes.liveness of worker pool "default" is cli, which is a command: use probes.type exec with it',
    ),
    (
        {"web": {"terminationGracePeriodSeconds": 5}},
        (
            "web.terminationGracePeriodSeconds (5) must be above web.preStopSeconds (5): "
            "the app would be killed before it is told to stop"
        ),
    ),
    (
        {"web": {"ingress": {"enabled": True}}},
        "web.ingress.hosts is empty: name at least one host, or leave web.ingress.enabled out",
    ),
    (
        {"web": {"httpRoute": {"enabled": True}}},
        (
            "web.httpRoute.parentRefs is empty: name the Gateway that the route belongs to, "
            "or leave web.httpRoute.enabled out"
        ),
    ),
    (
        {"worker": {"autoscaling": {"enabled": True, "targetCPUUtilizationPercentage": None}}},
        ('autoscaling of worker pool "default" has nothing to go by: set targetCPUUtilizationPercentage or metrics'),
    ),
]


@needs("helm")
@pytest.mark.parametrize(("values", "sentence"), SENTENCES, ids=[sentence[:50] for _, sentence in SENTENCES])
def test_it_is_refused_with_one_sentence(values: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(values)


@needs("helm")
@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"workers": {}}, "workers"),
        ({"worker": {"drainTimout": 60}}, "drainTimout"),
        ({"worker": {"pools": [{"name": "a", "queue": "mail"}]}}, "queue"),
        ({"worker": {"pools": [{"queues": ["mail"]}]}}, "name"),
        ({"worker": {"pools": [{"name": "Mail"}]}}, "name"),
        ({"worker": {"concurrency": "many"}}, "concurrency"),
        ({"worker": {"concurrency": 0}}, "concurrency"),
        ({"worker": {"drainTimeout": "60s"}}, "drainTimeout"),
        ({"worker": {"queues": "mail"}}, "queues"),
        ({"settings": {"health_port": 1}}, "health_port"),
        ({"settings": {"log_format": "xml"}}, "log_format"),
        ({"settings": {"tracing": "shop.telemetry"}}, "tracing"),
        ({"settings": {"worker_stale_after": "90s"}}, "worker_stale_after"),
        ({"worker": {"extraPodSpec": {"containers": []}}}, "containers"),
        ({"worker": {"database": {"host": "db.example"}}}, "host"),
        ({"database": {"url": "mysql://db.example/shop"}}, "url"),
        ({"extraEnv": [{"name": "A", "vale": "1"}]}, "vale"),
        ({"extraEnv": [{"value": "1"}]}, "name"),
        ({"commonLabels": {"app.kubernetes.io/name": "shop"}}, "app.kubernetes.io/name"),
        ({"worker": {"podLabels": {"litestar-queues/pool": "shop"}}}, "litestar-queues/pool"),
        ({"alerts": {"disabled": ["LitestarQueues"]}}, "disabled"),
        ({"migrations": {"mode": "maybe"}}, "mode"),
        ({"exporter": {"replicas": 2}}, "replicas"),
        ({"app": "app.py"}, "app"),
    ],
    ids=str,
)
def test_unknown_names_and_wrong_types_are_refused_by_name(values: dict[str, Any], name: str) -> None:
    assert name in refusal(values).partition("schema")[2]


@needs("helm")
def test_a_cluster_that_is_too_old_is_refused_and_one_of_a_cloud_is_not() -> None:
    assert "chart requires kubeVersion: >=1.27.0-0" in refusal({}, kubernetes="1.26.9")
    assert render_text(CHART / "ci/default-values.yaml", kubernetes="1.27.3-gke.100")
