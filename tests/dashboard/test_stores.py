"""The same fleet on every store: the pages that it has do not depend on where records live."""

from __future__ import annotations

import re

import pytest

from litestar_queues import steering
from litestar_queues.status import TaskStatus
from tests.contract.conftest import STORES
from tests.contract.laws import enqueue
from tests.dashboard.conftest import app_with, talk_to
from tests.dashboard.town import ShiftedClock, furnish


@pytest.mark.parametrize("store", [one for one in STORES if one != "memory"])
async def test_a_page_of_few_among_many_looks_at_so_many_and_says_so(
    store: str, request: pytest.FixtureRequest, shifted: ShiftedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steering, "MOST_LOOKED_AT", 4)
    app, plugin = app_with()
    plugin.service.backend = backend = STORES[store](request, shifted)()
    async with plugin.service, talk_to(app) as client:
        wanted = await enqueue(backend, task="rare")
        others = [await enqueue(backend) for _ in range(10)]
        seen, path = [], "/records?task=rare"
        while path:
            text = (await client.get(f"/queues{path}")).text
            seen.append((str(wanted) in text, "Further ones may fit" in text, "No record fits" in text))
            turn = re.search(r'href="/queues([^"]*)" rel="next"', text)
            path = turn[1].replace("&amp;", "&") if turn else ""
        newer = (await client.get(f"/queues/records?task=rare&after={others[0]}")).text
    assert seen == [(False, True, False), (False, True, False), (True, False, False)]
    assert f'after={others[4]}" rel="prev"' in newer


@pytest.mark.parametrize("store", STORES)
async def test_every_page_on_every_store(store: str, request: pytest.FixtureRequest, shifted: ShiftedClock) -> None:
    backend = STORES[store](request, shifted)()
    app, plugin = app_with()
    plugin.service.backend = backend
    async with plugin.service, talk_to(app) as client:
        await furnish(backend, shifted, minutes=10)
        [failed] = await plugin.service.list_tasks(status=TaskStatus.FAILED)
        pages = {
            "": ("3 workers", "6 of 30 slots busy", "paused", "p95", "451 to order 7009"),
            "/records?queue=mail": ("mail.send", "scheduled", "completed"),
            f"/records/{failed.id}": ("Attempt 2", "Attempt 1", "visitor-9@example.org", "order-7009", "1.3 s"),
            "/workers": ("worker-2:93ae07c4", "draining", "photos.make_thumbnails"),
            "/schedules": ("every 15 min", "completed", "never"),
        }
        for path, expected in pages.items():
            answer = await client.get(f"/queues{path}")
            assert answer.status_code == 200
            assert [text for text in expected if text not in answer.text] == []
        counts = re.findall(r"<span>(\w+)</span> <strong>(\d+)<", (await client.get("/queues")).text)
    assert dict(counts) == {
        "pending": "9",
        "scheduled": "4",
        "running": "6",
        "completed": dict(counts)["completed"],
        "failed": "1",
        "cancelled": "0",
    }
