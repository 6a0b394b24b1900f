"""In: reference and directives of the site. Out: no public name is missing, and figures come from their table."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

import litestar_queues
from tests.docs.test_pages import ROOT

TABLE = """
| | workload | ours | River (Go) | target | |
|---|---|---|---|---|---|
| W1 | one by one | 1,870 | 1,270 | 80 | met |
| W6 | p50 / p99 | 2.6 / 14 | 2.5 / 12 | 1 | |
"""


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "docs/_extensions"))
    yield importlib.import_module("bars")
    del sys.modules["bars"]


def test_every_public_name_is_in_the_reference() -> None:
    page = (ROOT / "docs/reference/api.md").read_text("utf-8")
    errors = set(re.findall(r"class (\w+)\(", (ROOT / "litestar_queues/errors.py").read_text("utf-8")))
    named = set(re.findall(r"litestar_queues\.(\w+)$", page, re.MULTILINE)) | errors
    assert set(litestar_queues.__all__) - named == set()


def test_bars_take_their_figures_from_the_row_of_a_table(bars: ModuleType) -> None:
    assert bars.from_table(TABLE, "W1") == [("ours", 1870.0), ("River (Go)", 1270.0)]


@pytest.mark.parametrize("row", ["W6", "W9"])
def test_a_row_without_figures_is_refused(bars: ModuleType, row: str) -> None:
    with pytest.raises(ValueError, match=r"W9|2\.6 / 14"):
        bars.from_table(TABLE, row)


def test_a_bar_is_as_long_as_its_figure(bars: ModuleType) -> None:
    drawn = bars.draw("Rates & more", [bars.read("ours: 2,000"), bars.read("theirs: 1000")])
    first, second = (float(width) for width in re.findall(r'<rect [^>]*width="([\d.]+)"', drawn))
    assert first == 2 * second
    assert "Rates &amp; more" in drawn
