"""In: the values of `ci/`. Out: objects that Kubernetes accepts, by its strictest pod standard, and as we mean them."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import ProxyTracerProvider

from litestar_queues import QueueConfig, probe
from litestar_queues.cli import queues
from litestar_queues.config import ENV_PREFIX
from litestar_queues.settings import SETTINGS, from_environment
from tests.chart.tools import (
    CASES,
    CHART,
    KUBERNETES,
    Objects,
    container_of,
    env_of,
    needs,
    pod_specs,
    render,
    render_text,
    run_helm,
)

pytestmark = [pytest.mark.chart, needs("helm")]

SCHEMA = json.loads((CHART / "values.schema.json").read_text("utf-8"))
WORKLOADS = {"Deployment", "StatefulSet"}


def case(name: str, **values: Any) -> Objects:
    return render(CHART / f"ci/{name}-values.yaml", values=values)


def pool(name: str, **values: Any) -> Any:
    objects = case("default", worker=values)
    return objects[values.get("kind", "StatefulSet"), f"shop-litestar-queues-worker-{name}"]


def case_id(path: Path) -> str:
    return path.stem.removesuffix("-values")


every_case = pytest.mark.parametrize("file", CASES, ids=case_id)


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


# what stands in a plain install


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


def test_a_pool_is_a_parallel_stateful_set_with_a_headless_service() -> None:
    spec = pool("default")["spec"]
    assert spec["podManagementPolicy"] == "Parallel"
    assert spec["replicas"] == 1
    service = case("default")["Service", spec["serviceName"]]
    assert service["spec"]["clusterIP"] == "None"


def test_the_grace_period_is_drain_timeout_cancel_timeout_and_a_margin() -> None:
    def grace(**values: Any) -> int:
        return int(pool("default", **values)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"])

    assert grace() == 60 + 5 + 15
    assert grace(drainTimeout=600.5, cancelTimeout=20) == 636
    assert grace(drainTimeout=10, terminationGracePeriodSeconds=30) == 30
    assert grace(pools=[{"name": "default", "drainTimeout": 100}]) == 120


def test_a_worker_gets_the_options_of_its_pool() -> None:
    worker = pool("mail", pools=[{"name": "mail", "queues": ["mail", "sms"], "concurrency": 7, "drainTimeout": 9.5}])
    container = container_of(worker)
    assert container["command"] == ["litestar-queues-worker"]
    assert container["args"] == [
        *("--queue", "mail", "--queue", "sms", "--max-concurrency", "7", "--drain-timeout", "9.5")
    ]


def test_a_worker_is_named_as_its_pod_where_that_name_is_borne_once() -> None:
    name = {"fieldRef": {"fieldPath": "metadata.name"}}
    assert env_of(pool("default"))["LITESTAR_QUEUES_WORKER_NAME"] == name
    assert "LITESTAR_QUEUES_WORKER_NAME" not in env_of(pool("default", kind="Deployment"))


def test_the_database_comes_from_the_secret_and_a_job_migrates_it() -> None:
    env = env_of(pool("default"))
    assert env["LITESTAR_QUEUES_QUEUE_BACKEND"] == {"secretKeyRef": {"name": "shop-database", "key": "url"}}
    assert env["LITESTAR_QUEUES_MIGRATE_ON_START"] == "false"
    unmigrated = case("default", migrations={"mode": "none"})["StatefulSet", "shop-litestar-queues-worker-default"]
    assert "LITESTAR_QUEUES_MIGRATE_ON_START" not in env_of(unmigrated)


def test_exec_probes_run_the_cheap_probe_and_a_wedged_worker_is_killed_fast() -> None:
    container = container_of(pool("default"))
    assert container["startupProbe"]["exec"]["command"] == ["litestar-queues-probe", "live"]
    assert container["readinessProbe"]["exec"]["command"] == ["litestar-queues-probe", "ready"]
    liveness = container["livenessProbe"]
    assert liveness["exec"]["command"] == ["litestar-queues-probe", "scheduler-health", "--minutes", "5"]
    assert liveness["terminationGracePeriodSeconds"] == 10
    env = env_of(pool("default"))
    assert (env["LITESTAR_QUEUES_HEALTH_HOST"], env["LITESTAR_QUEUES_HEALTH_PORT"]) == ("0.0.0.0", "8080")


def test_the_kubelet_waits_longer_than_the_probe_so_that_its_sentence_is_heard() -> None:
    container = container_of(pool("default"))
    waits = [container[name]["timeoutSeconds"] for name in ("startupProbe", "livenessProbe", "readinessProbe")]
    assert min(waits) > probe._SOCKET_TIMEOUT


def test_probes_may_ask_over_http_or_run_the_command() -> None:
    container = container_of(pool("default", probes={"type": "http", "canaryMinutes": 2.5}))
    assert container["livenessProbe"]["httpGet"] == {"path": "/scheduler-health?minutes=2.5", "port": "health"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "health"}
    liveness = container_of(pool("default", probes={"liveness": "cli"}))["livenessProbe"]
    assert liveness["exec"]["command"] == ["litestar", "queues", "scheduler-health", "--minutes", "5"]
    assert (liveness["periodSeconds"], liveness["timeoutSeconds"]) == (60, 30)
    live = container_of(pool("default", probes={"liveness": "live"}))["livenessProbe"]
    assert live["exec"]["command"] == ["litestar-queues-probe", "live"]


def test_what_a_pool_says_goes_over_what_all_say_also_where_it_is_0_or_false() -> None:
    objects = case(
        "default",
        worker={
            "replicas": 3,
            "minReadySeconds": 5,
            "podDisruptionBudget": {"enabled": True},
            "securityContext": {"readOnlyRootFilesystem": False},
            "pools": [
                {"name": "a"},
                {"name": "b", "replicas": 0, "minReadySeconds": 0, "podDisruptionBudget": {"enabled": False}},
            ],
        },
    )
    a, b = (objects["StatefulSet", f"shop-litestar-queues-worker-{name}"]["spec"] for name in "ab")
    assert (a["replicas"], a["minReadySeconds"]) == (3, 5)
    assert (b["replicas"], b["minReadySeconds"]) == (0, 0)
    assert container_of({"kind": "", "spec": a})["securityContext"]["readOnlyRootFilesystem"] is False
    assert [name for kind, name in objects if kind == "PodDisruptionBudget"] == ["shop-litestar-queues-worker-a"]


def test_an_image_of_its_own_keeps_nothing_of_the_common_digest() -> None:
    objects = case("everything")
    web = container_of(objects["Deployment", "shop-litestar-queues-web"])["image"]
    exporter = container_of(objects["Deployment", "shop-litestar-queues-exporter"])["image"]
    assert web == "mirror.example/shop-web:2"
    assert exporter.startswith("mirror.example/shop@sha256:")


def test_secrets_for_pulling_are_those_of_the_chart_and_those_of_a_parent_chart() -> None:
    for name, spec in pod_specs(case("everything")):
        assert spec["imagePullSecrets"] == [{"name": "pull-images"}, {"name": "pull-from-mirror"}], name


def test_each_component_may_be_another_user_of_the_database() -> None:
    objects = case("everything")

    def secret(kind: str, name: str) -> Any:
        return env_of(objects[kind, f"shop-litestar-queues-{name}"])["LITESTAR_QUEUES_QUEUE_BACKEND"]["secretKeyRef"]

    assert secret("Deployment", "web") == {"name": "shop-database", "key": "DATABASE_URL"}
    assert secret("Job", "migrate") == {"name": "shop-owner", "key": "DATABASE_URL"}
    assert secret("Deployment", "exporter") == {"name": "shop-reader", "key": "url"}
    assert secret("StatefulSet", "worker-mail") == {"name": "shop-database", "key": "DATABASE_URL"}
    assert secret("Deployment", "worker-reports") == {"name": "shop-reports", "key": "DATABASE_URL"}


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


def test_a_pods_spec_may_say_more_and_its_tmp_has_bounds() -> None:
    reports = case("everything")["Deployment", "shop-litestar-queues-worker-reports"]["spec"]["template"]["spec"]
    assert reports["dnsConfig"] == {"options": [{"name": "ndots", "value": "2"}]}
    assert {"name": "tmp", "emptyDir": {"sizeLimit": "5Gi"}} in reports["volumes"]


@every_case
def test_kubernetes_is_told_why_a_container_ended_and_how_much_history_it_keeps(file: Path) -> None:
    objects = render(file)
    for name, spec in pod_specs(objects):
        assert spec["containers"][0]["terminationMessagePolicy"] == "FallbackToLogsOnError", name
    kept = {one["spec"]["revisionHistoryLimit"] for (kind, _), one in objects.items() if kind in WORKLOADS}
    assert kept == ({3} if case_id(file) == "everything" else {10})


def test_the_exporter_is_one_pod_that_no_second_one_joins() -> None:
    exporter = case("default")["Deployment", "shop-litestar-queues-exporter"]
    assert exporter["spec"]["replicas"] == 1
    assert exporter["spec"]["strategy"] == {"type": "Recreate"}
    assert container_of(exporter)["args"] == ["--host", "0.0.0.0", "--port", "9464"]
    every_queue = env_of(case("everything")["Deployment", "shop-litestar-queues-exporter"])
    assert every_queue["LITESTAR_QUEUES_WORKER_QUEUES"] == "it's urgent,mail,reports"


def test_the_web_app_leaves_its_service_before_it_is_told_to_stop() -> None:
    web = container_of(case("default")["Deployment", "shop-litestar-queues-web"])
    assert web["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}
    assert web["args"] == ["run", "--host", "0.0.0.0", "--port", "8000"]
    assert "time.sleep(5)" in render_text(CHART / "ci/default-values.yaml", kubernetes="1.29.0")


def test_the_web_app_lets_through_the_paths_that_are_named_alone() -> None:
    objects = case("everything")
    [rule] = objects["Ingress", "shop-litestar-queues-web"]["spec"]["rules"]
    assert [one["path"] for one in rule["http"]["paths"]] == ["/photos", "/tasks"]
    spec = objects["HTTPRoute", "shop-litestar-queues-web"]["spec"]
    assert spec["parentRefs"] == [{"name": "public", "namespace": "gateways"}]
    assert [one["path"]["value"] for one in spec["rules"][0]["matches"]] == ["/photos", "/tasks"]
    service = objects["Service", "shop-litestar-queues-web"]
    assert spec["rules"][0]["backendRefs"] == [
        {"name": service["metadata"]["name"], "port": service["spec"]["ports"][0]["port"]}
    ]


# migrations


def test_the_migration_hook_needs_nothing_that_the_release_makes() -> None:
    job = case("default")["Job", "shop-litestar-queues-migrate"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    spec = job["spec"]["template"]["spec"]
    assert (spec["serviceAccountName"], spec["restartPolicy"]) == ("default", "Never")
    assert container_of(job)["command"] == ["litestar", "queues", "migrate"]


def test_a_plain_migration_job_has_a_name_for_each_revision_and_each_image() -> None:
    [(_, name), *more] = [key for key in case("gitops") if key[0] == "Job"]
    assert more == []
    assert re.fullmatch("queues-migrate-1-[0-9a-f]{8}", name)
    assert ("Job", name) in case("gitops", web={"replicas": 5}), "it need not run again"
    assert ("Job", name) not in case("gitops", image={"tag": "2"}), "a Job cannot be changed"
    job = case("gitops")["Job", name]
    assert "annotations" not in job["metadata"]
    assert job["spec"]["template"]["spec"]["serviceAccountName"] == "shop"


def test_pods_beside_a_plain_job_wait_for_its_tables() -> None:
    objects = case("gitops")
    for key in (("StatefulSet", "queues-worker-fast"), ("Deployment", "queues-web")):
        spec = objects[key]["spec"]["template"]["spec"]
        [waits], [works] = spec["initContainers"], spec["containers"]
        assert (waits["name"], waits["command"]) == ("await-schema", ["python", "-c"])
        assert {name: waits[name] for name in waits if name not in {"name", "command", "args"}} == {
            name: works[name] for name in waits if name not in {"name", "command", "args"}
        }
    hooked = case("default")["Deployment", "shop-litestar-queues-web"]["spec"]["template"]["spec"]
    assert "initContainers" not in hooked


def test_workers_alone_need_no_other_component() -> None:
    kinds = [kind for kind, _ in case("worker-only")]
    assert {"Deployment", "Job"} & set(kinds) == set()
    assert env_of(case("worker-only")["StatefulSet", "shop-litestar-queues-worker-default"])[
        "LITESTAR_QUEUES_HEALTH_HOST"
    ] == ("127.0.0.1")


# scaling


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


# the rest


def test_settings_become_variables_as_the_library_reads_them() -> None:
    env = env_of(case("everything")["StatefulSet", "shop-litestar-queues-worker-default"])
    assert env["LITESTAR_QUEUES_WORKER_STALE_AFTER"] == "90"
    assert env["LITESTAR_QUEUES_WORKER_HEARTBEAT_INTERVAL"] == "20.5"
    assert env["LITESTAR_QUEUES_TASK_MODULES"] == "shop.tasks,shop.reports"
    assert env["LITESTAR_QUEUES_COMPLETED_RETENTION"] == "1000000"


def test_every_default_of_the_library_can_be_written_as_a_setting_and_is_read_back() -> None:
    plain = QueueConfig()
    names = SCHEMA["properties"]["settings"]["properties"]
    written = {name: "none" if getattr(plain, name) is None else getattr(plain, name) for name in names}
    worker = case("default", settings=written, migrations={"mode": "none"})
    env = env_of(worker["StatefulSet", "shop-litestar-queues-worker-default"])
    for name in names:
        read = from_environment(SETTINGS[name], env[f"{ENV_PREFIX}{name.upper()}"], name)
        assert read == getattr(plain, name), name


def test_logs_and_spans_are_switched_on_by_settings_and_variables() -> None:
    objects = case("observability")
    worker = container_of(objects["StatefulSet", "shop-litestar-queues-worker-default"])
    env = {one["name"]: one.get("value") for one in worker["env"]}
    assert env["LITESTAR_QUEUES_LOG_FORMAT"] == "json"
    assert env["LITESTAR_QUEUES_TRACING"] == "shop.telemetry:provider"
    assert env["LITESTAR_QUEUES_CORRELATION_HEADER"] == "X-Correlation-ID"
    names = list(env)
    assert names.index("NODE_IP") < names.index("OTEL_EXPORTER_OTLP_ENDPOINT"), "used before it is known"
    assert names.index("POD_NAME") < names.index("OTEL_RESOURCE_ATTRIBUTES"), "used before it is known"
    assert env["OTEL_SERVICE_NAME"] == "shop-worker"
    assert env_of(objects["Deployment", "shop-litestar-queues-web"])["OTEL_SERVICE_NAME"] == "shop-web"
    egress = objects["NetworkPolicy", "shop-litestar-queues-worker"]["spec"]["egress"]
    assert 4318 in [port["port"] for rule in egress for port in rule["ports"]]


@every_case
def test_the_library_understands_every_variable_of_every_component(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {f"{ENV_PREFIX}{field.name.upper()}" for field in dataclasses.fields(QueueConfig)}
    # the app of the case is not here
    monkeypatch.setitem(sys.modules, "shop.telemetry", types.SimpleNamespace(provider=ProxyTracerProvider()))
    for (kind, name), one in render(file).items():
        if kind in {"Deployment", "StatefulSet", "Job", "Pod"}:
            env = {key: value for key, value in env_of(one).items() if key.startswith(ENV_PREFIX)}
            assert set(env) <= fields, name
            with monkeypatch.context() as patch:
                for key, value in env.items():
                    patch.setenv(key, value if isinstance(value, str) else "memory")
                QueueConfig()


@every_case
def test_the_command_line_understands_every_command(file: Path) -> None:
    for (kind, name), one in render(file).items():
        if kind in {"Deployment", "StatefulSet", "Job"} and not name.endswith("-web"):
            container = container_of(one)
            words = [*container["command"], *container.get("args", [])]
            words = ["run", *words[1:]] if words[0] == "litestar-queues-worker" else words[2:]
            command = queues.commands[words[0]]
            command.make_context(words[0], words[1:])  # parses, and would raise for what it does not know


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
