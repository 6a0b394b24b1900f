"""In: claims that are still worked on. Out: longer leases, progress, and word of what to stop."""

from __future__ import annotations

from datetime import timedelta

import pytest

from litestar_queues.backends.base import QueueBackend
from litestar_queues.ids import new_id
from litestar_queues.outcomes import Completed, Failed
from litestar_queues.records import Held, Renewal
from tests.builders import NOON, FakeClock, make_error, make_record
from tests.contract.laws import WORKER, claim, claim_one, enqueue, finish, get, held, ids_of


async def renew(backend: QueueBackend, *claims: Held, lease: float = 60) -> Renewal:
    renewal = await backend.renew_many(claims, lease=lease)
    return Renewal(list(renewal.lost), list(renewal.cancelled))


async def test_every_held_lease_runs_from_now(backend: QueueBackend, clock: FakeClock) -> None:
    await backend.enqueue_many([make_record() for _ in range(3)])
    claims = await claim(backend, lease=60)
    clock.advance(50)
    assert await renew(backend, *map(held, claims), lease=30) == Renewal([], [])
    records = await backend.get_many(ids_of(claims))
    assert {record.lease_until for record in records.values()} == {NOON + timedelta(seconds=80)}


async def test_a_renewed_record_is_not_rescued(backend: QueueBackend, clock: FakeClock) -> None:
    await enqueue(backend)
    one = await claim_one(backend, lease=10)
    clock.advance(9)
    await renew(backend, held(one), lease=10)
    clock.advance(9)
    assert list(await backend.rescue_many(limit=9, max_lost_leases=3)) == []
    clock.advance(1)
    assert len(await backend.rescue_many(limit=9, max_lost_leases=3)) == 1


async def test_a_lease_that_ran_out_but_was_not_rescued_yet_can_be_renewed(
    backend: QueueBackend, clock: FakeClock
) -> None:
    await enqueue(backend)
    one = await claim_one(backend, lease=10)
    clock.advance(11)
    assert await renew(backend, held(one)) == Renewal([], [])
    assert list(await backend.rescue_many(limit=9, max_lost_leases=3)) == []


async def test_what_is_held_no_more_is_lost_and_stays_as_it_is(backend: QueueBackend, clock: FakeClock) -> None:
    await backend.enqueue_many([make_record() for _ in range(3)])
    ended, taken, kept = await claim(backend, lease=10)
    await finish(backend, ended, Completed(None))
    clock.advance(5)
    await renew(backend, held(kept), lease=60)
    clock.advance(5)
    await backend.rescue_many(limit=9, max_lost_leases=3)
    other = await claim_one(backend, worker_id="other:1", lease=20)
    assert other.id == taken.id
    stranger = Held(new_id(), 1)
    renewal = await renew(backend, held(ended), held(taken), held(kept), stranger, lease=99)
    assert sorted(renewal.lost) == sorted([ended.id, taken.id, stranger.id])
    assert renewal.cancelled == []
    assert (await get(backend, taken.id)).lease_until == NOON + timedelta(seconds=30)
    assert (await get(backend, ended.id)).lease_until is None


async def test_a_renewal_tells_which_records_were_asked_to_stop(backend: QueueBackend) -> None:
    await backend.enqueue_many([make_record(), make_record()])
    first, second = await claim(backend)
    await backend.cancel_many([first.id], include_running=True)
    for _ in range(2):
        assert await renew(backend, held(first), held(second), lease=90) == Renewal([], [first.id])
    assert (await get(backend, first.id)).lease_until == NOON + timedelta(seconds=90)


async def test_nothing_held_is_nothing_renewed(backend: QueueBackend) -> None:
    assert await renew(backend) == Renewal([], [])


async def test_a_worker_learns_of_requests_about_its_own_running_records(backend: QueueBackend) -> None:
    await backend.enqueue_many([make_record(), make_record()])
    mine = (await claim(backend, limit=1))[0]
    others = await claim_one(backend, worker_id="other:1")
    await enqueue(backend, delay=60)
    assert list(await backend.cancel_requests(WORKER)) == []
    await backend.cancel_many([mine.id, others.id], include_running=True)
    assert list(await backend.cancel_requests(WORKER)) == [mine.id]
    assert list(await backend.cancel_requests("other:1")) == [others.id]
    await finish(backend, mine, Completed(None))
    assert list(await backend.cancel_requests(WORKER)) == []


async def test_the_latest_progress_is_kept(backend: QueueBackend) -> None:
    record_id = await enqueue(backend)
    one = await claim_one(backend)
    assert (await get(backend, record_id)).progress is None
    await backend.save_progress({held(one): b'{"current":1}'})
    await backend.save_progress({held(one): '{"current":2,"message":"größer"}'.encode()})
    assert (await get(backend, record_id)).progress == {"current": 2, "message": "größer"}
    await finish(backend, one, Completed(None))
    assert (await get(backend, record_id)).progress == {"current": 2, "message": "größer"}


async def test_progress_of_stale_claims_is_ignored(backend: QueueBackend) -> None:
    await backend.enqueue_many([make_record(), make_record()])
    ended, running = await claim(backend)
    await finish(backend, ended, Completed(None))
    await backend.save_progress(
        {
            held(ended): b'{"current":1}',
            Held(running.id, running.token + 1): b'{"current":2}',
            Held(new_id(), 1): b"{}",
            held(running): b'{"current":3}',
        }
    )
    assert (await get(backend, ended.id)).progress is None
    assert (await get(backend, running.id)).progress == {"current": 3}


async def test_no_progress_is_no_change(backend: QueueBackend) -> None:
    await backend.save_progress({})


@pytest.mark.parametrize("lease", [0.5, 3600.25])
async def test_leases_are_kept_to_the_microsecond(backend: QueueBackend, lease: float) -> None:
    await enqueue(backend)
    one = await claim_one(backend)
    await renew(backend, held(one), lease=lease)
    assert (await get(backend, one.id)).lease_until == NOON + timedelta(seconds=lease)


async def test_progress_does_not_outlive_a_retry_by_hand(backend: QueueBackend) -> None:
    record_id = await enqueue(backend)
    one = await claim_one(backend)
    await backend.save_progress({held(one): b'{"current":1}'})
    await finish(backend, one, Failed(make_error()))
    await backend.retry_many([record_id])
    assert (await get(backend, record_id)).progress is None
