"""Laws: `kubectl apply -k` of the demo overlay brings a shop that makes thumbnails."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any
from urllib.request import Request, urlopen

import yaml

from e2e.harness.kube import IMAGE, POSTGRES_IMAGE, ROOT, Namespace, is_ready, run
from e2e.harness.wait import INSTALL, TASK, eventually

OVERLAY = ROOT / "manifests/overlays/demo-postgres"
BOUNDARY = "one-picture"


def test_the_demo_overlay_makes_thumbnails(namespace: Namespace) -> None:
    objects = [
        one for one in yaml.safe_load_all(run("kubectl", "kustomize", str(OVERLAY))) if one["kind"] != "Namespace"
    ]
    for one in objects:
        one["metadata"]["namespace"] = namespace.name
        use_images_of_the_tests(one)
    namespace.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))
    eventually(INSTALL, lambda: all_ready(namespace))
    assert [namespace.restarts(name) for name in ("web", "worker", "exporter")] == [0, 0, 0]
    with namespace.forward("svc/litestar-queues-web", 80) as url:
        answer = upload(url, picture())
        done = eventually(TASK, lambda: completed(url + answer["task_url"]))
        assert done["result"] == ["small", "medium", "large"]
        with urlopen(f"{url}/photos/{answer['photo_id']}/small", timeout=10) as thumbnail:
            assert thumbnail.read(3) == b"\xff\xd8\xff"


def use_images_of_the_tests(one: dict[str, Any]) -> None:
    """The image of the tests holds the example app too."""
    if one["kind"] not in {"Deployment", "StatefulSet", "Job"}:
        return
    spec = one["spec"]["template"]["spec"]
    if one["metadata"]["name"] == "postgres":
        [container] = spec["containers"]
        container["image"] = POSTGRES_IMAGE or container["image"]
        return
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        container["image"] = IMAGE
        container["env"].append({"name": "LITESTAR_APP", "value": "app:app"})


def all_ready(namespace: Namespace) -> bool:
    """Whether two workers, the web app, the exporter and the database are ready."""
    components = [namespace.pods(name) for name in ("web", "worker", "exporter")]
    pods = [pod for found in components for pod in found.values()] + [namespace.pod("postgres-0")]
    return [len(found) for found in components] == [1, 2, 1] and all(is_ready(pod) for pod in pods)


def upload(url: str, content: bytes) -> dict[str, Any]:
    """Send a picture as a browser does."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\n'
    body = head.encode() + b"Content-Type: image/png\r\n\r\n" + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    request = Request(f"{url}/photos", body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
    with urlopen(request, timeout=20) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def completed(url: str) -> dict[str, Any] | None:
    """The record of a task that is completed."""
    with urlopen(url, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found if found["status"] == "completed" else None


def picture(side: int = 64) -> bytes:
    """A grey PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress((b"\0" + b"\x80" * side) * side)
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
