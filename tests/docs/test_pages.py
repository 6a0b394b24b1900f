"""In: README and docs. Out: links that lead somewhere, programs that run, commands that exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```([\w{}-]*) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TARGET = re.compile(r"^([a-z0-9-]+):", re.MULTILINE)


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    return BLOCK.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """The names under which a page's headings can be linked to."""
    titles = (re.sub(r"[^\w\- ]", "", title.lower()) for title in HEADING.findall(prose(page)))
    return {title.strip().replace(" ", "-") for title in titles}


def broken(page: Path, link: str) -> bool:
    if link.startswith("https://"):
        return False
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    return not target.exists() or bool(anchor and anchor not in anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [link for link in LINK.findall(prose(page)) if broken(page, link)] == []


def contents(page: Path) -> list[Path]:
    """The pages that the tables of contents of a page name, also by a pattern."""
    lines = (line.strip() for tree in TOCTREE.findall(page.read_text("utf-8")) for line in tree.splitlines())
    names = [line for line in lines if line and not line.startswith(":")]
    return [found for name in names for found in sorted(page.parent.glob(f"{name}.md"))]


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            links = (link.partition("#")[0] for link in LINK.findall(prose(page)))
            waiting += [(page.parent / link).resolve() for link in links if link.endswith(".md") and "://" not in link]
            waiting += contents(page)
    assert {page_id(page) for page in PAGES} - {page_id(page) for page in reached} == set()


def programs(page: Path) -> list[tuple[str, str]]:
    """File name and code of each `python` block; a block without a name is numbered."""
    blocks = [(name, code) for language, name, code in BLOCK.findall(page.read_text("utf-8")) if language == "python"]
    return [(name or f"program_{number}.py", code) for number, (name, code) in enumerate(blocks)]


@pytest.mark.parametrize("page", [page for page in PAGES if programs(page)], ids=page_id)
def test_every_program_runs(page: Path, tmp_path: Path) -> None:
    for name, code in programs(page):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code, "utf-8")
        answer = subprocess.run(
            [sys.executable, "-W", "error", name],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert answer.returncode == 0, f"{name}: {answer.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"(?:`|\$ )make (?:PYTHON=\S+ )?([a-z0-9-]+)", page.read_text("utf-8"))
    assert set(named) - set(TARGET.findall((ROOT / "Makefile").read_text("utf-8"))) == set()
