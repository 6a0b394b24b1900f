"""In: values for the chart. Out: the objects that helm makes of them, or the sentence with which it refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped, unused-ignore]

__all__ = (
    "CASES",
    "CHART",
    "ROOT",
    "TOOLS",
    "WORKLOADS",
    "Objects",
    "case",
    "case_id",
    "container_of",
    "env_of",
    "every_case",
    "find",
    "load_all",
    "needs",
    "pod_specs",
    "pool",
    "refusal",
    "render",
    "render_text",
)

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/litestar-queues"
CASES = sorted((CHART / "ci").glob("*-values.yaml"))
WORKLOADS = {"Deployment", "StatefulSet"}
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
TOOLS = _CACHE / "litestar-queues/tools"
"""Where `make tools` puts what it makes."""
KUBERNETES = "1.34.0"
"""Pinned, so that manifests do not change with the helm that renders them."""
_WITHOUT = {
    "helm": "Helm 3 renders the chart: install it from helm's own releases",
    "promtool": "promtool judges the alerts: it comes with Prometheus (Debian: the package prometheus)",
    "kube-score": "kube-score judges the objects: `make tools` builds it",
    "actionlint": "actionlint judges the workflows: `make tools` builds it",
    "schemas-python": "the schemas of Kubernetes and others judge the objects: `make tools` fetches them",
    "kubectl": "kubectl builds the overlays: install it as Kubernetes tells",
}

Objects = Mapping[tuple[str, str], Mapping[str, Any]]


def tool_folders() -> list[str]:
    """The environment of the tests, PATH, and the folders of `make tools` and of a cluster kit for tests."""
    ours = str(Path(sys.executable).parent)
    return [ours, *os.environ.get("PATH", "").split(os.pathsep), str(TOOLS / "bin"), str(_CACHE / "kube-lab/bin")]


def find(tool: str) -> str | None:
    """Where a program is."""
    return shutil.which(tool, path=os.pathsep.join(tool_folders()))


def needs(tool: str) -> pytest.MarkDecorator:
    """Skip where the program is not there, and say how to get it."""
    return pytest.mark.skipif(find(tool) is None, reason=f"{tool} is not on PATH. {_WITHOUT[tool]}")


def load_all(text: str) -> list[Any]:
    """The documents of a YAML text."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [document for document in yaml.load_all(text, Loader=loader) if document]


def run_helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm with settings and caches that are not the user's."""
    helm = find("helm")
    assert helm is not None, _WITHOUT["helm"]
    with tempfile.TemporaryDirectory() as home:
        env = os.environ | {"HELM_CONFIG_HOME": home, "HELM_CACHE_HOME": home, "HELM_DATA_HOME": home}
        return subprocess.run([helm, *arguments], capture_output=True, text=True, check=False, env=env)


def render_text(
    *files: Path, release: str = "shop", values: Mapping[str, Any] | None = None, kubernetes: str = KUBERNETES
) -> str:
    """What `helm template` prints."""
    answer = _template(release, files, json.dumps(values or {}), kubernetes)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@cache
def _template(
    release: str, files: Sequence[Path], values: str, kubernetes: str = KUBERNETES
) -> subprocess.CompletedProcess[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as more:
        more.write(values)
        more.flush()
        named = [argument for file in files for argument in ("--values", str(file))]
        return run_helm(
            *("template", release, str(CHART), "--namespace", "queues", "--kube-version", kubernetes),
            *named,
            *("--values", more.name),
        )


def render(*files: Path, values: Mapping[str, Any] | None = None) -> Objects:
    """Objects by kind and name; no two may share both."""
    objects = load_all(render_text(*files, values=values))
    found = {(one["kind"], one["metadata"]["name"]): one for one in objects}
    assert len(found) == len(objects)
    return found


def refusal(values: Mapping[str, Any], kubernetes: str = KUBERNETES) -> str:
    """Why helm refuses the values, beside a database that is named."""
    base = {"database": {"existingSecret": "shop-database"}}
    answer = _template("shop", (), json.dumps({**base, **values}), kubernetes)
    assert answer.returncode != 0, "the values were accepted"
    return answer.stderr


def pod_specs(objects: Objects) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Names of what makes pods, with their pods' specs."""
    for (kind, name), one in objects.items():
        match kind:
            case "Deployment" | "StatefulSet" | "Job":
                yield f"{kind} {name}", one["spec"]["template"]["spec"]
            case "Pod":
                yield f"{kind} {name}", one["spec"]
            case _:
                continue


def container_of(one: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first container of what makes pods."""
    spec = one["spec"] if one["kind"] == "Pod" else one["spec"]["template"]["spec"]
    container: Mapping[str, Any] = spec["containers"][0]
    return container


def env_of(one: Mapping[str, Any]) -> dict[str, Any]:
    """The environment of its container; where a value comes from stands for the value."""
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container_of(one)["env"]}


def case_id(path: Path) -> str:
    """Short name of a file of `ci/`."""
    return path.stem.removesuffix("-values")


every_case = pytest.mark.parametrize("file", CASES, ids=case_id)


def case(name: str, **values: Any) -> Objects:
    """Objects of a file of `ci/`, with other values over it."""
    return render(CHART / f"ci/{name}-values.yaml", values=values)


def pool(name: str, **values: Any) -> Any:
    """The StatefulSet or Deployment of a pool, with values under `worker`."""
    objects = case("default", worker=values)
    return objects[values.get("kind", "StatefulSet"), f"shop-litestar-queues-worker-{name}"]
