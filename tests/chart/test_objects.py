"""In: the values of `ci/`. Out: objects that Kubernetes accepts, by its strictest pod standard, and as we mean them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.chart.tools import (
    CHART,
    KUBERNETES,
    WORKLOADS,
    case,
    case_id,
    container_of,
    every_case,
    needs,
    pod_specs,
    render,
    run_helm,
)

pytestmark = [pytest.mark.chart, needs("helm")]


@every_case
def test_helm_lint_has_nothing_to_say(file: Path) -> None:
    answer = run_helm("lint", "--strict", str(CHART), "--values", str(file), "--kube-version", KUBERNETES)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "[WARNING]" not in answer.stdout


@every_case
def test_every_object_says_whose_it_is(file: Path) -> None:
    for (kind, name), one in render(file).items():
        if name != "shop-extra":
            assert one["metadata"]["namespace"] == "queues", (kind, name)
            assert one["metadata"]["labels"]["app.kubernetes.io/instance"] == "shop", (kind, name)


@every_case
def test_every_pod_meets_the_restricted_standard(file: Path) -> None:
    for name, spec in pod_specs(render(file)):
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        assert all({"emptyDir", "persistentVolumeClaim"} & set(volume) for volume in spec["volumes"]), name
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert not any("hostPort" in port for port in container.get("ports", [])), name


@every_case
def test_every_pod_has_a_read_only_root_limits_and_no_token(file: Path) -> None:
    for name, spec in pod_specs(render(file)):
        assert spec["automountServiceAccountToken"] is False, name
        for container in spec["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
            assert {"requests", "limits"} == set(container["resources"]), name


@every_case
def test_selectors_hold_nothing_that_an_upgrade_changes_and_fit_their_pods(file: Path) -> None:
    objects = render(file)
    pods: list[dict[str, str]] = []
    for (kind, name), one in objects.items():
        if kind in WORKLOADS:
            wanted = one["spec"]["selector"]["matchLabels"]
            labels = one["spec"]["template"]["metadata"]["labels"]
            pods.append(labels)
            assert wanted.items() <= labels.items(), name
            assert {"helm.sh/chart", "app.kubernetes.io/version"} & {*wanted, *labels} == set(), name
    for (kind, name), one in objects.items():
        if kind == "Service":
            assert any(one["spec"]["selector"].items() <= labels.items() for labels in pods), name


@every_case
def test_replicas_are_left_out_where_an_autoscaler_sets_them_and_nowhere_else(file: Path) -> None:
    objects = render(file)
    scaled = {
        one["spec"]["scaleTargetRef"]["name"]
        for (kind, _), one in objects.items()
        if kind in {"HorizontalPodAutoscaler", "ScaledObject"}
    }
    for (kind, name), one in objects.items():
        if kind in WORKLOADS:
            assert ("replicas" in one["spec"]) is (name not in scaled), name


@every_case
def test_kubernetes_is_told_why_a_container_ended_and_how_much_history_it_keeps(file: Path) -> None:
    objects = render(file)
    for name, spec in pod_specs(objects):
        assert spec["containers"][0]["terminationMessagePolicy"] == "FallbackToLogsOnError", name
    kept = {one["spec"]["revisionHistoryLimit"] for (kind, _), one in objects.items() if kind in WORKLOADS}
    assert kept == ({3} if case_id(file) == "everything" else {10})


def test_a_plain_install_has_these_objects_and_no_rights() -> None:
    assert set(case("default")) == {
        ("Deployment", "shop-litestar-queues-exporter"),
        ("Deployment", "shop-litestar-queues-web"),
        ("Job", "shop-litestar-queues-migrate"),
        ("Pod", "shop-litestar-queues-test"),
        ("Service", "shop-litestar-queues-exporter"),
        ("Service", "shop-litestar-queues-web"),
        ("Service", "shop-litestar-queues-worker"),
        ("ServiceAccount", "shop-litestar-queues"),
        ("StatefulSet", "shop-litestar-queues-worker-default"),
    }


def test_annotations_reach_the_objects_that_they_are_for() -> None:
    objects = case("everything")
    found = {key: one["metadata"].get("annotations", {}) for key, one in objects.items()}
    assert {key for key, one in found.items() if "owner" not in one} == {("ConfigMap", "shop-extra")}
    assert found["ServiceAccount", "shop-litestar-queues"]["owner"] == "platform"
    assert {key for key, one in found.items() if "reload-on-change" in one} == {
        ("StatefulSet", "shop-litestar-queues-worker-default"),
        ("StatefulSet", "shop-litestar-queues-worker-mail"),
        ("Deployment", "shop-litestar-queues-worker-reports"),
    }
    migrate = found["Job", "shop-litestar-queues-migrate"]
    assert (migrate["sync-wave"], migrate["helm.sh/hook"]) == ("-1", "pre-install,pre-upgrade")
    assert found["Pod", "shop-litestar-queues-test"]["note"] == "test"
    assert found["ConfigMap", "shop-litestar-queues-dashboard"]["grafana_folder"] == "Queues"


def test_network_policies_open_the_ports_of_their_component_alone() -> None:
    objects = case("everything")
    policies = {
        name.rpartition("-")[2]: one["spec"] for (kind, name), one in objects.items() if kind == "NetworkPolicy"
    }
    opened = {name: [rule["ports"][0]["port"] for rule in spec.get("ingress", [])] for name, spec in policies.items()}
    assert opened == {"web": ["http"], "worker": ["health"], "exporter": ["metrics"], "migrate": [], "test": []}
    outgoing = [port["port"] for rule in policies["worker"]["egress"] for port in rule["ports"]]
    assert outgoing == [53, 53, 5432]
    assert len(policies["exporter"]["ingress"][0]["from"]) == 2
    assert "egress" not in case("worker-only")["NetworkPolicy", "shop-litestar-queues-worker"]["spec"]


def test_monitors_and_annotations_lead_to_ports_that_are_there() -> None:
    objects = case("everything")
    [endpoint] = objects["ServiceMonitor", "shop-litestar-queues-exporter"]["spec"]["endpoints"]
    service = objects["Service", "shop-litestar-queues-exporter"]
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    [endpoint] = objects["PodMonitor", "shop-litestar-queues-worker"]["spec"]["podMetricsEndpoints"]
    worker = objects["StatefulSet", "shop-litestar-queues-worker-default"]
    assert endpoint["port"] in [port["name"] for port in container_of(worker)["ports"]]
    assert worker["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"] == "8080"


def test_the_notes_tell_the_next_commands() -> None:
    templates = "".join(path.read_text("utf-8") for path in (CHART / "templates").glob("NOTES.txt"))
    for command in ("kubectl get pods", "helm test", "kubectl logs", "kubectl port-forward", "curl"):
        assert command in templates
    assert not re.search(r"https?://\S+\.(io|com|org)", templates)
