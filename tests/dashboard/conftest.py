"""In: nothing. Out: apps with a dashboard on the memory store, and what a browser does with their forms."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from litestar_queues import QueueConfig, QueuePlugin
from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.dashboard import DashboardConfig
from litestar_queues.outcomes import Completion, Outcome
from litestar_queues.records import NewRecord
from litestar_queues.service import QueueService
from litestar_queues.status import TaskStatus
from tests.builders import make_record
from tests.dashboard.town import ShiftedClock

TOKEN = re.compile(r'name="csrf_token" value="([0-9a-f]{64})"')


class Visitor:
    """A browser before the dashboard of an app."""

    def __init__(self, client: httpx.AsyncClient, service: QueueService) -> None:
        self.client = client
        self.service = service
        self.backend = service.backend

    async def get(self, path: str = "", **options: Any) -> httpx.Response:
        return await self.client.get(f"/queues{path}", follow_redirects=False, **options)

    async def token(self) -> str:
        """The token of a form of ours; there is always one to pause a queue."""
        await self.backend.pause_queue("shown")
        found = TOKEN.search((await self.get()).text)
        assert found
        return found[1]

    async def post(self, path: str, **fields: Any) -> httpx.Response:
        """Send a form as a page of ours has it; the answer is not followed."""
        return await self.send(path, csrf_token=await self.token(), **fields)

    async def send(self, path: str, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        return await self.client.post(f"/queues{path}", data=fields, headers=headers, follow_redirects=False)

    async def enqueue(self, **changes: Any) -> UUID:
        record: NewRecord = make_record(**changes)
        await self.backend.enqueue_many([record])
        return record.id

    async def claim(self, queue: str = "default") -> Any:
        found = await self.backend.claim_many(worker_id="worker:1", queues=[queue], limit=1, lease=60.0)
        return found.claims[0]

    async def end(self, outcome: Outcome, **changes: Any) -> UUID:
        """A record whose only run ended so."""
        await self.enqueue(**changes)
        claim = await self.claim(changes.get("queue", "default"))
        await self.backend.finish_many([Completion(claim.id, claim.token, outcome)])
        return UUID(str(claim.id))

    async def status(self, record: UUID) -> TaskStatus:
        return (await self.backend.get_many([record]))[record].status


def app_with(dashboard: DashboardConfig | None = None, **config: Any) -> tuple[Litestar, QueuePlugin]:
    """An app on the memory store; by default with a dashboard that nobody guards."""
    dashboard = dashboard or DashboardConfig(allow_unguarded=True)
    plugin = QueuePlugin(QueueConfig(queue_backend="memory", in_app_worker=False, dashboard=dashboard))
    return Litestar(plugins=[plugin], **config), plugin


def talk_to(app: Litestar) -> httpx.AsyncClient:
    """A client in the caller's own loop, without a lifespan, which nothing here needs."""
    plain: Any = app  # it takes what httpx sends, and says so in other types
    return httpx.AsyncClient(transport=httpx.ASGITransport(plain), base_url="http://web")


@pytest.fixture
def shifted() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
async def visitor(shifted: ShiftedClock) -> AsyncIterator[Visitor]:
    app, plugin = app_with()
    plugin.service.backend = MemoryBackend(clock=shifted)
    async with plugin.service, talk_to(app) as client:
        yield Visitor(client, plugin.service)
