"""In: a role and its arguments. Out: one process of a measurement: a worker, a producer, or both on one loop."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

from litestar_queues import EnqueueSpec, QueueConfig, QueueService, Task, Worker, task
from litestar_queues.logs import log_events
from tests.bench import raw, raw_postgres
from tests.bench.counter import Counter

_SLICE = 0.3
_THIN_SLICE = 0.02
_THIN_SLICES = 25
"""A disk that others use flushes at another speed from second to second, so what it limits is taken in thin slices."""
_CALLERS = 32


def open_service(path: str | None, concurrency: int = 100) -> QueueService:
    """A service as an app has it: on a file, on the database of a URL, or without either in memory."""
    backend = "memory" if path is None else path if "://" in path else f"sqlite:///{path}"
    service = QueueService(QueueConfig(queue_backend=backend, worker_max_concurrency=concurrency))
    service.bus.subscribe(log_events)
    return service


def make_task(hit: Callable[[int], None]) -> Task[..., Any]:
    """The task that does nothing but be counted."""

    @task("bench.noop")
    async def noop(i: int) -> None:
        hit(i)

    @task("bench.sleep")
    async def sleep(i: int) -> None:
        hit(i)
        await asyncio.sleep(0.01)

    return noop


def ignore(_: int) -> None:
    """Count nothing."""


async def worker(path: str, counter: str, concurrency: str) -> None:
    """Work until the process is ended."""
    make_task(Counter(counter).hit)
    async with open_service(path, int(concurrency)) as service:
        await Worker(service).start()


async def fill(path: str, number: str, start: str = "0", name: str = "bench.noop") -> float:
    """Enqueue so many in one call; gives the seconds."""
    make_task(ignore)
    async with open_service(path) as service:
        specs = [EnqueueSpec(name, (i,)) for i in range(int(start), int(number))]
        began = time.perf_counter()
        await service.enqueue_many(specs)
        return time.perf_counter() - began


async def enqueue(path: str, plain: str, bulk: str, rounds: str) -> dict[str, list[float]]:
    """Rates of every way to enqueue, each in turn with its plain counterpart."""
    noop = make_task(ignore)
    connection = raw.connect(plain)
    seconds = _SLICE
    async with open_service(path) as service:
        call = Enqueues(service, noop)
        await call.one_by_one(0.1)
        raw.insert_one_by_one(connection, 0.1)
        names = ("plain", "plain thread", "one", "one before", "callers", "plain groups", "plain bulk", "bulk")
        rates: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(int(rounds)):
            for _ in range(_THIN_SLICES):
                # in a thread as ours, or on a busy machine the scheduler would favour ours
                rates["plain"].append(await asyncio.to_thread(raw.insert_one_by_one, connection, _THIN_SLICE))
                rates["one"].append(await call.one_by_one(_THIN_SLICE))
                rates["plain thread"].append(await raw.insert_by_thread(connection, _THIN_SLICE))
            rates["one before"].append(await call.one_by_one(seconds))
            rates["callers"].append(await call.by_callers(seconds))
            rates["plain groups"].append(raw.insert_groups(connection, _CALLERS, seconds))
            rates["plain bulk"].append(raw.insert_many(connection, int(bulk)))
            rates["bulk"].append(await call.bulk(int(bulk)))
        return rates


async def enqueue_postgres(url: str, plain: str, bulk: str, rounds: str) -> dict[str, list[float]]:
    """The same on PostgreSQL."""
    noop = make_task(ignore)
    connection = await raw_postgres.connect(plain)
    names = ("plain", "one", "plain groups", "callers", "plain bulk", "bulk")
    rates: dict[str, list[float]] = {name: [] for name in names}
    async with open_service(url) as service:
        call = Enqueues(service, noop)
        await call.bulk(1_000)
        await raw_postgres.insert_one_by_one(connection, 0.1)
        for _ in range(int(rounds)):
            rates["plain"].append(await raw_postgres.insert_one_by_one(connection, _SLICE))
            rates["one"].append(await call.one_by_one(_SLICE))
            rates["plain groups"].append(await raw_postgres.insert_groups(connection, _CALLERS, _SLICE))
            rates["callers"].append(await call.by_callers(_SLICE))
            rates["plain bulk"].append(await raw_postgres.copy(connection, int(bulk)))
            rates["bulk"].append(await call.bulk(int(bulk)))
    return rates


class Enqueues:
    """The ways to enqueue; each gives its rate."""

    def __init__(self, service: QueueService, noop: Task[..., Any]) -> None:
        self._service = service
        self._task = noop

    async def one_by_one(self, seconds: float) -> float:
        """Each call waits for its commit."""
        done, began = 0, time.perf_counter()
        while time.perf_counter() < began + seconds:
            await self._service.enqueue(self._task, done)
            done += 1
        return done / (time.perf_counter() - began)

    async def by_callers(self, seconds: float) -> float:
        """The same from many callers at once."""
        rates = await asyncio.gather(*(self.one_by_one(seconds) for _ in range(_CALLERS)))
        return sum(rates)

    async def bulk(self, number: int) -> float:
        """One call."""
        specs = [EnqueueSpec(self._task, (i,)) for i in range(number)]
        began = time.perf_counter()
        await self._service.enqueue_many(specs)
        return number / (time.perf_counter() - began)


async def memory(number: str, concurrency: str) -> float:
    """Tasks a second through a whole worker on the memory backend, until all of their outcomes are stored."""
    first = 0.0

    def hit(i: int) -> None:
        nonlocal first
        if i == 0:
            first = time.perf_counter()

    noop = make_task(hit)
    async with open_service(None, int(concurrency)) as service:
        await service.enqueue_many([EnqueueSpec(noop, (i,)) for i in range(int(number))])
        running = Worker(service)
        working = asyncio.create_task(running.start())
        with service.changes() as wait:
            while (await service.get_statistics()).completed < int(number):
                await wait(1.0)
        seconds = time.perf_counter() - first
        running.stop()
        await working
    return int(number) / seconds


async def bare_tasks(number: str) -> float:
    """Asyncio tasks that do nothing, a hundred at a time: the limit of the loop itself."""

    async def noop() -> None:
        pass

    began = time.perf_counter()
    for _ in range(int(number) // 100):
        await asyncio.gather(*(noop() for _ in range(100)))
    return int(number) / (time.perf_counter() - began)


async def produce(path: str, number: str, interval: str) -> list[float]:
    """Enqueue tasks one after another with a pause between; gives when each call was made."""
    noop = make_task(ignore)
    calls = []
    async with open_service(path) as service:
        await service.enqueue(noop, int(number))
        for i in range(int(number)):
            await asyncio.sleep(float(interval))
            calls.append(time.monotonic())
            await service.enqueue(noop, i)
    return calls


async def ages(paths: str, rounds: str, batch: str) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of each look and step on several files in turn; paths are separated by commas."""
    noop = make_task(ignore)
    services = {path: open_service(path) for path in paths.split(",")}
    taken: dict[str, dict[str, list[float]]] = {path: {} for path in services}
    for service in services.values():
        await service.open()
    for _ in range(int(rounds)):
        for path, service in services.items():
            await service.enqueue_many([EnqueueSpec(noop, (i,)) for i in range(int(batch))])
            for what, seconds in (await _steps(service, int(batch))).items():
                taken[path].setdefault(what, []).append(seconds * 1000)
    for service in services.values():
        await service.close()
    return taken


async def _steps(service: QueueService, batch: int) -> dict[str, float]:
    from litestar_queues.outcomes import Completed, Completion

    marks = [time.perf_counter()]
    claimed = await service.backend.claim_many(worker_id="bench", queues=(), limit=batch, lease=60)
    marks.append(time.perf_counter())
    completions = [Completion(claim.id, claim.token, Completed(None)) for claim in claimed.claims]
    await service.backend.finish_many(completions)
    marks.append(time.perf_counter())
    await service.get_statistics()
    marks.append(time.perf_counter())
    await service.canary_health()
    marks.append(time.perf_counter())
    await service.backend.queue_depths()
    await service.get_statistics()
    marks.append(time.perf_counter())
    names = ("claim", "finish", "status", "scheduler-health", "exporter")
    return {name: end - start for name, start, end in zip(names, marks, marks[1:], strict=False)}


async def plain(what: str, path: str, *arguments: str) -> float | list[float]:
    """A measurement of ``raw``, in a process of its own as all the others."""
    match what:
        case "drain":
            return raw.drain(path, int(arguments[0]))
        case "commits":
            return raw.commit_times(path, int(arguments[0]))
        case "postgres drain":
            return await raw_postgres.drain(path, int(arguments[0]))
        case "postgres commits":
            return await raw_postgres.commit_times(path, int(arguments[0]))
        case _:
            raise ValueError(what)


ROLES: dict[str, Callable[..., Coroutine[Any, Any, Any]]] = {
    role.__name__: role for role in (worker, fill, enqueue, enqueue_postgres, memory, bare_tasks, produce, ages, plain)
}


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop of uvloop, as ``litestar queues run`` has it."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        print(json.dumps(runner.run(ROLES[sys.argv[1]](*sys.argv[2:]))))
