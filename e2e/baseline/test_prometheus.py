"""Laws: a real Prometheus finds workers and exporter, loads the alerts, and they see what happens."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import yaml

from e2e.harness.kube import CHART, NAME, PROMETHEUS_IMAGE, Namespace, is_ready, run
from e2e.harness.wait import POD_GONE, POD_READY, SCRAPE, eventually

PORT = 9090
WORKERS = 2


def test_prometheus_scrapes_and_its_alerts_see(shop: Namespace) -> None:
    shop.install(worker={"replicas": WORKERS}, web={"enabled": False})
    shop.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": prometheus(shop)}))
    eventually(POD_READY, lambda: is_ready(shop.pod("prometheus")))
    with shop.forward("pod/prometheus", PORT) as url:
        eventually(SCRAPE, lambda: values(url, "count(up == 1)") == [WORKERS + 1])
        eventually(SCRAPE, lambda: values(url, 'litestar_queues_workers{state="working"}') == [WORKERS])
        assert values(url, 'litestar_queues_tasks{queue="default",status="pending"}') == [0]
        # an evaluation before the first scrape finds nothing, and the next one takes that back
        eventually(SCRAPE, lambda: active(url) == set())

        shop.kubectl("scale", f"statefulset/{NAME}-worker-default", "--replicas=0")
        eventually(POD_GONE, lambda: not shop.pods())
        eventually(POD_GONE, lambda: active(url) == {"LitestarQueuesNoWorker", "LitestarQueuesWorkersUnseen"})


def get(url: str, path: str) -> Any:
    with urlopen(f"{url}/api/v1/{path}", timeout=10) as answer:
        return json.load(answer)["data"]


def values(url: str, query: str) -> list[float]:
    """Values of an instant query."""
    return [float(one["value"][1]) for one in get(url, f"query?query={quote(query)}")["result"]]


def active(url: str) -> set[str]:
    """Alerts that fire or will if nothing changes; every rule must have been evaluated well."""
    rules = [rule for group in get(url, "rules")["groups"] for rule in group["rules"]]
    assert len(rules) > 10
    assert {rule["health"] for rule in rules} == {"ok"}, rules
    return {rule["name"] for rule in rules if rule["state"] != "inactive"}


def prometheus(shop: Namespace) -> list[dict[str, Any]]:
    """A pod with the rules that the chart renders, and with the labels that the chart's monitors would give."""
    # by itself helm takes a version that is older than the chart allows
    sets = ("--kube-version", "1.34.0", "--set", "alerts.enabled=true,database.existingSecret=any")
    show = ("--show-only", "templates/monitoring/alerts.yaml")
    rule = yaml.safe_load(run("helm", "template", "shop", str(CHART), "--namespace", shop.name, *sets, *show))
    labels = {"namespace": shop.name, "app_kubernetes_io_instance": "shop"}
    relabel = [{"target_label": name, "replacement": value} for name, value in labels.items()]
    found = {"names": [f"{NAME}-worker.{shop.name}.svc.cluster.local"], "type": "A", "port": 8080}
    jobs = [
        {"job_name": "exporter", "static_configs": [{"targets": [f"{NAME}-exporter:9464"]}]},
        {"job_name": "workers", "dns_sd_configs": [{**found, "refresh_interval": "2s"}]},
    ]
    config = {
        "global": {"scrape_interval": "2s", "evaluation_interval": "2s"},
        "rule_files": ["/config/alerts.yaml"],
        "scrape_configs": [{**job, "relabel_configs": relabel} for job in jobs],
    }
    files = {"prometheus.yml": yaml.safe_dump(config), "alerts.yaml": yaml.safe_dump(rule["spec"])}
    container = {
        "name": "prometheus",
        "image": PROMETHEUS_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": ["--config.file=/config/prometheus.yml", "--storage.tsdb.path=/data"],
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": PORT}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "config", "mountPath": "/config"}, {"name": "data", "mountPath": "/data"}],
    }
    spec = {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "fsGroup": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "prometheus"}}, {"name": "data", "emptyDir": {}}],
    }
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "prometheus"}, "data": files},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "prometheus"}, "spec": spec},
    ]
