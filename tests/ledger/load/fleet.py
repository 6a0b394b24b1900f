"""In: a number of workers. Out: what their statements cost the server, at the rates at which they send them.

Nobody has 5,000 workers at hand. Each of their statements is sent as fast as the server takes it, on tables as full as
such a fleet makes them, and the server's processor time for one of them is multiplied by how often the fleet sends it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import psutil

from litestar_queues.backends.postgres import Address, PostgresBackend
from litestar_queues.records import CANARY_QUEUE, Held
from litestar_queues.status import TERMINAL
from tests.bench.postgres import Databases, databases
from tests.builders import make_record, make_report, make_tally

__all__ = ("fleet",)

_SECONDS = 4.0
_HELD = 5
"""Records that a busy worker runs."""
_LANES = 4
_DAY = 86_400.0
_LISTENERS = (0, 100, 250)

Statement = Callable[[PostgresBackend, str, Sequence[Held]], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Kind:
    """One statement of a worker."""

    what: str
    every: float
    """Seconds between two, by the default settings."""
    send: Statement


KINDS = (
    Kind("renew the leases of 5 records", 15, lambda backend, _, held: backend.renew_many(held, lease=60)),
    Kind(
        "look for work where there is none", 5,
        lambda backend, worker, _: backend.claim_many(worker_id=worker, queues=("idle",), limit=100, lease=60),
    ),
    Kind(
        "look for the canary", 5,
        lambda backend, worker, _: backend.claim_many(worker_id=worker, queues=(CANARY_QUEUE,), limit=1, lease=60),
    ),
    Kind("look for requests to cancel", 1, lambda backend, worker, _: backend.cancel_requests(worker)),
    Kind("look for leases that ran out", 15, lambda backend, *_: backend.rescue_many(limit=500, max_lost_leases=3)),
    Kind("look for due schedules", 30, lambda backend, *_: backend.due_schedules(("scheduler.heartbeat",))),
    Kind("look when the canary completed", 15, lambda backend, *_: backend.canary_completed_at()),
    Kind("tell that it is there, and what ended in it", 15, lambda backend, worker, _: _tell(backend, worker)),
    Kind("look for what is older than its retention", 60, lambda backend, *_: _prune(backend)),
)  # fmt: skip


def fleet(size: float) -> list[str]:
    """5,000 workers by their statements: heartbeats, idle polls, looks, and the listeners that each enqueue wakes."""
    workers = int(5_000 * max(size, 0.1))
    with databases() as made:
        return asyncio.run(_measure(made, workers, _SECONDS if size == 1 else 0.5))


async def _tell(backend: PostgresBackend, worker: str) -> None:
    """All add to the sums of one queue, which is the hardest case."""
    await backend.report_worker(make_report(worker), lease=60, tallies=[make_tally(completed=_HELD)])


async def _prune(backend: PostgresBackend) -> None:
    """As a pruner does where there is nothing to do."""
    for status in TERMINAL:
        await backend.prune_many(status, older_than=_DAY, limit=500)
    await backend.prune_ticks(older_than=_DAY, limit=500)
    await backend.prune_workers(older_than=_DAY, limit=500)
    await backend.prune_tallies(older_than=_DAY, limit=500)


async def _measure(made: Databases, workers: int, seconds: float) -> list[str]:
    url = made.new()
    backends = [PostgresBackend(Address.from_url(url, pooled=False)) for _ in range(_LANES)]
    for backend in backends:
        await backend.open()
    claims = [await _claims(backends[0], f"w:{number}") for number in range(workers)]
    for number in range(workers):
        await _tell(backends[0], f"w:{number}")
    lines, cores, rate = [], 0.0, 0.0
    for kind in KINDS:
        cost = await _cost(made, backends, kind.send, claims, seconds)
        often = workers / kind.every
        lines.append(f"{kind.what}: {cost * 1e6:.0f} us, {often:,.0f} a second, {cost * often:.2f} cores")
        cores, rate = cores + cost * often, rate + often
    lines.append(f"{workers:,} busy workers: {rate:,.0f} statements a second, {cores:.1f} cores of the server")
    for backend in backends:
        await backend.close()
    return [*lines, await _notifications(made, workers, seconds)]


async def _claims(backend: PostgresBackend, worker: str) -> list[Held]:
    await backend.enqueue_many([make_record(queue="held") for _ in range(_HELD)])
    batch = await backend.claim_many(worker_id=worker, queues=("held",), limit=_HELD, lease=3600)
    return [Held(claim.id, claim.token) for claim in batch.claims]


async def _cost(
    made: Databases,
    backends: Sequence[PostgresBackend],
    send: Statement,
    claims: Sequence[Sequence[Held]],
    seconds: float,
) -> float:
    """Seconds of the server's processors for one statement."""

    async def drive(backend: PostgresBackend, offset: int) -> int:
        sent, deadline = 0, time.monotonic() + seconds
        while time.monotonic() < deadline:
            number = (sent * _LANES + offset) % len(claims)
            await send(backend, f"w:{number}", claims[number])
            sent += 1
        return sent

    before = _server_seconds(made)
    sent = await asyncio.gather(*(drive(backend, offset) for offset, backend in enumerate(backends)))
    return (_server_seconds(made) - before) / sum(sent)


async def _notifications(made: Databases, workers: int, seconds: float) -> str:
    """What one enqueue costs the server with so many connections that listen."""
    url = made.new()
    backend = PostgresBackend(Address.from_url(url, pooled=False))
    await backend.open()
    channel = backend._channel
    costs, listeners = [], list[Any]()
    for number in _LISTENERS:
        while len(listeners) < number:
            listeners.append(await asyncpg.connect(made.plain(url)))
            await listeners[-1].add_listener(channel, lambda *_: None)
        costs.append(await _cost(made, [backend], lambda one, *_: one.enqueue_many([make_record()]), [()], seconds))
    for connection in listeners:
        await connection.close()
    await backend.close()
    each = (costs[-1] - costs[0]) / _LISTENERS[-1]
    shown = ", ".join(f"{cost * 1e6:.0f} us with {n}" for n, cost in zip(_LISTENERS, costs, strict=True))
    return f"an enqueue and its NOTIFY: {shown} listeners; {workers:,} would add {each * workers * 1e3:.0f} ms to each"


def _server_seconds(made: Databases) -> float:
    """What this server has used; others run on the machine too."""
    server = psutil.Process(int((made.server.folder / "postmaster.pid").read_text("utf-8").split()[0]))
    total = 0.0
    for one in (server, *server.children()):
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system
    return total
