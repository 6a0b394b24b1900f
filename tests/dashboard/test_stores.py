"""The same fleet on every store: the pages that it has do not depend on where records live."""

from __future__ import annotations

import re

import pytest

from litestar_queues.status import TaskStatus
from tests.contract.conftest import STORES
from tests.dashboard.conftest import app_with, talk_to
from tests.dashboard.town import ShiftedClock, furnish


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
