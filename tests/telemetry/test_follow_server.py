"""In: a real server with open streams, that is told to stop. Out: streams that end, and the server with them."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from litestar_queues import QueueConfig, QueueService
from tests.builders import make_record
from tests.process.harness import free_port

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
SERVER = """
import sys, uvicorn
from litestar import Litestar
from litestar.exceptions import PermissionDeniedException
from litestar_queues import QueueConfig, QueueEventConfig, QueuePlugin

def guard(connection, _):
    if "stranger" in connection.query_params:
        raise PermissionDeniedException(detail="not for strangers")

events = QueueEventConfig(path="/tasks", guards=[guard])
config = QueueConfig(queue_backend=sys.argv[2], in_app_worker=False, event_config=events)
uvicorn.run(Litestar(plugins=[QueuePlugin(config)]), port=int(sys.argv[1]), log_level="warning", ws="websockets-sansio")
"""
PATIENCE = 20.0
SOON = 5.0
"""Well below the half minute after which a stream would end by itself."""


class Server:
    """An app under uvicorn, and a record that waits for a worker which there is not."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, record: UUID) -> None:
        self.process = process
        self.record = record
        self.http = f"http://127.0.0.1:{port}"
        self.ws = f"ws://127.0.0.1:{port}"

    async def ends_soon(self) -> None:
        code = await asyncio.wait_for(asyncio.to_thread(self.process.wait), SOON)
        assert code in {0, -signal.SIGTERM}


@asynccontextmanager
async def serve(backend: str) -> AsyncIterator[Server]:
    async with QueueService(QueueConfig(queue_backend=backend)) as service:
        record = make_record()
        await service.backend.enqueue_many([record])
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(port), backend], cwd=ROOT)  # noqa: ASYNC220
    try:
        server = Server(process, port, record.id)
        async with httpx.AsyncClient() as client, asyncio.timeout(PATIENCE):
            while True:
                with suppress(httpx.TransportError):
                    await client.get(server.http)
                    break
                await asyncio.sleep(0.05)
        yield server
    finally:
        process.kill()
        process.wait()


async def test_a_server_that_is_told_to_stop_ends_every_stream_and_goes(tmp_path: Path) -> None:
    async with (
        serve(f"sqlite:///{tmp_path}/q.db") as server,
        httpx.AsyncClient(timeout=PATIENCE) as client,
        client.stream("GET", f"{server.http}/tasks/{server.record}") as stream,
        connect(f"{server.ws}/tasks/{server.record}") as socket,
    ):
        lines = stream.aiter_lines()
        while not (await anext(lines)).startswith("data: "):
            pass
        assert json.loads(await socket.recv())["status"] == "pending"
        server.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(SOON):
            assert [line async for line in lines if line.startswith("data: ")] == []
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code in {1000, 1001, 1012}
        await server.ends_soon()


async def test_a_page_learns_why_its_socket_was_closed(tmp_path: Path) -> None:
    unknown = uuid4()
    async with serve(f"sqlite:///{tmp_path}/q.db") as server:
        for path, code, reason in (
            (f"{server.record}?stranger=1", 4403, "not for strangers"),
            (str(unknown), 4404, f"there is no record {unknown}: it was rolled back or its retention is over"),
        ):
            async with connect(f"{server.ws}/tasks/{path}") as socket:
                with pytest.raises(ConnectionClosed) as closed:
                    await socket.recv()
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, reason)
