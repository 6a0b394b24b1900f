"""In: a few records that fit among many that do not. Out: all of them, by looks none of which goes far."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from litestar_queues.backends.base import QueueBackend
from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.outcomes import Cancelled, Completed, Failed, Outcome
from litestar_queues.records import RecordFilter
from litestar_queues.status import TaskStatus
from tests.builders import make_error
from tests.contract.laws import enqueue, run_one

ENDINGS: dict[TaskStatus, Outcome] = {
    TaskStatus.COMPLETED: Completed(None),
    TaskStatus.FAILED: Failed(make_error()),
    TaskStatus.CANCELLED: Cancelled("stopped"),
}


async def fill(backend: QueueBackend) -> list[UUID]:
    """Ended and waiting records by turns, of which every fifth is of the task that is looked for."""
    ids = []
    for at in range(20):
        task = "rare" if at % 5 == 2 else "common"
        outcome = list(ENDINGS.values())[at % 3]
        made = await (run_one(backend, outcome, task=task) if at % 2 else enqueue(backend, task=task, queue="later"))
        ids += [made] if task == "rare" else []
    return ids


async def look(backend: QueueBackend, which: RecordFilter, count: int) -> tuple[list[UUID], list[UUID]]:
    """What is found by looks at so many records each, and where these end."""
    found: list[UUID] = []
    ends: list[UUID] = []
    while bound := await backend.page_bound(which, count):
        found += [record.id for record in await backend.list_records(which.reaching(bound))]
        ends.append(bound)
        which = replace(which, after=bound) if which.oldest_first else replace(which, before=bound)
    return found + [record.id for record in await backend.list_records(which)], ends


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 100])
async def test_looks_that_follow_each_other_find_everything_once(
    backend: QueueBackend, count: int, *, oldest_first: bool
) -> None:
    wanted = await fill(backend)
    found, ends = await look(backend, RecordFilter(task="rare", oldest_first=oldest_first), count)
    assert found == sorted(wanted, reverse=not oldest_first)
    assert ends == sorted(set(ends), reverse=not oldest_first)
    if not isinstance(backend, MemoryBackend):  # to which it makes no difference
        assert (not ends) == (count == 100)


@pytest.mark.parametrize("oldest_first", [False, True])
async def test_a_look_passes_over_no_more_records_than_it_may(backend: QueueBackend, *, oldest_first: bool) -> None:
    await fill(backend)
    which = RecordFilter(oldest_first=oldest_first)
    for _ in range(2):
        bound = await backend.page_bound(replace(which, task="rare"), 4)
        if isinstance(backend, MemoryBackend):  # it goes through all of its records at any rate
            assert bound is None
            return
        assert bound is not None
        seen = await backend.list_records(which.reaching(bound))
        assert 4 <= len(seen) <= 8  # of waiting and of ended ones, where these are apart
        assert seen[-1].id == bound
        which = replace(which, after=bound) if oldest_first else replace(which, before=bound)


@pytest.mark.parametrize("status", TaskStatus)
async def test_a_state_is_looked_through_by_itself(backend: QueueBackend, status: TaskStatus) -> None:
    await fill(backend)
    of_it = [record.id for record in await backend.list_records(RecordFilter(status=status))]
    found, _ = await look(backend, RecordFilter(status=status, task="rare"), 2)
    assert found == [one for one in of_it if one in await fit(backend, task="rare")]


@pytest.mark.parametrize("which", [{"key": "k"}, {"schedule": "nightly"}, {"status": TaskStatus.RUNNING}])
async def test_what_is_found_at_once_needs_no_end(backend: QueueBackend, which: dict[str, Any]) -> None:
    await fill(backend)
    assert await backend.page_bound(RecordFilter(**which), 1) is None


async def fit(backend: QueueBackend, **which: Any) -> list[UUID]:
    return [record.id for record in await backend.list_records(RecordFilter(**which))]


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("which", [{"key": "k"}, {"schedule": "nightly"}])
async def test_records_of_a_key_or_a_schedule_come_in_order_from_all_states(
    backend: QueueBackend, which: dict[str, Any], *, oldest_first: bool
) -> None:
    ids = []
    for outcome in [*ENDINGS.values(), None]:
        await run_one(backend)
        ids.append(await (enqueue(backend, **which) if outcome is None else run_one(backend, outcome, **which)))
    order = ids if oldest_first else ids[::-1]
    assert await fit(backend, **which, oldest_first=oldest_first) == order
    assert await fit(backend, **which, oldest_first=oldest_first, limit=2) == order[:2]
    turn = {"after": order[1]} if oldest_first else {"before": order[1]}
    assert await fit(backend, **which, oldest_first=oldest_first, **turn) == order[2:]
    assert await fit(backend, **which, oldest_first=oldest_first, task="another") == []
    for status, one in zip([*ENDINGS, TaskStatus.PENDING], ids, strict=True):
        assert await fit(backend, **which, oldest_first=oldest_first, status=status) == [one]
