"""Every page in light and dark: nothing to complain about, for eyes, screen readers and the browser itself."""

from __future__ import annotations

from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from tests.browser.conftest import Tab, Town, tab_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

PAGES = {
    "overview": "",
    "queue": "?queue=mail&hours=6",
    "records": "/records",
    "failed": "/records?status=failed",
    "refused": "/records?status=never",
    "running": "/records?status=running",
    "workers": "/workers",
    "schedules": "/schedules",
    "missing": "/records/01a217f7-7937-7e00-9fd4-4e734085d019",
}
WITH_A_RECORD = ("failed", "running")
EXPECTED = {"refused": 400, "missing": 404}
PHONE = {"width": 360, "height": 740}
SHOTS = {
    ("dashboard", "light"): "",
    ("dashboard", "dark"): "",
    ("dashboard-records", "light"): "/records",
    ("dashboard-workers", "light"): "/workers",
    ("dashboard-schedules", "light"): "/schedules",
    ("dashboard-record", "light"): None,
    ("dashboard-record", "dark"): None,
}
"""Pictures for the documentation; ``None``: the page of a failed record."""


def check(tab: Tab, expected: int = 200) -> None:
    page = tab.page
    page.wait_for_timeout(700)  # a look or two, which replace regions
    assert [one for one in tab.complaints() if expected == 200 or f"status of {expected}" not in one] == []
    assert page.evaluate("window.shifted") == 0
    assert _breaches(page) == []


def _breaches(page: Any) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html']} {node['failureSummary']}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_stands_up_to_inspection(
    chromium: Browser, still_town: Town, stack: ExitStack, name: str, scheme: str
) -> None:
    tab = tab_of(chromium, still_town, stack, color_scheme=scheme)
    tab.open(PAGES[name])
    check(tab, EXPECTED.get(name, 200))
    if name in WITH_A_RECORD:
        tab.page.locator("tbody a").first.click()
        check(tab)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_phone(chromium: Browser, still_town: Town, stack: ExitStack, name: str) -> None:
    tab = tab_of(chromium, still_town, stack, viewport=PHONE)
    page = tab.open(PAGES[name])
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    if name in WITH_A_RECORD:
        page.locator("tbody a").first.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize(("name", "scheme"), SHOTS)
def test_pictures_for_the_documentation(
    chromium: Browser, still_town: Town, stack: ExitStack, images: Path | None, name: str, scheme: str
) -> None:
    if images is None:
        pytest.skip("nobody wants pictures: make pictures")
    size = {"width": 1200, "height": 400}
    tab = tab_of(chromium, still_town, stack, color_scheme=scheme, viewport=size, device_scale_factor=1.5)
    path = SHOTS[name, scheme]
    page = tab.open("/records?status=failed" if path is None else path)
    if path is None:
        page.locator("tbody a").first.click()
    page.wait_for_timeout(500)
    tall = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": min(tall, 1100)})
    photo = Image.open(BytesIO(page.screenshot()))
    photo.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(images / f"{name}-{scheme}.png", optimize=True)
