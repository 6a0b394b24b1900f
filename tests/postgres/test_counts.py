"""In: workers in parallel. Out: no record held twice, and counts that are exact at any time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any
from uuid import UUID

from litestar_queues.backends.postgres import PostgresBackend
from litestar_queues.outcomes import Cancelled, Completed, Completion, Failed, Outcome, Released, Retried
from litestar_queues.records import Claim
from litestar_queues.status import TaskStatus
from tests.builders import make_error, make_record
from tests.contract.laws import assert_balanced, claim
from tests.postgres.conftest import Area

RECORDS = 5_000


async def test_two_backends_that_claim_in_parallel_never_hold_a_record_twice(area: Area) -> None:
    backends = [await area.open() for _ in range(2)]
    for _ in range(2):
        await backends[0].enqueue_many([make_record(queue=f"q{n % 3}", priority=n % 4) for n in range(RECORDS // 2)])
    held: list[UUID] = []

    async def work(backend: PostgresBackend, worker_id: str) -> None:
        while claims := await claim(backend, limit=random.randint(20, 200), worker_id=worker_id):
            held.extend(one.id for one in claims)
            done = [Completion(one.id, one.token, Completed(None)) for one in claims]
            assert await backend.finish_many(done) == []

    workers = [work(backend, f"worker-{n}:{m}") for n, backend in enumerate(backends) for m in range(2)]
    await asyncio.gather(*workers)
    assert len(held) == len(set(held)) == RECORDS
    assert (await backends[0].statistics()).completed == RECORDS
    await assert_balanced(backends[1])


async def test_of_two_that_finish_one_claim_one_is_refused(area: Area) -> None:
    backends = [await area.open() for _ in range(2)]
    await backends[0].enqueue_many([make_record() for _ in range(200)])
    claims = await claim(backends[0], limit=200)
    backwards = claims[::-1]
    refused = await asyncio.gather(
        *(backend.finish_many([Completion(one.id, one.token, Completed(None)) for one in half])
          for backend, half in zip(backends, (claims, backwards), strict=True))
    )  # fmt: skip
    assert sum(map(len, refused)) == 200
    assert (await backends[0].statistics()).completed == 200
    await assert_balanced(backends[0])


async def test_counts_that_are_folded_while_others_count_keep_their_sums(area: Area, admin: Any) -> None:
    backends = [await area.open() for _ in range(3)]
    working = True

    async def work(backend: PostgresBackend, worker_id: str) -> None:
        for _ in range(40):
            await backend.enqueue_many([make_record(queue=f"q{n}") for n in range(5)])
            claims = await claim(backend, limit=5, worker_id=worker_id)
            await backend.finish_many([Completion(one.id, one.token, Completed(None)) for one in claims])

    async def fold(backend: PostgresBackend) -> int:
        times = 0
        while working:
            await backend.prune_ticks(older_than=1e6, limit=1)
            statistics = await backend.statistics()
            assert 0 <= statistics.completed <= 600
            times += 1
        return times

    folding = [asyncio.ensure_future(fold(backend)) for backend in backends[:2]]
    await asyncio.gather(*(work(backend, f"w:{n}") for n, backend in enumerate(backends)))
    working = False
    assert all(times > 5 for times in await asyncio.gather(*folding))
    statistics = await backends[0].statistics()
    assert (statistics.total, statistics.running) == (600, 0)  # of what two claim at once, one may get less
    assert await admin.fetchval("select count(*) from lq_done") == statistics.completed > 500
    await assert_balanced(backends[0])


async def test_many_counts_become_one_row_each(backend: PostgresBackend, admin: Any) -> None:
    await admin.execute("insert into lq_count select 'q' || n % 2, 'completed', 1 from generate_series(1, 200) as n")
    await backend.prune_ticks(older_than=1e6, limit=1)
    assert await admin.fetchval("select count(*) from lq_count") == 200  # a few are no burden
    await admin.execute("insert into lq_count values ('q0', 'last_pruned_at', 7), ('q0', 'last_pruned_at', 9)")
    await backend.prune_ticks(older_than=1e6, limit=1)
    rows = {tuple(row) for row in await admin.fetch("select * from lq_count")}
    assert rows == {("q0", "completed", 100), ("q1", "completed", 100), ("q0", "last_pruned_at", 9)}


async def test_counts_are_exact_after_random_work(area: Area, admin: Any) -> None:
    backends = [await area.open() for _ in range(3)]

    async def work(backend: PostgresBackend, dice: random.Random, worker_id: str) -> None:
        for _ in range(30):
            queue = dice.choice("ab")
            keys = [dice.choice([None, None, f"k{dice.randrange(9)}"]) for _ in range(6)]
            records = [make_record(queue=queue, key=key, delay=dice.choice([0, 0, 60])) for key in keys]
            await backend.enqueue_many(records)
            claims = await claim(backend, limit=dice.randint(1, 8), worker_id=worker_id)
            await backend.finish_many([Completion(one.id, one.token, outcome_of(dice, one)) for one in claims])
            await backend.cancel_many([dice.choice(records).id], include_running=True)
            await backend.retry_many([one.id for one in claims[:2]])
            await backend.prune_many(dice.choice([TaskStatus.COMPLETED, TaskStatus.FAILED]), older_than=0, limit=2)
            await backend.rescue_many(limit=5, max_lost_leases=2)

    await asyncio.gather(*(work(backend, random.Random(n), f"w:{n}") for n, backend in enumerate(backends)))
    for queue in (None, "a", "b"):
        rows = await admin.fetch(
            """
            select status, count(*) from (
                select status, queue from lq_live union all select status, queue from lq_done
            ) as records where queue = $1 or $1 is null group by status
            """,
            queue,
        )
        there = Counter({row[0]: row[1] for row in rows})
        statistics = (await backends[0].statistics(queue)).as_dict()
        assert {name: statistics[name] for name in statistics if name != "total"} == {
            status.value: there[status.value] for status in TaskStatus
        }
    await assert_balanced(backends[0])


def outcome_of(dice: random.Random, one: Claim) -> Outcome:
    error = make_error()
    outcomes: list[Outcome] = [Completed(b"1"), Failed(error), Cancelled("no"), Released(), Retried(error, 0.0)]
    return dice.choice(outcomes)
