"""In: values of one component. Out: its pods, with the commands, probes and Secrets that they are to have."""

from __future__ import annotations

import re
from typing import Any

import pytest

from litestar_queues import probe
from tests.chart.tools import CHART, case, container_of, env_of, needs, pod_specs, pool, render_text

pytestmark = [pytest.mark.chart, needs("helm")]


def pool_of_all(**values: Any) -> Any:
    """The one pool of values that are not only those of the workers."""
    return case("default", **values)["StatefulSet", "shop-litestar-queues-worker-default"]


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
    unmigrated = pool_of_all(migrations={"mode": "none"})
    assert "LITESTAR_QUEUES_MIGRATE_ON_START" not in env_of(unmigrated)


def test_user_and_password_may_come_from_a_secret_without_a_url() -> None:
    url = "postgresql://db.example/shop"
    database = {"existingSecret": "shop-database", "url": url, "usernameKey": "user"}
    objects = case("default", database=database, exporter={"database": {"existingSecret": "shop-reader"}})
    for (kind, name), secret in {
        ("StatefulSet", "worker-default"): "shop-database",
        ("Job", "migrate"): "shop-database",
        ("Deployment", "exporter"): "shop-reader",
    }.items():
        env = env_of(objects[kind, f"shop-litestar-queues-{name}"])
        assert env["LITESTAR_QUEUES_QUEUE_BACKEND"] == url
        assert env["PGUSER"] == {"secretKeyRef": {"name": secret, "key": "user"}}
        assert env["PGPASSWORD"] == {"secretKeyRef": {"name": secret, "key": "password"}}


def test_a_variable_that_is_named_twice_has_the_value_of_whoever_is_closest() -> None:
    worker = pool_of_all(
        settings={"log_format": "json", "migrate_on_start": True},
        extraEnv=[{"name": "LOG_LEVEL", "value": "info"}, {"name": "REGION", "value": "north"}],
        worker={
            "extraEnv": [
                {"name": "LOG_LEVEL", "value": "debug"},
                {"name": "LITESTAR_QUEUES_LOG_FORMAT", "value": "text"},
            ]
        },
    )
    names = [item["name"] for item in container_of(worker)["env"]]
    assert len(names) == len(set(names))
    env = env_of(worker)
    assert (env["LOG_LEVEL"], env["REGION"]) == ("debug", "north")
    assert env["LITESTAR_QUEUES_LOG_FORMAT"] == "text"
    assert env["LITESTAR_QUEUES_MIGRATE_ON_START"] == "true"


def test_a_pod_may_keep_prometheus_away() -> None:
    spare = {"podAnnotations": {"prometheus.io/scrape": "false"}}
    annotations = pool_of_all(metrics={"annotations": True}, worker=spare)["spec"]["template"]["metadata"][
        "annotations"
    ]
    assert annotations == {
        "prometheus.io/scrape": "false",
        "prometheus.io/path": "/metrics",
        "prometheus.io/port": "8080",
    }


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


def test_a_pods_spec_may_say_more_and_its_tmp_has_bounds() -> None:
    reports = case("everything")["Deployment", "shop-litestar-queues-worker-reports"]["spec"]["template"]["spec"]
    assert reports["dnsConfig"] == {"options": [{"name": "ndots", "value": "2"}]}
    assert {"name": "tmp", "emptyDir": {"sizeLimit": "5Gi"}} in reports["volumes"]


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
