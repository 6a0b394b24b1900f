"""In: a temporary folder. Out: a site with the usual app, whose processes do not outlive the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.apps import APP
from tests.process.harness import Site


@pytest.fixture
def empty_site(tmp_path: Path) -> Iterator[Site]:
    """A folder without an app."""
    site = Site(tmp_path)
    yield site
    site.close()


@pytest.fixture
def site(empty_site: Site) -> Site:
    empty_site.write("app.py", APP)
    return empty_site
