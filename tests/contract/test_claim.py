"""In: a worker's demand. Out: due records, each held once, in the order of the law."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest

from litestar_queues.backends.base import QueueBackend
from litestar_queues.outcomes import Released
from litestar_queues.records import CANARY_QUEUE, Claim, ClaimBatch
from litestar_queues.status import TaskStatus
from tests.builders import NOON, FakeClock, make_record
from tests.contract.laws import WORKER, assert_balanced, claim, claim_one, enqueue, finish, get, ids_of, status_of


async def ask(backend: QueueBackend, *queues: str, limit: int = 100) -> ClaimBatch:
    return await backend.claim_many(worker_id=WORKER, queues=queues, limit=limit, lease=60)


@pytest.mark.parametrize("limit", [1, 7, 100])
@pytest.mark.parametrize("seed", range(3))
async def test_claims_come_by_priority_then_due_time_then_id(
    backend: QueueBackend, clock: FakeClock, seed: int, limit: int
) -> None:
    dice = random.Random(seed)
    records = [
        make_record(
            queue=dice.choice(["a", "b", "c"]),
            priority=dice.choice([-1, 0, 0, 5]),
            scheduled_at=NOON + timedelta(seconds=dice.choice([-60, -1, 0, 10, 20])),
        )
        for _ in range(60)
    ]
    dice.shuffle(records)
    await backend.enqueue_many(records)
    clock.advance(20)
    order = [record.id for record in sorted(records, key=lambda it: (-it.priority, it.scheduled_at, it.id))]
    found = []
    while claims := await claim(backend, limit=limit):
        found += ids_of(claims)
    assert found == order


async def test_a_claim_carries_what_a_run_needs(backend: QueueBackend, clock: FakeClock) -> None:
    record_id = await enqueue(
        backend,
        task="resize",
        payload=b'[[1],{"a":"b"}]',
        queue="images",
        priority=2,
        max_attempts=4,
        timeout=2.5,
        metadata=b'{"m":1}',
        backoff=b'{"base":1}',
        execution_backend="local",
        execution_profile="big",
        schedule="nightly",
    )
    clock.advance(1.5)
    one = await claim_one(backend)
    assert one == Claim(
        id=record_id,
        token=one.token,
        task="resize",
        queue="images",
        payload=b'[[1],{"a":"b"}]',
        attempt=1,
        max_attempts=4,
        timeout=2.5,
        metadata=b'{"m":1}',
        backoff=b'{"base":1}',
        execution_backend="local",
        execution_profile="big",
        schedule="nightly",
        waited=1.5,
    )


async def test_a_claim_without_options_carries_none(backend: QueueBackend) -> None:
    await enqueue(backend)
    one = await claim_one(backend)
    assert one[7:13] == (None,) * 6
    assert one.waited == 0.0


async def test_a_claimed_record_runs_under_a_lease(backend: QueueBackend, clock: FakeClock) -> None:
    record_id = await enqueue(backend)
    clock.advance(5)
    await claim_one(backend, lease=30)
    record = await get(backend, record_id)
    assert record.status is TaskStatus.RUNNING
    assert record.worker_id == WORKER
    assert record.attempt == 1
    assert record.started_at == NOON + timedelta(seconds=5)
    assert record.lease_until == NOON + timedelta(seconds=35)


async def test_each_claim_has_a_fresh_token(backend: QueueBackend) -> None:
    await enqueue(backend)
    tokens = set()
    for _ in range(5):
        one = await claim_one(backend)
        tokens.add(one.token)
        await finish(backend, one, Released())
    assert len(tokens) == 5
    assert all(0 < token < 2**63 for token in tokens)


async def test_a_held_record_is_not_claimed_again(backend: QueueBackend) -> None:
    await enqueue(backend)
    assert len(await claim(backend)) == 1
    assert await claim(backend) == []


async def test_workers_at_once_share_the_records_out(backend: QueueBackend) -> None:
    records = [make_record(queue=f"q{n % 4}") for n in range(200)]
    await backend.enqueue_many(records)
    batches = await asyncio.gather(*(claim(backend, limit=9, worker_id=f"w:{n}") for n in range(30)))
    found = [one.id for claims in batches for one in claims]
    assert len(found) == 200
    assert set(found) == {record.id for record in records}


async def test_a_claim_takes_no_more_than_its_limit(backend: QueueBackend) -> None:
    await backend.enqueue_many([make_record(queue=f"q{n % 3}") for n in range(10)])
    assert [len(await claim(backend, limit=4)) for _ in range(4)] == [4, 4, 2, 0]


async def test_only_the_named_queues_are_claimed(backend: QueueBackend) -> None:
    a, b, _ = [await enqueue(backend, queue=queue) for queue in ("a", "b", "c")]
    assert await claim(backend, "nothing") == []
    assert ids_of(await claim(backend, "b", "b")) == [b]
    assert ids_of(await claim(backend, "a", "b", "nothing")) == [a]


async def test_every_queue_means_every_queue_but_the_canarys(backend: QueueBackend) -> None:
    canary = await enqueue(backend, queue=CANARY_QUEUE)
    other = await enqueue(backend, queue="any")
    assert ids_of(await claim(backend)) == [other]
    assert ids_of(await claim(backend, CANARY_QUEUE)) == [canary]


async def test_the_canarys_queue_may_be_named_beside_others(backend: QueueBackend) -> None:
    canary = await enqueue(backend, queue=CANARY_QUEUE)
    other = await enqueue(backend, queue="any")
    assert ids_of(await claim(backend, "any", CANARY_QUEUE)) == [canary, other]


# delayed records


async def test_a_delayed_record_is_claimable_from_its_due_time_on(backend: QueueBackend, clock: FakeClock) -> None:
    record_id = await enqueue(backend, delay=10)
    clock.advance(9.999999)
    assert await claim(backend) == []
    clock.advance(0.000001)
    one = await claim_one(backend)
    assert (one.id, one.waited) == (record_id, 0.0)


async def test_a_delayed_record_that_is_due_goes_by_its_priority(backend: QueueBackend, clock: FakeClock) -> None:
    early = await enqueue(backend)
    urgent = await enqueue(backend, delay=10, priority=1)
    clock.advance(10)
    assert ids_of(await claim(backend)) == [urgent, early]


async def test_a_record_waits_from_its_due_time(backend: QueueBackend, clock: FakeClock) -> None:
    await enqueue(backend, delay=10)
    clock.advance(14)
    assert (await claim_one(backend)).waited == 4.0


async def test_a_claim_tells_when_the_next_delayed_record_is_due(backend: QueueBackend, clock: FakeClock) -> None:
    assert await ask(backend) == ClaimBatch([], None) or (await ask(backend)).next_due_in is None
    await backend.enqueue_many([make_record(delay=30), make_record(delay=20, queue="b"), make_record()])
    batch = await ask(backend)
    assert (len(batch.claims), batch.next_due_in) == (1, 20.0)
    clock.advance(5)
    assert (await ask(backend)).next_due_in == 15.0
    clock.advance(15)
    batch = await ask(backend)
    assert (len(batch.claims), batch.next_due_in) == (1, 10.0)


async def test_the_next_due_time_is_that_of_the_asked_queues(backend: QueueBackend) -> None:
    await backend.enqueue_many(
        [make_record(queue="a", delay=10), make_record(queue="b", delay=20), make_record(queue=CANARY_QUEUE, delay=5)]
    )
    assert (await ask(backend)).next_due_in == 10.0
    assert (await ask(backend, "b")).next_due_in == 20.0
    assert (await ask(backend, "b", CANARY_QUEUE)).next_due_in == 5.0
    assert (await ask(backend, "c")).next_due_in is None


async def test_a_full_batch_says_ask_again_rather_than_when(backend: QueueBackend) -> None:
    await backend.enqueue_many([make_record(), make_record(delay=10)])
    assert (await ask(backend, limit=1)).next_due_in is None
    assert (await ask(backend, limit=1)).next_due_in == 10.0


async def test_a_cancelled_delayed_record_is_not_waited_for(backend: QueueBackend) -> None:
    first, _ = await enqueue(backend, delay=10), await enqueue(backend, delay=20)
    await backend.cancel_many([first])
    assert (await ask(backend)).next_due_in == 20.0


# expired records


async def test_an_expired_record_is_cancelled_instead(backend: QueueBackend, clock: FakeClock) -> None:
    record_id = await enqueue(backend, expires_in=10)
    clock.advance(10)
    assert await claim(backend) == []
    record = await get(backend, record_id)
    assert record.status is TaskStatus.CANCELLED
    assert record.error == "expired before a worker could start it"
    assert record.completed_at == NOON + timedelta(seconds=10)
    assert (record.attempt, record.started_at, record.worker_id) == (0, None, None)
    await assert_balanced(backend)


async def test_a_record_is_started_until_the_moment_it_expires(backend: QueueBackend, clock: FakeClock) -> None:
    record_id = await enqueue(backend, expires_in=10)
    clock.advance(9.999999)
    assert (await claim_one(backend)).id == record_id


async def test_a_delayed_record_that_expired_before_it_was_due_is_cancelled(
    backend: QueueBackend, clock: FakeClock
) -> None:
    record_id = await enqueue(backend, delay=20, expires_in=10)
    clock.advance(15)
    assert await claim(backend) == []
    clock.advance(5)
    assert await claim(backend) == []
    assert await status_of(backend, record_id) is TaskStatus.CANCELLED


async def test_expired_records_take_no_place_in_a_batch(backend: QueueBackend, clock: FakeClock) -> None:
    expired = [make_record(expires_in=1, priority=n % 3, queue=f"q{n % 2}") for n in range(7)]
    alive = [make_record(priority=1) for _ in range(3)]
    await backend.enqueue_many([*expired, *alive])
    clock.advance(1)
    assert ids_of(await claim(backend, limit=3)) == [record.id for record in alive]
    assert await claim(backend) == []
    records = await backend.get_many([record.id for record in expired])
    assert {record.status for record in records.values()} == {TaskStatus.CANCELLED}
    await assert_balanced(backend)


async def test_however_many_expired_the_next_living_record_is_reached(backend: QueueBackend, clock: FakeClock) -> None:
    await backend.enqueue_many([make_record(expires_in=1) for _ in range(100)])
    alive = await enqueue(backend)
    clock.advance(1)
    batch = await ask(backend, limit=1)
    while not batch.claims:
        assert batch.next_due_in == 0.0
        batch = await ask(backend, limit=1)
    assert ids_of(batch.claims) == [alive]
    assert (await backend.statistics()).cancelled == 100
