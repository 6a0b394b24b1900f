"""In: a backend and its clock. Out: a store as an operator might find it: a fleet that has worked for an hour."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from litestar_queues.backends.base import QueueBackend
from litestar_queues.clock import MICROSECONDS, Clock
from litestar_queues.fleet import Tally, WorkerReport
from litestar_queues.outcomes import Completed, Completion, Failed, Outcome, Retried, RunError
from litestar_queues.records import Claim, Held
from litestar_queues.tallies import DURATION_BOUNDS, WAIT_BOUNDS
from litestar_queues.ticks import ScheduleSync, Tick, TickBatch
from tests.builders import make_record

__all__ = ("ShiftedClock", "furnish")

WORKERS = ("worker-0:4f1c9a27", "worker-1:b20d6e53", "worker-2:93ae07c4")
LEASE = 3_600.0
_TRACEBACK = """\
Traceback (most recent call last):
  File "/app/shop/mail.py", line 41, in send
    await server.deliver(message, to=to)
  File "/app/shop/smtp.py", line 88, in deliver
    raise ConnectionRefusedError(answer)
ConnectionRefusedError: {message}
"""


class ShiftedClock(Clock):
    """The time of its making, some seconds off: it stands still, so that a busy machine makes no run longer."""

    def __init__(self) -> None:
        self.shift = 0.0
        self._made = super().micros()

    def micros(self) -> int:
        return self._made + round(self.shift * MICROSECONDS)


async def furnish(backend: QueueBackend, clock: ShiftedClock, minutes: int = 60, runs: float = 1.0) -> None:
    """Let a fleet of three work through the last hour, and leave it in the middle of its work."""
    for minute in range(minutes, 0, -1):
        clock.shift = -60.0 * minute
        wave = 1 + 0.45 * math.sin(minute / 7) + 0.12 * math.sin(minute * 2.3)
        await _work(
            backend, clock, "thumbnails", "photos.make_thumbnails", round(38 * wave * runs), minute, wait=2, took=6
        )
        await _work(backend, clock, "mail", "mail.send", round(17 * wave * runs), minute, wait=1, took=4)
        if minute in (41, 23, 9):
            await _fail(backend, clock, minute)
    clock.shift = -150.0
    await _schedules(backend, clock)
    await _leave_work(backend, clock)
    clock.shift = 0.0


async def _work(
    backend: QueueBackend, clock: ShiftedClock, queue: str, task: str, count: int, minute: int, *, wait: int, took: int
) -> None:
    records = [make_record(task=task, queue=queue, payload=_payload(number + 1000 * minute)) for number in range(count)]
    await backend.enqueue_many(records)
    worker = WORKERS[minute % len(WORKERS)]
    claims = (await backend.claim_many(worker_id=worker, queues=[queue], limit=count, lease=LEASE)).claims
    clock.shift += took * 0.7
    await _finish(backend, claims, Completed(b'{"sizes": ["small", "large"], "bytes": 48211}'))
    slow = 1 if minute % 11 in (0, 1, 2) else 0
    await _report(backend, worker, _tally(queue, count, wait + slow, took + slow), running=2)


async def _fail(backend: QueueBackend, clock: ShiftedClock, minute: int) -> None:
    """One run that fails for good, one that fails twice and goes on waiting."""
    error = _error(f"the mail server answered 451 to order {7000 + minute}")
    for outcome in (Retried(error, 0.0), Failed(error)):
        if type(outcome) is Retried:
            record = make_record(
                task="mail.send", queue="mail", payload=_payload(minute), max_attempts=2, key=f"order-{7000 + minute}"
            )
            await backend.enqueue_many([record])
        claims = (await backend.claim_many(worker_id=WORKERS[0], queues=["mail"], limit=1, lease=LEASE)).claims
        clock.shift += 1.3
        await _finish(backend, claims, outcome)
    await _report(backend, WORKERS[0], _tally("mail", 0, 1, 7, failed=1, retried=1), running=1)


async def _leave_work(backend: QueueBackend, clock: ShiftedClock) -> None:
    waiting = [make_record(task="photos.make_thumbnails", queue="thumbnails", payload=_payload(n)) for n in range(12)]
    later = [make_record(task="mail.send", queue="mail", payload=_payload(n), delay=900.0) for n in range(4)]
    held = [make_record(task="reports.monthly", queue="reports", payload=_payload(n)) for n in range(3)]
    await backend.enqueue_many([*waiting, *later, *held])
    await backend.pause_queue("reports", seconds=5_400.0)
    clock.shift = -21.0
    for worker, count in zip(WORKERS, (3, 2, 1), strict=True):
        claims = (await backend.claim_many(worker_id=worker, queues=["thumbnails"], limit=count, lease=LEASE)).claims
        progress = json.dumps({"current": 2, "total": 3, "message": "medium is ready"}).encode()
        await backend.save_progress({Held(one.id, one.token): progress for one in claims})
        await _report(backend, worker, _tally("thumbnails", 9, 2, 5), running=len(claims), draining=count == 1)


async def _schedules(backend: QueueBackend, clock: ShiftedClock) -> None:
    now = clock.now()
    names = {
        "reports.nightly": ("cron 0 3 * * * Europe/Berlin", _at(now, hours=14)),
        "photos.tidy": ("interval 900.0", now),
        "scheduler.heartbeat": ("interval 60.0", now),
    }
    syncs = [ScheduleSync(name, name, definition, first) for name, (definition, first) in names.items()]
    await backend.sync_schedules(syncs)
    for name, queue, seconds in (
        ("photos.tidy", "default", 900),
        ("scheduler.heartbeat", "litestar-queues.canary", 60),
    ):
        record = make_record(task=name, queue=queue, schedule=name)
        ticks = [Tick(now, record)]
        await backend.fire_ticks(TickBatch(name, now, ticks, now + timedelta(seconds=seconds + 150), overlap=True))
        claims = (await backend.claim_many(worker_id=WORKERS[0], queues=[queue], limit=1, lease=LEASE)).claims
        await _finish(backend, claims, Completed(None))


async def _finish(backend: QueueBackend, claims: Sequence[Claim], outcome: Outcome) -> None:
    assert claims
    assert not await backend.finish_many([Completion(one.id, one.token, outcome) for one in claims])


async def _report(backend: QueueBackend, worker: str, tally: Tally, **changes: Any) -> None:
    plain = {"host": worker.partition(":")[0], "pid": 1, "version": "0.1.0", "queues": (), "max_concurrency": 10}
    started_at = tally.minute - timedelta(hours=26)
    report = WorkerReport(worker_id=worker, **{**plain, "draining": False, "started_at": started_at, **changes})
    await backend.report_worker(report, lease=LEASE, tallies=[tally])


def _tally(queue: str, completed: int, wait: int, took: int, *, failed: int = 0, retried: int = 0) -> Tally:
    """Runs most of which waited and took as given, and some longer."""
    count = completed + failed + retried
    waits, durations = [0] * (len(WAIT_BOUNDS) + 1), [0] * (len(DURATION_BOUNDS) + 1)
    waits[wait], waits[wait + 1] = count - count // 8, count // 8
    durations[took], durations[took + 1] = count - count // 5, count // 5
    return Tally(Clock().now(), queue, completed, failed, retried, 0, tuple(waits), tuple(durations))


def _payload(number: int) -> bytes:
    return json.dumps([[number], {"to": f"visitor-{number}@example.org", "sizes": ["small", "large"]}]).encode()


def _at(now: datetime, *, hours: int) -> datetime:
    return (now + timedelta(hours=hours)).replace(minute=0, second=0, microsecond=0)


def _error(message: str) -> RunError:
    return RunError("ConnectionRefusedError", message, _TRACEBACK.format(message=message))
