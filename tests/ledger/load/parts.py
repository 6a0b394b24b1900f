"""In: a size. Out: what became of the load, in lines; an assertion where a record is missing."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from litestar_queues import EnqueueSpec, QueueService
from tests.ledger.load import tasks
from tests.ledger.load.stand import Stand, flat, percentiles, stand

__all__ = ("PARTS", "tasks")

_BATCH = 1_000
_MOST_WAITING = 20_000
"""The producer holds back above it, as an app does, so that waits tell of the workers and not of the pile."""
_MIX = {"load.waits": 10_000, "load.thread": 5_000, "load.fails": 2_000, "load.late": 1_000, "load.slow": 400}


def million(size: float) -> list[str]:
    """1,000,000 records of mixed tasks and 200 schedules through 4 workers."""
    total = int(1_000_000 * size)
    names = [name for name, share in _MIX.items() for _ in range(int(share * size))]
    names += ["load.fast"] * (total - len(names))
    random.Random(1).shuffle(names)
    with stand() as stage:
        stage.call(QueueService.get_statistics)
        stage.crew(4, LEDGER_SCHEDULES="200")
        stage.watch_memory()
        began = time.monotonic()

        async def produce(service: QueueService) -> None:
            for start in range(0, total, _BATCH):
                specs = [EnqueueSpec(name, (start + i,)) for i, name in enumerate(names[start : start + _BATCH])]
                await service.enqueue_many(specs)
                while (await service.get_statistics()).pending > _MOST_WAITING:  # noqa: ASYNC110 - the store is asked
                    await asyncio.sleep(0.02)

        stage.call(produce)
        stage.done(within=500)
        took = time.monotonic() - began
        ended = stage.ask("select task, status, count(*) from lq_done where schedule is null group by 1, 2 order by 1")
        ticks = stage.ask("select count(*), (select count(*) from lq_tick) from lq_done where schedule is not null")[0]
        fates = {(task, status): number for task, status, number in ended}
        expected = {name: names.count(name) for name in {*_MIX, "load.fast"}}
        bad = ("load.fails", "load.late")
        assert fates == {(name, "failed" if name in bad else "completed"): n for name, n in expected.items() if n}
        assert stage.ask("select count(*) from lq_done where attempt > max_attempts or lost_leases > 0")[0][0] == 0
        return [
            f"{total:,} records in {took:.0f} s ({total / took:,.0f} a second), 0 lost: {fates}",
            f"{percentiles(stage, 'schedule is null')}; of the ticks {percentiles(stage, 'schedule is not null')}",
            f"200 schedules: {ticks[1]:,} ticks, {ticks[0]:,} of their records have ended; {flat(stage.memory)}",
        ]


def due_at_once(size: float) -> list[str]:
    """100,000 delayed records that are due in one second."""
    total = int(100_000 * size)
    with stand() as stage:

        async def produce(service: QueueService) -> datetime:
            due = datetime.now(UTC) + timedelta(seconds=10 + 20 * size)
            for start in range(0, total, 10_000):
                count = min(10_000, total - start)
                await service.enqueue_many(
                    [
                        EnqueueSpec("load.fast", (i,), scheduled_at=due + timedelta(seconds=i / count))
                        for i in range(count)
                    ]
                )
            return due

        stage.call(QueueService.get_statistics)
        stage.crew(2)
        due = stage.call(produce)
        assert datetime.now(UTC) < due, "they were due before all were there"
        stage.done(within=300)
        ((last, early),) = stage.ask(
            "select extract(epoch from max(completed_at) - min(due_at)), count(*) filter (where started_at < due_at) "
            "from lq_done"
        )
        assert stage.ask("select count(*) from lq_done where status = 'completed'")[0][0] == total
        assert early == 0
        return [f"{total:,} records due within a second had all ended {last:.1f} s later; {percentiles(stage)}"]


def unique_keys(size: float) -> list[str]:
    """10,000 keys for which 8 producers contend."""
    total, producers = int(10_000 * size), 8
    with stand() as stage:

        async def contend(_: QueueService) -> int:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(asyncio.to_thread(_produce_keys, stage, total, one)) for one in range(8)]
            return sum(task.result() for task in tasks)

        stage.call(QueueService.get_statistics)
        stage.crew(2)
        began = time.monotonic()
        made = stage.call(contend)
        took = time.monotonic() - began
        stage.done(within=100)
        stored, keys = stage.ask("select count(*), count(distinct key) from lq_done")[0]
        assert made == stored == keys == total, (made, stored, keys)
        calls = producers * total
        return [f"{calls:,} enqueues of {total:,} keys by {producers} producers: {stored:,} records, {took:.0f} s"]


def _produce_keys(stage: Stand, total: int, seed: int) -> int:
    numbers = list(range(total))
    random.Random(seed).shuffle(numbers)

    async def produce(service: QueueService) -> int:
        made = 0
        for start in range(0, total, 100):
            some = numbers[start : start + 100]
            specs = [EnqueueSpec("load.once", (n,), key=f"key {n}") for n in some]
            made += sum(result.created for result in await service.enqueue_many(specs))
        return made

    return int(stage.call(produce))


def unfair_queues(size: float) -> list[str]:
    """One queue of 50,000 records and 49 of 20, filled after it."""
    lines = []
    for what, priority, queues in (
        ("one priority", 0, ("", "")),
        ("small queues with priority 1", 1, ("", "")),
        ("a worker of their own for the small queues", 0, ("", ",".join(_SMALL))),
    ):
        with stand(worker_max_concurrency=20) as stage:
            stage.call(QueueService.get_statistics)
            for names in queues:
                stage.crew(1, LITESTAR_QUEUES_WORKER_QUEUES=names)
            stage.call(lambda service: _fill_queues(service, int(50_000 * size), priority))  # noqa: B023 - called now
            stage.done(within=200)
            small, big = percentiles(stage, "queue <> 'big'"), percentiles(stage, "queue = 'big'")
            lines.append(f"{what}: small queues {small}; the big one {big}")
    return lines


_SMALL = [f"small{i}" for i in range(49)]


async def _fill_queues(service: QueueService, big: int, priority: int) -> None:
    await service.enqueue_many([EnqueueSpec("load.waits", (i,), queue="big") for i in range(big)])
    for queue in _SMALL:
        specs = [EnqueueSpec("load.waits", (i,), queue=queue, priority=priority) for i in range(20)]
        await service.enqueue_many(specs)


def big_payloads(size: float) -> list[str]:
    """1 MB of arguments in each of 500 records."""
    total, text = int(500 * size), "x" * 1_000_000
    with stand(worker_max_concurrency=10) as stage:
        stage.call(QueueService.get_statistics)
        stage.crew(2)
        stage.watch_memory()

        async def produce(service: QueueService) -> None:
            for _ in range(total):
                await service.enqueue("load.measures", text)

        began = time.monotonic()
        stage.call(produce)
        stage.done(within=300)
        took = time.monotonic() - began
        right = stage.ask("select count(*) from lq_done where result = '1000000'")[0][0]
        assert right == total
        return [f"{total} records of 1 MB in {took:.0f} s ({total / took:.0f} a second), 0 lost; {flat(stage.memory)}"]


PARTS: dict[str, Callable[[float], list[str]]] = {
    part.__name__.replace("_", "-"): part for part in (million, due_at_once, unique_keys, unfair_queues, big_payloads)
}
