"""An operator at work: by mouse, by keyboard, without script, and with pages that follow what happens."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from litestar_queues.records import Held
from litestar_queues.status import TaskStatus
from tests.browser.conftest import Tab, Town, tab_of
from tests.builders import make_record

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


def test_a_failed_record_is_retried_by_a_click(tab: Tab, town: Town) -> None:
    page = tab.open()
    page.click("text=All failed records")
    page.locator("tbody a").first.click()
    page.click("button.primary:has-text('Retry')")
    page.wait_for_selector("text=The record is pending again.")
    assert page.inner_text("h1 .pill") == "pending"
    assert town.run(town.service.get_statistics()).failed == 2
    assert tab.complaints() == []


def test_chosen_records_are_retried_together(tab: Tab, town: Town) -> None:
    page = tab.open("/records?status=failed")
    for box in page.locator("tbody input[type=checkbox]").all()[:2]:
        box.check()
    page.wait_for_timeout(900)  # looks at the store leave the choice alone
    page.click("#chosen button:has-text('Retry')")
    page.wait_for_selector("text=2 of 2 records are pending again.")
    assert page.locator("tbody tr").count() == 1


def test_a_page_follows_what_happens(tab: Tab, town: Town) -> None:
    page = tab.open()
    before = int(page.inner_text(".counts .pending strong"))
    town.run(town.backend.enqueue_many([make_record(queue="mail") for _ in range(5)]))
    page.wait_for_selector(f".counts .pending strong:text-is('{before + 5}')")
    assert page.evaluate("window.shifted") == 0


def test_a_record_that_runs_shows_its_progress(tab: Tab, town: Town) -> None:
    record = make_record(task="task.slow", queue="slow")
    town.run(town.backend.enqueue_many([record]))
    page = tab.open(f"/records/{record.id}")
    assert page.inner_text("h1 .pill") == "pending"
    batch = town.run(town.backend.claim_many(worker_id="worker:9", queues=["slow"], limit=1, lease=60.0))
    page.wait_for_selector("h1 .pill.running")
    held = Held(record.id, batch.claims[0].token)
    town.run(town.backend.save_progress({held: b'{"current": 3, "total": 4, "message": "nearly"}'}))
    page.wait_for_selector("text=nearly")
    assert page.get_attribute("progress", "value") == "75"


def test_the_keyboard_reaches_everything_in_order_and_shows_where_it_is(tab: Tab) -> None:
    tab.page.route("**/live", lambda route: route.abort())  # the walk looks at one state of the page
    page = tab.open()
    expected = page.evaluate(
        "[...document.querySelectorAll('a, button, input:not([type=hidden]), select, [tabindex=\"0\"]')]"
        ".filter((one) => one.checkVisibility()).length"
    )
    page.keyboard.press("Tab")
    assert page.inner_text(":focus") == "Skip to content"
    places = []
    for _ in range(expected):
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        places.append(
            page.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)"),
        )
        page.keyboard.press("Tab")
    assert places == sorted(set(places))


def test_the_skip_link_leads_to_the_content(tab: Tab) -> None:
    page = tab.open()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_the_focus_stays_when_regions_are_replaced(tab: Tab, town: Town) -> None:
    page = tab.open()
    page.focus("#queues tbody tr:nth-child(2) button")
    name = page.inner_text("#queues tbody tr:nth-child(2) th")
    town.run(town.backend.enqueue_many([make_record(queue="mail")]))
    page.wait_for_selector("#queues tbody tr:first-child td:nth-child(2) a:text-is('1')")
    assert page.evaluate("document.activeElement.closest('tr').querySelector('th').textContent") == name


def test_live_updates_can_be_stopped(tab: Tab, town: Town) -> None:
    page = tab.open()
    page.wait_for_selector("#live[data-state=on]")
    page.click("#live")
    assert page.get_attribute("#live", "aria-pressed") == "false"
    before = int(page.inner_text(".counts .pending strong"))
    town.run(town.backend.enqueue_many([make_record()]))
    page.wait_for_timeout(900)
    assert int(page.inner_text(".counts .pending strong")) == before
    page.click("#live")
    page.wait_for_selector(f".counts .pending strong:text-is('{before + 1}')")


def test_without_script_everything_can_be_done(chromium: Browser, town: Town, stack: ExitStack) -> None:
    page = tab_of(chromium, town, stack, java_script_enabled=False).page
    page.goto(town.url)
    with page.expect_navigation():
        page.click("#queues tr:has-text('mail') button")
    assert page.is_visible("text=The queue is paused")
    assert "mail" in [one.queue for one in town.run(town.service.paused_queues())]
    page.fill("#q", "order-7009")
    with page.expect_navigation():
        page.press("#q", "Enter")
    assert page.locator("tbody tr").count() == 1
    page.check("tbody input")
    with page.expect_navigation():
        page.click("#chosen button:has-text('Retry')")
    assert page.is_visible("text=1 of 1") or page.inner_text("h1 .pill") == "pending"
    waiting = town.run(town.service.list_tasks(key="order-7009"))
    assert [one.status for one in waiting] == [TaskStatus.PENDING]


def test_another_site_cannot_act(chromium: Browser, town: Town, stack: ExitStack) -> None:
    tab = tab_of(chromium, town, stack)
    page = tab.open()
    form = (
        f"<form method=post action='{town.url}/queues/pause'><input name=queue value=mail><button>Win</button></form>"
    )
    page.route("http://elsewhere.example/", lambda route: route.fulfill(body=form, content_type="text/html"))
    page.goto("http://elsewhere.example/")
    page.click("button")
    assert "nothing was changed" in page.inner_text("main")
    assert [one.queue for one in town.run(town.service.paused_queues())] == ["reports"]
