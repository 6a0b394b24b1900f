"""In: HTTP requests, also slow, huge and senseless ones. Out: the worker's health, and a server that stays well."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from litestar_queues import QueueConfig, QueueConfigurationError, QueueService, Worker, health
from litestar_queues.registry import TaskRegistry
from tests.raw_http import ask


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[int]:
    config = QueueConfig(queue_backend="memory", health_port=0, **settings)
    async with (
        QueueService(config, registry=TaskRegistry()) as service,
        health.serve_health(Worker(service)) as port,
    ):
        assert port is not None
        yield port


async def test_each_path_answers_for_its_check() -> None:
    async with serving() as port:
        assert await ask(port, b"GET /live HTTP/1.1\r\nHost: pod\r\n\r\n") == ("HTTP/1.0 200 OK", "live: starting")
        assert await ask(port, b"GET /ready HTTP/1.0\r\n\r\n") == (
            "HTTP/1.0 503 Service Unavailable",
            "not ready: starting",
        )
        status, text = await ask(port, b"GET /scheduler-health?minutes=1 HTTP/1.0\r\n\r\n")
        assert status == "HTTP/1.0 503 Service Unavailable"
        assert text.startswith("unhealthy: no recurring task 'scheduler.heartbeat' is registered")
        status, text = await ask(port, b"GET /facts HTTP/1.0\r\n\r\n")
        assert status == "HTTP/1.0 200 OK"
        assert json.loads(text)["canary"] == "scheduler.heartbeat"


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /no-such-path HTTP/1.0\r\n\r\n", "HTTP/1.0 404 Not Found"),
        (b"POST /live HTTP/1.0\r\n\r\n", "HTTP/1.0 400 Bad Request"),
        (b"GET\r\n\r\n", "HTTP/1.0 400 Bad Request"),
        (b"\r\n", "HTTP/1.0 400 Bad Request"),
        (b"\x16\x03\x01\x02\x00\x01\xff\n", "HTTP/1.0 400 Bad Request"),  # a TLS greeting
        (b"GET /scheduler-health?minutes=soon HTTP/1.0\r\n\r\n", "HTTP/1.0 400 Bad Request"),
        (b"GET /live?" + b"x" * 100_000 + b"\r\n\r\n", ""),
        (b"x" * 100_000, ""),
        (b"GET http://[ HTTP/1.0\r\n\r\n", "HTTP/1.0 400 Bad Request"),
        (b"GET /scheduler-health?minutes=nan HTTP/1.0\r\n\r\n", "HTTP/1.0 400 Bad Request"),
        (b"GET /scheduler-health?minutes=-5 HTTP/1.0\r\n\r\n", "HTTP/1.0 400 Bad Request"),
    ],
)
async def test_a_senseless_request_is_refused_and_the_next_one_is_served(request_line: bytes, status: str) -> None:
    async with serving() as port:
        assert (await ask(port, request_line))[0] == status
        assert (await ask(port, b"GET /live HTTP/1.0\r\n\r\n"))[0] == "HTTP/1.0 200 OK"


async def test_a_slow_client_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_PATIENCE", 0.2)
    async with serving() as port:
        assert await ask(port, b"GET /li") == ("", "")


async def test_silent_clients_do_not_keep_the_server_from_closing_or_from_serving() -> None:
    async with serving() as port:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(10)]
        assert (await ask(port, b"GET /live HTTP/1.0\r\n\r\n"))[0] == "HTTP/1.0 200 OK"
    for _, writer in silent:
        writer.close()


async def test_a_port_that_is_taken_is_an_error_that_names_it() -> None:
    async with serving() as port:
        config = QueueConfig(queue_backend="memory", health_port=port)
        async with QueueService(config, registry=TaskRegistry()) as service:
            with pytest.raises(QueueConfigurationError, match=f"cannot bind 127.0.0.1:{port}"):
                async with health.serve_health(Worker(service)):
                    pass
