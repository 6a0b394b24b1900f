"""In: more delayed records than one statement makes pending. Out: those that were due first, whatever their queue."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from litestar_queues.backends.postgres import work
from tests.builders import FakeClock
from tests.contract.laws import claim, enqueue
from tests.postgres.conftest import Area


@pytest.mark.parametrize("named", [(), ("a", "b")])
async def test_the_first_due_of_all_queues_are_made_pending_first(
    area: Area, named: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "_MOST_PROMOTED", 3)
    clock = FakeClock()
    backend = await area.open(clock=clock)
    late = [await enqueue(backend, queue="a", delay=20 + n) for n in range(5)]
    early = [await enqueue(backend, queue="b", delay=10 + n) for n in range(2)]
    clock.advance(60)
    assert [one.id for one in await claim(backend, *named, limit=3)] == [*early, late[0]]
