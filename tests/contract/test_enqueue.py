"""In: new records. Out: they are there, whole, or none of them is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import datetime, timedelta, timezone
from typing import overload

import pytest

from litestar_queues.backends.base import QueueBackend
from litestar_queues.errors import InvalidArgumentError
from litestar_queues.ids import new_id
from litestar_queues.outcomes import Completed
from litestar_queues.records import Enqueued, NewRecord, QueuedTaskRecord
from litestar_queues.status import TaskStatus
from tests.builders import NOON, make_record
from tests.contract.laws import assert_balanced, claim, enqueue, get, ids_of, run_one


async def test_answers_come_in_the_order_of_the_records(backend: QueueBackend) -> None:
    records = [make_record(priority=n % 3, key=f"k{n}" if n % 2 else None) for n in range(9)]
    assert list(await backend.enqueue_many(records)) == [Enqueued(record.id, created=True) for record in records]


async def test_a_record_is_read_back_as_it_was_minted(backend: QueueBackend) -> None:
    record_id = await enqueue(
        backend,
        task="resize",
        payload='[["grüße",1.5,null],{"size":[640,480]}]'.encode(),
        queue="images",
        priority=-7,
        max_attempts=4,
        timeout=2.5,
        key="resize:9",
        delay=90,
        expires_in=600,
        metadata=b'{"origin":"web"}',
        execution_backend="local",
        execution_profile="big",
        schedule="nightly",
    )
    assert await get(backend, record_id) == QueuedTaskRecord(
        id=record_id,
        task_name="resize",
        args=("grüße", 1.5, None),
        kwargs={"size": [640, 480]},
        queue="images",
        status=TaskStatus.SCHEDULED,
        priority=-7,
        max_attempts=4,
        timeout=2.5,
        key="resize:9",
        created_at=NOON,
        scheduled_at=NOON + timedelta(seconds=90),
        expires_at=NOON + timedelta(seconds=600),
        metadata={"origin": "web"},
        execution_backend="local",
        execution_profile="big",
        schedule="nightly",
    )


async def test_nothing_enqueued_is_nothing_answered(backend: QueueBackend) -> None:
    assert list(await backend.enqueue_many([])) == []


@pytest.mark.parametrize(
    ("options", "status", "due_at"),
    [
        ({}, TaskStatus.PENDING, NOON),
        ({"delay": 0.000001}, TaskStatus.SCHEDULED, NOON + timedelta(microseconds=1)),
        ({"scheduled_at": NOON + timedelta(days=1)}, TaskStatus.SCHEDULED, NOON + timedelta(days=1)),
        ({"scheduled_at": NOON}, TaskStatus.PENDING, NOON),
        ({"scheduled_at": NOON - timedelta(days=1)}, TaskStatus.PENDING, NOON - timedelta(days=1)),
        ({"scheduled_at": NOON, "delay": 60}, TaskStatus.PENDING, NOON),
    ],
)
async def test_a_record_is_scheduled_until_it_is_due(
    backend: QueueBackend, options: dict[str, object], status: TaskStatus, due_at: datetime
) -> None:
    record = await get(backend, await enqueue(backend, **options))
    assert (record.status, record.scheduled_at) == (status, due_at)


async def test_a_batch_with_one_impossible_record_writes_nothing(backend: QueueBackend) -> None:
    naive = NOON.replace(tzinfo=None)
    records = [make_record(), make_record(key="k"), make_record(scheduled_at=naive), make_record()]
    with pytest.raises(ValueError, match="time zone"):
        await backend.enqueue_many(records)
    assert await backend.get_many([record.id for record in records]) == {}
    assert (await backend.ledger())["enqueued"] == 0
    assert await enqueue(backend, key="k") != records[1].id


@pytest.mark.parametrize(
    "options",
    [
        {"scheduled_at": datetime.max.replace(tzinfo=timezone(-timedelta(hours=12)))},
        {"scheduled_at": datetime.min.replace(tzinfo=timezone(timedelta(hours=12)))},
        {"delay": 1e12},
    ],
    ids=["after 9999", "before 1", "delay"],
)
async def test_a_due_time_that_could_not_be_read_again_is_refused(
    backend: QueueBackend, options: dict[str, object]
) -> None:
    with pytest.raises(InvalidArgumentError, match="outside the years 1 to 9999"):
        await backend.enqueue_many([make_record(), make_record(**options)])
    assert (await backend.ledger())["enqueued"] == 0


@pytest.mark.parametrize("key", [None, "k"])
async def test_a_record_sent_again_is_written_once_and_answered_as_created(
    backend: QueueBackend, key: str | None
) -> None:
    record = make_record(key=key)
    first = await backend.enqueue_many([record])
    again = await backend.enqueue_many([record])
    assert list(first) == list(again) == [Enqueued(record.id, created=True)]
    assert (await backend.ledger())["enqueued"] == 1


@pytest.mark.parametrize("key", [None, "k"])
async def test_an_id_that_comes_twice_in_one_batch_is_written_once(backend: QueueBackend, key: str | None) -> None:
    record = make_record(key=key)
    other = make_record()
    answers = await backend.enqueue_many([record, other, record])
    assert list(answers) == [Enqueued(one.id, created=True) for one in (record, other, record)]
    assert ids_of(await claim(backend)) == sorted([record.id, other.id])
    assert (await backend.ledger())["enqueued"] == 2


async def test_a_record_sent_again_after_it_ran_does_not_run_again(backend: QueueBackend) -> None:
    record = make_record()
    await backend.enqueue_many([record])
    assert len(await claim(backend)) == 1
    assert await backend.enqueue_many([record]) == [Enqueued(record.id, created=True)]
    assert await claim(backend) == []


async def test_a_big_mixed_batch_is_written_whole(backend: QueueBackend) -> None:
    records = [
        make_record(queue=f"q{n % 3}", priority=n % 2, payload=b'[[%d,"%s"],{}]' % (n, b"x" * (n % 50)))
        for n in range(1300)
    ]
    await backend.enqueue_many(records)
    claims = await claim(backend, limit=2000)
    assert {one.id: one.payload for one in claims} == {record.id: record.payload for record in records}
    await assert_balanced(backend)


async def test_payloads_and_results_with_odd_characters_come_back_as_they_were(backend: QueueBackend) -> None:
    odd = '"a\\u0000b \\"quoted\\" \\\\ \\ud83d\\ude00 😀 \u2028"'.encode()
    payload = b"[[" + odd + b'],{"k":' + odd + b"}]"
    ids = [await run_one(backend, Completed(odd), payload=payload)]
    await backend.enqueue_many([make_record(payload=payload) for _ in range(3)])
    ids += [one.id for one in await claim(backend) if one.payload == payload]
    assert len(ids) == 4
    text = 'a\0b "quoted" \\ 😀 😀 \u2028'
    assert (await get(backend, ids[0])).result == text
    assert {(record.args, record.kwargs["k"]) for record in (await backend.get_many(ids)).values()} == {((text,), text)}


async def test_producers_at_once_lose_nothing(backend: QueueBackend) -> None:
    ids = await asyncio.gather(*(enqueue(backend, key=f"k{n}" if n % 5 == 0 else None) for n in range(300)))
    assert set(ids_of(await claim(backend, limit=1000))) == set(ids)


async def test_one_producers_refusal_is_not_its_neighbours(backend: QueueBackend) -> None:
    good, bad = make_record(), make_record(scheduled_at=NOON.replace(tzinfo=None))
    answers = await asyncio.gather(
        backend.enqueue_many([good]), backend.enqueue_many([bad]), backend.enqueue_many([]), return_exceptions=True
    )
    assert answers[0] == [Enqueued(good.id, created=True)]
    assert isinstance(answers[1], ValueError)
    assert set(await backend.get_many([good.id, bad.id])) == {good.id}


async def test_an_id_need_not_be_the_newest(backend: QueueBackend) -> None:
    early = new_id()
    late = await enqueue(backend)
    await enqueue(backend, id=early)
    assert ids_of(await claim(backend)) == [early, late]


class Lazy(Sequence[NewRecord]):
    """Records that are made as they are looked at: each once, by the caller alone."""

    def __init__(self, count: int, fails_at: int | None = None) -> None:
        self._count = count
        self._fails_at = fails_at
        self.made: list[NewRecord] = []

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> NewRecord: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[NewRecord]: ...

    def __getitem__(self, at: int | slice) -> NewRecord | Sequence[NewRecord]:
        end = at.indices(self._count)[1] if isinstance(at, slice) else range(self._count)[at] + 1
        while len(self.made) < end:
            if len(self.made) == self._fails_at:
                msg = "no such task"
                raise InvalidArgumentError(msg)
            self.made.append(make_record(task=CALLER.get()))
        return self.made[at]


CALLER = ContextVar("CALLER", default="nobody")


async def test_a_bulk_is_looked_at_within_the_context_of_its_caller(backend: QueueBackend) -> None:
    async def produce(name: str) -> Sequence[Enqueued]:
        CALLER.set(name)
        return await backend.enqueue_many(Lazy(2_500))

    one, other = await asyncio.gather(produce("one"), produce("other"))
    for name, answers in (("one", one), ("other", other)):
        assert len(answers) == 2_500
        found = await backend.get_many([answer.id for answer in (answers[0], answers[-1])])
        assert [record.task_name for record in found.values()] == [name] * 2
    assert (await backend.statistics()).pending == 5_000


async def test_where_a_record_behind_many_is_refused_none_is_stored(backend: QueueBackend) -> None:
    with pytest.raises(InvalidArgumentError, match="no such task"):
        await backend.enqueue_many(Lazy(2_500, fails_at=2_400))
    assert (await backend.statistics()).pending == 0
    assert [one.created for one in await backend.enqueue_many(Lazy(2_500))] == [True] * 2_500
    assert (await backend.statistics()).pending == 2_500
