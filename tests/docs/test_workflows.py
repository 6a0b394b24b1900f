"""In: .github/workflows, Makefile and pyproject.toml. Out: pinned actions, targets that exist, the promised Pythons."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
USES = re.compile(r"^\s*(?:- )?uses: *(.*)$", re.MULTILINE)
PINNED = re.compile(r"[\w.-]+(?:/[\w.-]+)+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
MAKE = re.compile(r"\bmake ([a-z0-9-]+)")
TARGET = re.compile(r"^([a-z0-9-]+):", re.MULTILINE)
MATRIX = re.compile(r"^ +python: \[(.+)\]$", re.MULTILINE)

each = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)


def test_there_are_workflows() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "e2e.yml", "release.yml", "site.yml"]


@each
def test_every_action_is_pinned_by_its_commit_and_names_its_version(workflow: Path) -> None:
    uses = USES.findall(workflow.read_text("utf-8"))
    assert uses
    assert [use for use in uses if not PINNED.fullmatch(use)] == []


@each
def test_every_make_target_that_a_workflow_runs_exists(workflow: Path) -> None:
    named = set(MAKE.findall(workflow.read_text("utf-8")))
    assert named
    assert named - set(TARGET.findall((ROOT / "Makefile").read_text("utf-8"))) == set()


def test_every_promised_python_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    prefix = "Programming Language :: Python :: 3."
    promised = {f"3.{name.removeprefix(prefix)}" for name in project["classifiers"] if name.startswith(prefix)}
    [tested] = MATRIX.findall((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    assert promised
    assert promised - set(re.findall(r'"([\d.]+)"', tested)) == set()
