"""In: pages of records, read while the records move on. Out: each record once, whatever happened between two pages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from litestar_queues.backends.base import QueueBackend
from litestar_queues.outcomes import Completed, Failed, Outcome, Retried
from litestar_queues.records import RecordFilter
from litestar_queues.status import TaskStatus
from tests.builders import FakeClock, make_error
from tests.contract.conftest import STORES
from tests.contract.laws import claim, enqueue, finish
from tests.properties import examples

Move = Callable[[QueueBackend, FakeClock], Awaitable[object]]


async def end_some(backend: QueueBackend, _: FakeClock) -> None:
    outcomes: list[Outcome] = [Completed(b"1"), Failed(make_error()), Retried(make_error(), 5)]
    for one, outcome in zip(await claim(backend, limit=3), outcomes, strict=False):
        await finish(backend, one, outcome)


async def cancel_some(backend: QueueBackend, _: FakeClock) -> None:
    waiting = await backend.list_records(RecordFilter(status=TaskStatus.PENDING, limit=2))
    await backend.cancel_many([one.id for one in waiting])


async def retry_all(backend: QueueBackend, _: FakeClock) -> None:
    await backend.retry_many([one.id for one in await backend.list_records(RecordFilter(limit=1000))])


async def lose_some(backend: QueueBackend, clock: FakeClock) -> None:
    await claim(backend, limit=2, lease=1)
    clock.advance(2)
    await backend.rescue_many(limit=10, max_lost_leases=2)


async def add_one(backend: QueueBackend, _: FakeClock) -> None:
    await enqueue(backend, queue="late")


async def collect(backend: QueueBackend, clock: FakeClock, moves: list[Move], which: RecordFilter) -> list[UUID]:
    """Read page after page, with one move after each."""
    seen: list[UUID] = []
    while True:
        last = seen[-1] if seen else None
        where = replace(which, after=last) if which.oldest_first else replace(which, before=last)
        page = await backend.list_records(where)
        seen += [record.id for record in page]
        if len(page) < which.limit:
            return seen
        if moves:
            await moves.pop()(backend, clock)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.timeout(300)
def test_each_record_is_on_one_page_whatever_happens_between_two(request: pytest.FixtureRequest, store: str) -> None:
    @examples(6, 30)
    @given(
        moves=st.lists(st.sampled_from([end_some, cancel_some, retry_all, lose_some, add_one]), max_size=12),
        count=st.integers(0, 12),
        limit=st.integers(1, 4),
        queue=st.sampled_from([None, "a"]),
        oldest_first=st.booleans(),
    )
    def paging(moves: list[Move], count: int, limit: int, queue: str | None, *, oldest_first: bool) -> None:
        clock = FakeClock()
        backend = STORES[store](request, clock)()

        async def read() -> None:
            await backend.open()
            try:
                ids = [await enqueue(backend, queue="ab"[at % 2]) for at in range(count)]
                wanted = [one for at, one in enumerate(ids) if queue in {None, "ab"[at % 2]}]
                which = RecordFilter(queue=queue, oldest_first=oldest_first, limit=limit)
                seen = await collect(backend, clock, list(moves), which)
                assert seen == sorted(set(seen), reverse=not oldest_first)
                assert [one for one in seen if one in ids] == sorted(wanted, reverse=not oldest_first)
            finally:
                await backend.close()

        asyncio.run(read())

    paging()
