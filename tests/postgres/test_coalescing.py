"""In: calls that come together. Out: few commits, each call's own answer, and one statement for finish and claim."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from litestar_queues.backends.postgres import PostgresBackend, drivers
from litestar_queues.errors import InvalidArgumentError
from litestar_queues.outcomes import Completed, Completion
from litestar_queues.records import Enqueued
from tests.builders import make_record
from tests.contract.laws import WORKER, assert_balanced, claim
from tests.postgres.conftest import Area
from tests.worker.harness import Shift, Shop, until

Sent = list[str]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch, driver: str) -> Sent:
    """The first word of every statement that our connections send."""
    kind: Any = {"asyncpg": drivers._AsyncpgConnection, "psycopg": drivers._PsycopgConnection}[driver]
    run, sent = kind.run, list[str]()

    async def noted(self: Any, sql: str, *arguments: Any) -> Any:
        sent.append(sql.split(maxsplit=1)[0])
        return await run(self, sql, *arguments)

    monkeypatch.setattr(kind, "run", noted)
    return sent


async def test_concurrent_enqueues_share_commits_and_each_gets_its_own_answer(
    backend: PostgresBackend, area: Area, sent: Sent
) -> None:
    records = [make_record() for _ in range(200)]
    answers = await asyncio.gather(*(backend.enqueue_many([record]) for record in records))
    assert [list(answer) for answer in answers] == [[Enqueued(record.id, created=True)] for record in records]
    assert len(sent) <= 5
    assert (await backend.statistics()).pending == 200


async def test_concurrent_enqueues_of_all_kinds_share_transactions(backend: PostgresBackend, sent: Sent) -> None:
    calls = [
        backend.enqueue_many([make_record(queue=f"q{number % 3}", key=f"k{number % 50}" if number % 2 else None)])
        for number in range(200)
    ]
    answers = await asyncio.gather(*calls)
    assert sent.count("begin") == sent.count("commit") <= 3
    created = sum(answer.created for (answer,) in answers)
    assert created == 100 + 25
    assert (await backend.statistics()).pending == created
    await assert_balanced(backend)


async def test_a_bad_one_among_them_fails_alone(backend: PostgresBackend) -> None:
    records = [make_record(queue="\0" if number == 70 else "default") for number in range(100)]
    records[30] = make_record(payload=b"\xff")
    answers = await asyncio.gather(*(backend.enqueue_many([record]) for record in records), return_exceptions=True)
    bad = [number for number, answer in enumerate(answers) if isinstance(answer, BaseException)]
    assert bad == [30, 70]
    for number in bad:
        error = answers[number]
        assert isinstance(error, InvalidArgumentError)
        assert "a value cannot be stored" in str(error)
    assert (await backend.statistics()).pending == 98


async def test_a_call_of_several_records_is_made_whole_or_not_at_all(backend: PostgresBackend) -> None:
    bad = [make_record(), make_record(key="k"), make_record(queue="\0")]
    good = [make_record(), make_record(key="l")]
    others = [backend.enqueue_many([make_record()]) for _ in range(5)]
    calls = [backend.enqueue_many(bad), *others, backend.enqueue_many(good)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(answer, InvalidArgumentError) for answer in answers] == [True, *[False] * 6]
    assert (await backend.statistics()).pending == 7


async def test_each_call_returns_only_after_its_own_commit(backend: PostgresBackend, area: Area) -> None:
    other = await area.connect()
    seen: list[bool] = []

    async def enqueue_and_look() -> None:
        record = make_record()
        await backend.enqueue_many([record])
        async with looking:
            seen.append(await other.fetchval("select exists (select from lq_live where id = $1)", record.id))

    looking = asyncio.Lock()
    await asyncio.gather(*(enqueue_and_look() for _ in range(100)))
    assert seen == [True] * 100


async def test_a_finish_and_the_next_claim_share_one_statement(backend: PostgresBackend, sent: Sent) -> None:
    await backend.enqueue_many([make_record() for _ in range(20)])
    claims = await claim(backend, limit=10)
    done = [Completion(one.id, one.token, Completed(None)) for one in claims]
    sent.clear()
    refused, again = await asyncio.gather(backend.finish_many(done), claim(backend, limit=10))
    assert (refused, len(again)) == ([], 10)
    assert len(sent) == 1


async def test_finishes_that_come_together_share_one_statement(backend: PostgresBackend, sent: Sent) -> None:
    await backend.enqueue_many([make_record() for _ in range(20)])
    claims = await claim(backend)
    sent.clear()
    calls = [backend.finish_many([Completion(one.id, one.token, Completed(None))]) for one in claims]
    stale = backend.finish_many([Completion(claims[0].id, claims[0].token + 1, Completed(None))])
    assert await asyncio.gather(*calls, stale) == [*[[]] * 20, [claims[0].id]]
    assert len(sent) <= 2
    await assert_balanced(backend)


async def test_a_bad_claim_does_not_hurt_the_finish_that_came_with_it(backend: PostgresBackend) -> None:
    await backend.enqueue_many([make_record()])
    (one,) = await claim(backend)
    finishing = backend.finish_many([Completion(one.id, one.token, Completed(None))])
    refused, error = await asyncio.gather(finishing, claim(backend, "\0"), return_exceptions=True)
    assert refused == []
    assert isinstance(error, InvalidArgumentError)
    assert (await backend.statistics()).completed == 1


async def test_claims_of_two_workers_in_one_process_do_not_mix(backend: PostgresBackend) -> None:
    for queue in ("a", "b"):
        await backend.enqueue_many([make_record(queue=queue) for _ in range(10)])
    mine, theirs = await asyncio.gather(claim(backend, "a"), claim(backend, "b", worker_id="other:1"))
    assert ({one.queue for one in mine}, {one.queue for one in theirs}) == ({"a"}, {"b"})
    records = await backend.get_many([one.id for one in (*mine, *theirs)])
    assert {record.queue: record.worker_id for record in records.values()} == {"a": WORKER, "b": "other:1"}


async def test_a_busy_worker_needs_far_less_than_a_statement_a_task(area: Area, sent: Sent) -> None:
    tasks = 1_000
    async with Shop(backend=area.backend(), worker_max_concurrency=100, initialize_schedules=False) as shop:
        ran: list[bool] = []
        shop.task(lambda: ran.append(True), name="greet")
        await shop.backend.enqueue_many([make_record() for _ in range(tasks)])
        async with Shift(shop) as shift:
            await until(lambda: len(ran) == tasks)
            await shift.drain()
        assert (await shop.backend.statistics()).completed == tasks
    assert len(sent) < tasks / 4
