"""In: any history of records and schedules. Out: every store answers as the model does, step by step."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis.stateful import run_state_machine_as_test

from litestar_queues.backends.base import QueueBackend
from tests.contract.conftest import STORES
from tests.contract.model.machine import Life
from tests.properties import examples


@pytest.mark.parametrize("store", STORES)
@pytest.mark.timeout(600)
def test_any_history_of_records_is_that_of_the_model(request: pytest.FixtureRequest, store: str) -> None:
    class LifeInStore(Life):
        def make_store(self) -> Callable[[], QueueBackend]:
            return STORES[store](request, self.clock)

    run_state_machine_as_test(LifeInStore, settings=examples(10, 60))
