"""In: the objects of `ci/` and the workflows. Out: what the programs of `make tools` say of them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.chart.tools import CASES, KUBERNETES, ROOT, TOOLS, find, needs, render_text

pytestmark = pytest.mark.chart

VERSIONS = ("1.27.0", KUBERNETES, "1.37.0")
"""The oldest that the chart allows, the one that everything else is rendered for, and the newest."""
ACCEPTED = {
    "container-ephemeral-storage-request-and-limit": "the app alone knows what its tasks write to /tmp",
    "container-image-pull-policy": "tags are not moved, and a registry that is away must keep no pod from starting",
    "container-resources": "a CPU limit, which it misses, would hold a worker back on an idle node",
    "deployment-has-host-podantiaffinity": "where pods may lie is the user's to say",
    "deployment-has-poddisruptionbudget": "a budget is the user's to ask for",
    "deployment-replicas": "one exporter is enough; two would tell everything twice",
    "deployment-strategy": "of the exporter, which is one at a time",
    "pod-networkpolicy": "who scrapes and which way out there is differs by cluster: policies are off by default",
    "pod-probes-identical": "of the exporter, and of a web app that names no paths: both ask whether it listens",
    "statefulset-has-host-podantiaffinity": "where pods may lie is the user's to say",
}
"""What kube-score finds in the plainest values, and why it stays."""
GOOD = 10


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)


@needs("helm")
@needs("schemas-python")
@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_fits_its_schema(tmp_path: Path, version: str) -> None:
    for file in CASES:
        (tmp_path / file.name).write_text(render_text(file, kubernetes=version))
    judge = ROOT / "tests/chart/schemas.py"
    answer = run(find("schemas-python"), judge, version, TOOLS / "crds", *sorted(tmp_path.iterdir()))
    assert answer.returncode == 0, answer.stdout + answer.stderr


@needs("schemas-python")
@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {port: 1}}", "'port' was unexpected"),
        ("{apiVersion: v2, kind: Service, metadata: {name: a}}", "Couldn't find schema for kind Service"),
        (
            "{apiVersion: monitoring.coreos.com/v1, kind: PodMonitor, metadata: {name: a}, spec: {selector: {}, q: 1}}",
            "'q' was unexpected",
        ),
    ],
    ids=["unknown field", "unknown kind", "unknown field of a custom resource"],
)
def test_the_schemas_refuse_what_is_wrong(tmp_path: Path, wrong: str, sentence: str) -> None:
    (tmp_path / "wrong.yaml").write_text(wrong)
    judge = ROOT / "tests/chart/schemas.py"
    answer = run(find("schemas-python"), judge, KUBERNETES, TOOLS / "crds", tmp_path / "wrong.yaml")
    assert answer.returncode == 1
    assert sentence in answer.stdout


@needs("helm")
@needs("kube-score")
def test_kube_score_finds_nothing_but_what_has_a_reason(tmp_path: Path) -> None:
    found: dict[str, set[str]] = {}
    for case in CASES:
        file = tmp_path / case.name
        file.write_text(render_text(case))
        answer = run(find("kube-score"), "score", "--output-format", "json", "--kubernetes-version", "v1.34", file)
        for one in json.loads(answer.stdout):
            for check in one["checks"] or []:
                if not check["skipped"] and check["grade"] < GOOD:
                    said = {comment["summary"] for comment in check["comments"] or []}
                    found.setdefault(check["check"]["id"], set()).update(f"{one['object_name']}: {s}" for s in said)
    assert {name: said for name, said in found.items() if name not in ACCEPTED} == {}
    assert set(ACCEPTED) - set(found) == set(), "no longer found: take the reason out"


@needs("actionlint")
def test_actionlint_has_nothing_to_say() -> None:
    answer = run(find("actionlint"), "-no-color", *sorted((ROOT / ".github/workflows").glob("*.yml")))
    assert answer.returncode == 0, answer.stdout + answer.stderr
