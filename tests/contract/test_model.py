"""In: any history of records and schedules. Out: every store answers as the model does, step by step."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis.stateful import run_state_machine_as_test

from litestar_queues.backends.base import QueueBackend
from tests.contract.conftest import STORES
from tests.contract.model.machine import Life
from tests.properties import examples


@pytest.mark.parametrize(
    ("store", "plain", "deep"), [("memory", 25, 250), ("sqlite", 20, 120), ("asyncpg", 10, 50), ("psycopg", 5, 50)]
)
@pytest.mark.timeout(600)
def test_any_history_of_records_is_that_of_the_model(
    request: pytest.FixtureRequest, store: str, plain: int, deep: int
) -> None:
    class LifeInStore(Life):
        def make_store(self) -> Callable[[], QueueBackend]:
            return STORES[store](request, self.clock)

    run_state_machine_as_test(LifeInStore, settings=examples(plain, deep))
