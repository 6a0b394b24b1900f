"""In: a worker. Out: its health over HTTP and in a file, for probes; no question of theirs reaches the store.

``/live``, ``/ready`` and ``/scheduler-health?minutes=5`` answer 200 or 503 with one line, ``/facts`` with what
``litestar-queues-probe`` judges by, ``/metrics`` with the worker's own metrics.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litestar_queues.errors import QueueConfigurationError
from litestar_queues.metrics import METRICS_KIND, NOT_INSTALLED, WorkerMetrics, worker_metrics
from litestar_queues.plain_http import Answer, PlainServer, Request
from litestar_queues.probe import CHECKS, FILE_INTERVAL, HEALTHY, judge

if TYPE_CHECKING:
    from litestar_queues.config import QueueConfig
    from litestar_queues.worker import Worker

__all__ = ("facts_of", "serve_health")

_PATIENCE = 5.0
"""Seconds that a client has for its request and for reading the answer."""
_LEAST_STUCK = 30.0
_PATHS = "/live, /ready, /scheduler-health, /facts and /metrics"


def facts_of(worker: Worker) -> dict[str, Any]:
    """Everything that a probe is judged by, as plain values."""
    config, canary = worker.config, worker.canary
    schedules = worker.service.registry.scheduled()
    stuck = worker.idle_for > max(_LEAST_STUCK, 3 * worker.poll_interval)
    return {
        "worker_id": worker.worker_id,
        "written_at": time.time(),
        "state": _state_of(worker),
        "ready": worker.is_ready,
        "stuck_for": worker.idle_for if stuck else 0,
        "store_ok": worker.health.ok,
        "up_for": worker.up_for,
        "running": worker.running,
        "canary": config.scheduler_canary_task,
        "canary_registered": config.scheduler_canary_task in schedules,
        "canary_completed_at": str(canary.completed_at) if canary and canary.completed_at else None,
        "canary_age": canary.age if canary else None,
    }


def _state_of(worker: Worker) -> str:
    if worker.is_draining:
        return f"draining, {worker.running} tasks are running"
    if worker.is_ready:
        return f"claiming, {worker.running} tasks are running"
    return "starting" if worker.health.ok else "the store cannot be reached"


@asynccontextmanager
async def serve_health(worker: Worker) -> AsyncIterator[int | None]:
    """Serve the worker's health, as the settings say, until the block ends; gives the port.

    Raises:
        QueueConfigurationError: The port or the file cannot be used.
    """
    config = worker.config
    async with AsyncExitStack() as stack:
        if config.health_file is not None:
            await stack.enter_async_context(_file(worker, Path(config.health_file)))
        if config.health_port is None:
            yield None
        else:
            metrics = worker_metrics(worker)
            if metrics is not None:
                stack.callback(worker.service.bus.subscribe(metrics))
            yield await _bind(stack, worker, config, metrics)


async def _bind(stack: AsyncExitStack, worker: Worker, config: QueueConfig, metrics: WorkerMetrics | None) -> int:
    async def answer(request: Request) -> Answer:
        return _answer(worker, metrics, request)

    server = PlainServer(answer, usage=f"send GET {_PATHS}", patience=_PATIENCE)
    try:
        return await stack.enter_async_context(server.serve(config.health_host, config.health_port or 0))
    except OSError as error:
        msg = (
            f"the health server cannot bind {config.health_host}:{config.health_port} ({error.strerror or error}): "
            "choose another QueueConfig.health_port or health_host"
        )
        raise QueueConfigurationError(msg) from error


def _answer(worker: Worker, metrics: WorkerMetrics | None, request: Request) -> Answer:
    check = request.path
    if check == "metrics":
        return Answer(404, NOT_INSTALLED) if metrics is None else Answer(200, metrics.text(), METRICS_KIND)
    facts = facts_of(worker)
    if check == "facts":
        return Answer(200, json.dumps(facts), "application/json")
    if check not in CHECKS:
        return Answer(404, f"there are {_PATHS}")
    try:
        minutes = float(request.query.get("minutes", ["5"])[0])
    except ValueError:
        minutes = -1
    if not 0 < minutes < float("inf"):  # NaN neither
        return Answer(400, "minutes must be a number above 0")
    code, text = judge(facts, check, minutes)
    return Answer(200 if code == HEALTHY else 503, text)


@asynccontextmanager
async def _file(worker: Worker, path: Path) -> AsyncIterator[None]:
    try:
        _write(path, facts_of(worker))
    except OSError as error:
        msg = (
            f"QueueConfig.health_file={str(path)!r} cannot be written ({error.strerror or error}): choose another path"
        )
        raise QueueConfigurationError(msg) from error
    writing = asyncio.create_task(_keep_writing(worker, path))
    try:
        yield
    finally:
        writing.cancel()
        path.unlink(missing_ok=True)  # noqa: ASYNC240 - microseconds, once


async def _keep_writing(worker: Worker, path: Path) -> None:
    while True:
        await asyncio.sleep(FILE_INTERVAL)
        with suppress(OSError):  # a probe that finds an old file says so
            _write(path, facts_of(worker))


def _write(path: Path, facts: Mapping[str, Any]) -> None:
    """Write it such that a reader sees the old facts or the new ones, never a part."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(facts))
    draft.replace(path)
