"""Laws: what the page on Kubernetes says of logs and traces holds: one request is one trace, and one id in the logs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.request import Request, urlopen

import yaml

from e2e.harness.kube import IMAGE, ROOT, Namespace, is_ready
from e2e.harness.wait import POD_GONE, POD_READY, SCRAPE, TASK, eventually

PAGE = ROOT / "docs/howto/kubernetes.md"
BLOCK = re.compile(r"^```(?:yaml|py) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CORRELATION = "order-4711"
NEVER = "3600000"
"""Milliseconds after which spans are sent: only their end makes processes send what they have."""
COLLECTOR = """
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            said = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    found = {"service": said["service.name"], "name": span.name, "trace": span.trace_id.hex()}
                    print(json.dumps(found), flush=True)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("0.0.0.0", 4318), Collector).serve_forever()
"""


def test_a_request_and_its_task_are_one_trace_and_one_id_in_the_logs(shop: Namespace) -> None:
    blocks = dict(BLOCK.findall(PAGE.read_text().partition("## Logs and traces")[2].partition("\n## ")[0]))
    objects = list(collector(blocks["telemetry.py"]))
    shop.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    eventually(POD_READY, lambda: is_ready(shop.pod("collector")))
    shop.install(**as_told(yaml.safe_load(blocks["values.yaml"])))
    with shop.web() as web:
        headers = {"X-Correlation-ID": CORRELATION}
        with urlopen(Request(f"{web.url}/enqueue/failing", method="POST", headers=headers), timeout=20) as answer:
            [record] = json.load(answer)
        eventually(TASK, lambda: web.task(record)["status"] == "failed")

    worker = next(iter(shop.pods()))
    lines = [json.loads(line) for line in shop.logs(worker).splitlines() if not line.startswith("litestar queues")]
    [failure] = [line for line in lines if line.get("task_id") == record and line["level"] == "warning"]
    assert failure["correlation_id"] == CORRELATION

    assert [span for span in spans(shop) if span["service"] == "shop-worker"] == []
    for component in ("web", "worker"):
        kind = "deployment" if component == "web" else "statefulset"
        shop.kubectl("scale", kind, f"--selector=app.kubernetes.io/component={component}", "--replicas=0")
        eventually(POD_GONE, lambda component=component: not shop.pods(component))
    trace = eventually(SCRAPE, lambda: [span for span in spans(shop) if span["trace"] == failure["trace_id"]])
    assert {(span["service"], span["name"]) for span in trace} == {
        ("shop-web", "enqueue default"),
        ("shop-worker", "wait default"),
        ("shop-worker", "run default"),
    }


def spans(shop: Namespace) -> list[dict[str, str]]:
    """What the collector has been sent."""
    return [json.loads(line) for line in shop.logs("collector").splitlines()]


def as_told(told: Mapping[str, Any]) -> dict[str, Any]:
    """The page's values, with the collector of the test in place of that of the node, and the module beside the app."""
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "OTEL_BSP_SCHEDULE_DELAY": NEVER,
        "PYTHONPATH": "/telemetry",
    }
    return {
        **told,
        "extraEnv": [{"name": name, "value": value} for name, value in environment.items()],
        "extraVolumes": [{"name": "telemetry", "configMap": {"name": "telemetry"}}],
        "extraVolumeMounts": [{"name": "telemetry", "mountPath": "/telemetry", "readOnly": True}],
        "exporter": {"enabled": False},
    }


def collector(module: str) -> Iterator[dict[str, Any]]:
    """A pod that prints the spans that it is sent, its Service, and the module that sends them."""
    container = {
        "name": "collector",
        "image": IMAGE,
        "command": ["python", "-c", COLLECTOR],
        "readinessProbe": {"tcpSocket": {"port": 4318}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    labels = {"app": "collector"}
    yield {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "collector", "labels": labels}, "spec": spec}
    ports = [{"port": 4318}]
    service = {"selector": labels, "ports": ports}
    yield {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "collector"}, "spec": service}
    files = {"telemetry.py": module}
    yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "telemetry"}, "data": files}
