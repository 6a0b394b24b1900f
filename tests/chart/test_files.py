"""In: what lies beside the templates. Out: rules that fire, a dashboard that shows something, files that agree."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped, unused-ignore]

from tests.chart.tools import CHART, ROOT, find, load_all, needs, render, render_text
from tests.chart.written import MANIFESTS, README, manifests, readme

pytestmark = pytest.mark.chart

METRIC = re.compile(r"\blitestar_queues_\w+")
PARTS = ("_total", "_bucket", "_sum", "_count", "_info", "_created")
DASHBOARD = json.loads((CHART / "files/dashboard.json").read_text("utf-8"))
OVERLAYS = sorted(path.parent for path in (ROOT / "manifests").rglob("kustomization.yaml"))


def exported() -> set[str]:
    """Names of the metrics that the code exports, without what Prometheus adds to them."""
    sources = [ROOT / f"litestar_queues/{name}.py" for name in ("metrics", "exporter")]
    return {bare(name) for source in sources for name in METRIC.findall(source.read_text("utf-8"))}


def bare(name: str) -> str:
    return next((name.removesuffix(part) for part in PARTS if name.endswith(part)), name)


# alerts and dashboard


def alert_rules(folder: Path, release: str = "shop") -> Path:
    """The rules as the chart gives them to Prometheus."""
    objects = load_all(render_text(CHART / "ci/everything-values.yaml", release=release))
    [rule] = [one for one in objects if one["kind"] == "PrometheusRule"]
    file = folder / f"{release}.yaml"
    file.write_text(yaml.safe_dump(rule["spec"], sort_keys=False))
    return file


def promtool(*arguments: str) -> None:
    program = find("promtool")
    assert program is not None
    answer = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@needs("helm")
@needs("promtool")
def test_promtool_accepts_the_alerts(tmp_path: Path) -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(alert_rules(tmp_path)))


@needs("helm")
@needs("promtool")
def test_each_alert_fires_when_it_should_and_not_before(tmp_path: Path) -> None:
    text = (Path(__file__).parent / "alerts_test.yaml").read_text("utf-8")
    for release in ("shop", "other"):
        alert_rules(tmp_path, release)
        labels = f'namespace="queues", app_kubernetes_io_instance="{release}"'
        text = text.replace(f"OF_{release.upper()}", labels)
    cases = tmp_path / "alerts_test.yaml"
    cases.write_text(text)
    promtool("test", "rules", str(cases))


def test_each_alert_has_a_case_a_summary_and_a_remedy() -> None:
    groups = load_all((CHART / "files/alerts.yaml").read_text("utf-8"))[0]["groups"]
    cases = (Path(__file__).parent / "alerts_test.yaml").read_text("utf-8")
    for rule in (rule for group in groups for rule in group["rules"]):
        assert f"alertname: {rule['alert']}\n" in cases
        assert set(rule["annotations"]) == {"summary", "description"}
        assert f"## {rule['alert']}\n" in (ROOT / "docs/howto/alerts.md").read_text("utf-8")
        assert rule["labels"]["severity"] in {"warning", "critical"}


@needs("helm")
def test_the_chart_leaves_no_word_in_capitals_in_the_alerts(tmp_path: Path) -> None:
    text = alert_rules(tmp_path).read_text()
    assert re.findall(r"\b[A-Z]+_[A-Z]+\b", text) == []
    assert re.search(r"drain_seconds\{.*\}\)\s+> 32\n", text)  # 0.8 of the shortest grace period, 40 seconds


@needs("helm")
def test_alerts_see_their_release_alone_by_labels_that_the_monitors_give() -> None:
    objects = render(CHART / "ci/everything-values.yaml")
    rules = objects["PrometheusRule", "shop-litestar-queues-alerts"]["spec"]
    for query in queries(rules):
        series = re.findall(r"litestar_queues_\w+(\{[^}]*\})?", query)
        assert series
        assert all(one.startswith('{namespace="queues",app_kubernetes_io_instance="shop"') for one in series), query
    label = "app.kubernetes.io/instance"
    assert label in objects["ServiceMonitor", "shop-litestar-queues-exporter"]["spec"]["targetLabels"]
    assert label in objects["PodMonitor", "shop-litestar-queues-worker"]["spec"]["podTargetLabels"]


@needs("helm")
def test_alerts_may_find_their_series_otherwise_and_need_no_exporter() -> None:
    values = {"alerts": {"matchers": 'job="shop"'}, "exporter": {"enabled": False}}
    values["worker"] = {"pools": [{"name": "default"}]}
    objects = render(CHART / "ci/everything-values.yaml", values=values)
    rules = objects["PrometheusRule", "shop-litestar-queues-alerts"]["spec"]
    assert [group["name"] for group in rules["groups"]] == ["litestar-queues-workers"]
    assert all('{job="shop"' in query for query in queries(rules))


@needs("helm")
def test_alerts_may_be_left_out_by_name_and_bear_labels_for_alertmanager() -> None:
    groups = load_all((CHART / "files/alerts.yaml").read_text("utf-8"))[0]["groups"]
    every = {rule["alert"] for group in groups for rule in group["rules"]}
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    assert set(schema["properties"]["alerts"]["properties"]["disabled"]["items"]["enum"]) == every
    without = ["LitestarQueuesCanaryStale", "LitestarQueuesBacklog"]
    objects = render(
        CHART / "ci/everything-values.yaml", values={"alerts": {"disabled": without, "labels": {"team": "shop"}}}
    )
    rules = objects["PrometheusRule", "shop-litestar-queues-alerts"]["spec"]["groups"]
    left = [rule for group in rules for rule in group["rules"]]
    assert {rule["alert"] for rule in left} == every - set(without)
    assert {rule["labels"]["team"] for rule in left} == {"shop"}


def queries(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["expr"]] if "expr" in node else []
        return own + [query for inner in node.values() for query in queries(inner)]
    return [query for inner in node for query in queries(inner)] if isinstance(node, list) else []


def test_alerts_and_dashboard_name_only_metrics_that_the_code_exports() -> None:
    asked = queries(DASHBOARD) + queries(load_all((CHART / "files/alerts.yaml").read_text("utf-8"))[0])
    variables = [one["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    assert len(asked) > 20
    assert all(METRIC.search(query) for query in asked)
    assert {bare(name) for query in asked + variables for name in METRIC.findall(query)} - exported() == set()


def test_panels_of_the_dashboard_have_places_and_numbers_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)


@needs("helm")
def test_the_dashboard_reaches_grafana_unchanged() -> None:
    config_map = render(CHART / "ci/everything-values.yaml")["ConfigMap", "shop-litestar-queues-dashboard"]
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(config_map["data"]["litestar-queues.json"]) == DASHBOARD


# what `helm test` runs


@contextmanager
def exporter(body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/metrics"
        server.shutdown()


@pytest.mark.parametrize(
    ("canary", "metrics", "code"),
    [(0, b"litestar_queues_up 1.0\n", 0), (0, b"litestar_queues_up 0.0\n", 1), (4, b"litestar_queues_up 1.0\n", 4)],
)
def test_the_smoke_test_ends_well_where_canary_and_exporter_are_well(
    tmp_path: Path, canary: int, metrics: bytes, code: int
) -> None:
    command = tmp_path / "litestar"
    command.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls; exit {canary}\n')
    command.chmod(0o755)
    text = (CHART / "files/smoke.py").read_text("utf-8")
    with exporter(metrics) as url:
        env = {"PATH": str(tmp_path), "SMOKE_TIMEOUT": "0", "SMOKE_EXPORTER": url}
        assert subprocess.call([sys.executable, "-c", text], env=env, stderr=subprocess.DEVNULL) == code
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[0] == "queues enqueue scheduler.heartbeat --wait --timeout 1s"
    assert calls[1:] == ([] if canary else ["queues scheduler-health --minutes 5"])


def test_pods_wait_until_the_schema_is_there(tmp_path: Path) -> None:
    command = tmp_path / "litestar"
    command.write_text(f"#!/bin/sh\ntest -e {tmp_path}/schema || {{ : > {tmp_path}/schema; exit 1; }}\n")
    command.chmod(0o755)
    text = (CHART / "files/await_schema.py").read_text("utf-8")
    env = {"PATH": str(tmp_path), "AWAIT_SCHEMA_TIMEOUT": "0"}
    codes = [subprocess.call([sys.executable, "-c", text], env=env) for _ in range(2)]
    assert codes == [1, 0]


# written files


def test_the_readme_of_the_chart_agrees_with_its_values() -> None:
    assert README.read_text("utf-8") == readme(), "run `make manifests`"


@needs("helm")
def test_the_manifests_agree_with_the_chart() -> None:
    assert MANIFESTS.read_text("utf-8") == manifests(), "run `make manifests`"


@needs("kubectl")
@pytest.mark.parametrize("folder", OVERLAYS, ids=lambda path: path.name)
def test_kustomize_builds_the_overlay(folder: Path) -> None:
    kubectl = find("kubectl")
    assert kubectl is not None
    answer = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    objects = {(one["kind"], one["metadata"]["name"]): one for one in load_all(answer.stdout)}
    worker = objects["StatefulSet", "litestar-queues-worker-default"]["spec"]["template"]["spec"]
    mounted = {mount["name"] for mount in worker["containers"][0]["volumeMounts"]}
    assert mounted <= {volume["name"] for volume in worker["volumes"]}
    if folder.name != "base":
        assert {one["metadata"].get("namespace") for one in objects.values()} == {None, "litestar-queues"}
        assert "photos" in mounted
        assert ("Secret", "litestar-queues-database") in objects
    if folder.name == "kind":
        assert worker["containers"][0]["imagePullPolicy"] == "Never"


def test_yamllint_has_nothing_to_say() -> None:
    yamllint = find("yamllint")
    assert yamllint is not None
    rules = "{document-start: disable, comments-indentation: disable, line-length: {max: 120}}"
    files = [CHART / "Chart.yaml", CHART / "values.yaml", CHART / "ci", CHART / "files", ROOT / "manifests"]
    command = [yamllint, "--strict", "-d", f"{{extends: default, rules: {rules}}}", *map(str, files)]
    answer = subprocess.run([*command, str(Path(__file__).parent)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout


def test_the_versions_of_library_and_chart_are_one() -> None:
    import tomllib

    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    chart = load_all((CHART / "Chart.yaml").read_text("utf-8"))[0]
    assert (chart["version"], chart["appVersion"]) == (version, version)
    assert f"ARG VERSION={version}\n" in (ROOT / "Dockerfile").read_text("utf-8")


# the image


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = find("hadolint")
    assert hadolint is not None
    answer = subprocess.run([hadolint, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (0, "")


def test_the_image_runs_as_a_numbered_user_without_a_shell_before_the_worker() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]
    assert re.findall(r"^ENTRYPOINT (.+)$", text, re.MULTILINE) == ['["litestar-queues-worker"]', '["litestar"]']
    assert not re.search(r"^HEALTHCHECK", text, re.MULTILINE)
    stages = re.findall(r"^FROM \S+ AS (\S+)$", text, re.MULTILINE)
    assert stages[-1] == "worker"
    last = text[text.index("FROM ${PYTHON_IMAGE} AS common") :]
    assert not re.search(r"^RUN", last, re.MULTILINE), "what is built is built in the first stages"


def test_the_builder_is_sent_what_the_dockerfile_copies() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    copied = [word for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE) for word in line.split()[:-1]]
    sent = [
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line[:1] == "!"
    ]
    for name in copied:
        assert (ROOT / name).exists(), name
        assert any(Path(name).match(pattern) or name == pattern.removesuffix("/**") for pattern in sent), name
