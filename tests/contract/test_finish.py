"""In: outcomes. Out: one write each, and none by a holder that holds no more."""

from __future__ import annotations

from datetime import timedelta

import pytest

from litestar_queues.backends.base import QueueBackend
from litestar_queues.ids import new_id
from litestar_queues.outcomes import Cancelled, Completed, Completion, Failed, Outcome, Released, Retried, Snoozed
from litestar_queues.records import AttemptError
from litestar_queues.status import TaskStatus
from tests.builders import NOON, FakeClock, make_error, make_record
from tests.contract.laws import (
    WORKER,
    assert_balanced,
    claim,
    claim_one,
    enqueue,
    finish,
    get,
    ids_of,
    run_one,
    status_of,
)

ERROR = make_error("no luck", traceback="Traceback ...")
OUTCOMES: list[Outcome] = [
    Completed(b"1"),
    Failed(ERROR),
    Retried(ERROR, 5),
    Snoozed("unknown task", 5),
    Cancelled("stopped"),
    Released(),
]


def name_of(outcome: Outcome) -> str:
    return type(outcome).__name__.lower()


async def test_a_completed_record_keeps_its_result_and_its_holder(backend: QueueBackend, clock: FakeClock) -> None:
    record_id = await enqueue(backend)
    one = await claim_one(backend)
    clock.advance(3)
    assert await finish(backend, one, Completed(b'{"rows":[1,2]}'))
    record = await get(backend, record_id)
    assert (record.status, record.result, record.error) == (TaskStatus.COMPLETED, {"rows": [1, 2]}, None)
    assert (record.completed_at, record.lease_until) == (NOON + timedelta(seconds=3), None)
    assert (record.attempt, record.worker_id) == (1, WORKER)


async def test_a_completed_record_without_a_result_has_none(backend: QueueBackend) -> None:
    assert (await get(backend, await run_one(backend, Completed(None)))).result is None


async def test_a_failed_record_keeps_its_error(backend: QueueBackend) -> None:
    record = await get(backend, await run_one(backend, Failed(ERROR)))
    assert (record.status, record.error) == (TaskStatus.FAILED, "ValueError: no luck")
    assert list(record.errors) == [AttemptError(1, NOON, ERROR)]
    assert (record.completed_at, record.lease_until) == (NOON, None)


async def test_an_error_without_a_message_is_named_by_its_type(backend: QueueBackend) -> None:
    assert (await get(backend, await run_one(backend, Failed(make_error(""))))).error == "ValueError"


async def test_half_a_surrogate_pair_in_an_error_is_stored_in_words(backend: QueueBackend) -> None:
    record = await get(backend, await run_one(backend, Failed(make_error("\udcff", traceback="\ud800"))))
    assert record.error == "ValueError: \\udcff"
    assert record.errors[0].error == make_error("\\udcff", traceback="\\ud800")


async def test_a_nul_byte_in_an_error_is_spelled_out(backend: QueueBackend) -> None:
    record = await get(backend, await run_one(backend, Failed(make_error("a\0b"))))
    assert (record.error, record.errors[0].error.message) == ("ValueError: a\\x00b", "a\\x00b")


async def test_a_retried_record_waits_for_its_next_attempt(backend: QueueBackend, clock: FakeClock) -> None:
    record_id = await run_one(backend, Retried(ERROR, 8), max_attempts=2)
    record = await get(backend, record_id)
    assert (record.status, record.attempt) == (TaskStatus.SCHEDULED, 1)
    assert record.scheduled_at == NOON + timedelta(seconds=8)
    assert (record.error, record.lease_until, record.completed_at) == ("ValueError: no luck", None, None)
    assert await claim(backend) == []
    clock.advance(8)
    one = await claim_one(backend)
    assert (one.id, one.attempt) == (record_id, 2)


async def test_a_retry_without_delay_is_pending_at_once(backend: QueueBackend) -> None:
    record_id = await run_one(backend, Retried(ERROR, 0))
    assert await status_of(backend, record_id) is TaskStatus.PENDING
    assert (await claim_one(backend)).attempt == 2


async def test_each_failed_attempt_is_kept_oldest_first(backend: QueueBackend, clock: FakeClock) -> None:
    record_id = await enqueue(backend, max_attempts=3)
    errors = [make_error(f"luck {n}") for n in range(3)]
    for error, outcome in zip(errors, (Retried, Retried, Failed), strict=True):
        one = await claim_one(backend)
        clock.advance(1)
        assert await finish(backend, one, outcome(error) if outcome is Failed else Retried(error, 0))
    record = await get(backend, record_id)
    assert list(record.errors) == [
        AttemptError(n + 1, NOON + timedelta(seconds=n + 1), error) for n, error in enumerate(errors)
    ]


async def test_a_record_that_completes_in_the_end_has_no_error_but_its_history(backend: QueueBackend) -> None:
    record_id = await run_one(backend, Retried(ERROR, 0))
    assert await finish(backend, await claim_one(backend), Completed(b"1"))
    record = await get(backend, record_id)
    assert (record.status, record.error, len(record.errors)) == (TaskStatus.COMPLETED, None, 1)


async def test_a_snoozed_record_spends_no_attempt_and_says_why(backend: QueueBackend, clock: FakeClock) -> None:
    record_id = await run_one(backend, Snoozed("no task 'greet' here", 30))
    record = await get(backend, record_id)
    assert (record.status, record.attempt, record.lease_until) == (TaskStatus.SCHEDULED, 0, None)
    assert (record.error, list(record.errors)) == ("no task 'greet' here", [])
    assert record.scheduled_at == NOON + timedelta(seconds=30)
    clock.advance(30)
    assert (await claim_one(backend)).attempt == 1


async def test_a_snooze_without_delay_is_pending_at_once(backend: QueueBackend) -> None:
    assert await status_of(backend, await run_one(backend, Snoozed("later", 0))) is TaskStatus.PENDING


async def test_a_released_record_is_back_in_its_place_and_spends_no_attempt(
    backend: QueueBackend, clock: FakeClock
) -> None:
    first = await enqueue(backend)
    one = await claim_one(backend)
    clock.advance(1)
    second = await enqueue(backend)
    assert await finish(backend, one, Released())
    record = await get(backend, first)
    assert (record.status, record.attempt, record.lease_until) == (TaskStatus.PENDING, 0, None)
    assert (record.scheduled_at, record.error) == (NOON, None)
    claims = await claim(backend)
    assert ids_of(claims) == [first, second]
    assert [one.attempt for one in claims] == [1, 1]


async def test_a_release_leaves_the_error_of_the_attempt_before(backend: QueueBackend) -> None:
    record_id = await run_one(backend, Retried(ERROR, 0))
    assert await finish(backend, await claim_one(backend), Released())
    record = await get(backend, record_id)
    assert (record.attempt, record.error) == (1, "ValueError: no luck")


async def test_a_cancelled_run_says_why(backend: QueueBackend) -> None:
    record = await get(backend, await run_one(backend, Cancelled("stopped by its user")))
    assert (record.status, record.error) == (TaskStatus.CANCELLED, "stopped by its user")
    assert (record.completed_at, record.lease_until, list(record.errors)) == (NOON, None, [])


# what is not held


@pytest.mark.parametrize("outcome", OUTCOMES, ids=name_of)
async def test_a_finish_with_a_stale_token_changes_nothing(
    backend: QueueBackend, clock: FakeClock, outcome: Outcome
) -> None:
    record_id = await enqueue(backend, max_attempts=3)
    stale = await claim_one(backend, lease=1)
    clock.advance(1)
    await backend.rescue_many(limit=9, max_lost_leases=3)
    assert not await finish(backend, stale, outcome)
    current = await claim_one(backend, worker_id="other:1")
    before = await get(backend, record_id)
    assert not await finish(backend, stale, outcome)
    assert await get(backend, record_id) == before
    assert await finish(backend, current, Completed(b"2"))
    assert not await finish(backend, stale, outcome)
    assert (await get(backend, record_id)).result == 2
    await assert_balanced(backend)


@pytest.mark.parametrize("second", OUTCOMES, ids=name_of)
@pytest.mark.parametrize("first", OUTCOMES, ids=name_of)
async def test_a_claim_has_one_outcome(backend: QueueBackend, first: Outcome, second: Outcome) -> None:
    record_id = await enqueue(backend)
    one = await claim_one(backend)
    assert await finish(backend, one, first)
    before = await get(backend, record_id)
    assert not await finish(backend, one, second)
    assert await get(backend, record_id) == before


@pytest.mark.parametrize("outcome", OUTCOMES, ids=name_of)
async def test_within_one_batch_the_second_outcome_of_a_claim_is_refused(
    backend: QueueBackend, outcome: Outcome
) -> None:
    record_id = await enqueue(backend)
    one = await claim_one(backend)
    twice = [Completion(one.id, one.token, Completed(b"1")), Completion(one.id, one.token, outcome)]
    assert await backend.finish_many(twice) == [record_id]
    assert (await get(backend, record_id)).result == 1
    await assert_balanced(backend)


@pytest.mark.parametrize("outcome", OUTCOMES, ids=name_of)
async def test_an_unknown_record_is_refused(backend: QueueBackend, outcome: Outcome) -> None:
    stranger = new_id()
    assert await backend.finish_many([Completion(stranger, 1, outcome)]) == [stranger]


async def test_a_record_that_does_not_run_is_refused(backend: QueueBackend) -> None:
    record_id = await enqueue(backend)
    for token in (0, 1):
        assert await backend.finish_many([Completion(record_id, token, Completed(None))]) == [record_id]
    assert await status_of(backend, record_id) is TaskStatus.PENDING


async def test_a_mixed_batch_refuses_what_is_stale_and_writes_the_rest(backend: QueueBackend) -> None:
    await backend.enqueue_many([make_record(queue=f"q{n % 2}") for n in range(2 * len(OUTCOMES))])
    claims = await claim(backend)
    completions = [
        Completion(one.id, one.token + n % 2, outcome)
        for n, (one, outcome) in enumerate(zip(claims, [one for one in OUTCOMES for _ in "ab"], strict=True))
    ]
    refused = await backend.finish_many(completions)
    assert sorted(refused) == sorted(ids_of(claims[1::2]))
    expected = ["completed", "failed", "scheduled", "scheduled", "cancelled", "pending"]
    assert [(await status_of(backend, one.id)).value for one in claims[::2]] == expected
    assert {await status_of(backend, one.id) for one in claims[1::2]} == {TaskStatus.RUNNING}
    await assert_balanced(backend)


async def test_nothing_finished_is_nothing_refused(backend: QueueBackend) -> None:
    assert list(await backend.finish_many([])) == []


# asked to stop meanwhile


@pytest.mark.parametrize(
    ("outcome", "status", "error"),
    [
        (Completed(b"1"), TaskStatus.COMPLETED, None),
        (Failed(ERROR), TaskStatus.FAILED, "ValueError: no luck"),
        (Cancelled("stopped"), TaskStatus.CANCELLED, "stopped"),
        (Retried(ERROR, 5), TaskStatus.CANCELLED, "ValueError: no luck"),
        (Snoozed("unknown task", 5), TaskStatus.CANCELLED, "cancelled on request"),
        (Released(), TaskStatus.CANCELLED, "cancelled on request"),
    ],
    ids=lambda value: name_of(value) if isinstance(value, Outcome) else None,
)
async def test_a_record_that_was_asked_to_stop_does_not_run_again(
    backend: QueueBackend, outcome: Outcome, status: TaskStatus, error: str | None
) -> None:
    record_id = await enqueue(backend, max_attempts=3)
    one = await claim_one(backend)
    await backend.cancel_many([record_id], include_running=True)
    assert await finish(backend, one, outcome)
    record = await get(backend, record_id)
    assert (record.status, record.error, record.completed_at) == (status, error, NOON)
    assert await claim(backend) == []
    await assert_balanced(backend)
