"""In: the files of the project. Out: the habits that no linter holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {"charts", "docs", "e2e", "litestar_queues", "manifests", "tests"}
FILES = {"Dockerfile", "LICENSE", "Makefile", "README.md", "pyproject.toml"}
BUILT = {"build", "dist", "htmlcov"}
MACHINE_PATH = re.compile(r"(?<![\w.])/(work|root|farm|home/[a-z]+|Users/[a-zA-Z]+)/")
LONGEST_MODULE = 300


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file that belongs to the project, with its path."""
    places = [
        ROOT / name for name in sorted(FOLDERS | FILES | {".ci", ".editorconfig", ".gitattributes", ".gitignore"})
    ]
    for place in places:
        for file in [place] if place.is_file() else sorted(place.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                try:
                    yield file.relative_to(ROOT), file.read_text("utf-8")
                except UnicodeDecodeError:
                    continue


def test_the_top_level_holds_nothing_but_what_the_layout_names() -> None:
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert found - FOLDERS - FILES - BUILT == set()


def test_no_file_names_a_path_of_one_machine() -> None:
    assert [str(path) for path, text in texts() if MACHINE_PATH.search(text)] == []


@pytest.mark.parametrize("module", sorted((ROOT / "litestar_queues").rglob("*.py")), ids=lambda path: path.name)
def test_a_module_is_one_room(module: Path) -> None:
    assert len(module.read_text("utf-8").splitlines()) <= LONGEST_MODULE


def test_development_packages_are_pinned_without_naming_an_index() -> None:
    lines = (ROOT / ".ci/requirements.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins
    assert [line for line in pins if not re.match(r"[a-z0-9-]+==[^ ]+( ; .+)?$", line)] == []


def test_every_direct_requirement_is_among_the_pins() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = [
        *project["project"]["dependencies"],
        *(line for extra in project["project"]["optional-dependencies"].values() for line in extra),
        *project["dependency-groups"]["dev"],
    ]
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / ".ci/requirements.txt").read_text("utf-8"), re.MULTILINE))
    assert {re.split(r"[^a-z0-9-]", line)[0] for line in wanted} - pinned == set()
