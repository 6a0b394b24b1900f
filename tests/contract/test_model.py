"""In: any history of records and schedules. Out: every store answers as the model does, step by step."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.builders import FakeClock
from tests.contract.conftest import STORES
from tests.contract.model.life import Life
from tests.contract.model.steps import throw_step
from tests.properties import examples


@pytest.mark.parametrize(
    ("store", "plain", "deep"), [("memory", 40, 400), ("sqlite", 25, 150), ("asyncpg", 6, 30), ("psycopg", 4, 20)]
)
@pytest.mark.timeout(600)
def test_any_history_of_records_is_that_of_the_model(
    request: pytest.FixtureRequest, store: str, plain: int, deep: int
) -> None:
    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            clock = FakeClock()
            self.life = Life(clock, STORES[store](request, clock))

        @initialize(dice=st.randoms(use_true_random=True))
        def begin(self, dice: Random) -> None:
            self.life.begin(dice)

        @rule(dice=st.randoms(use_true_random=True))
        def step(self, dice: Random) -> None:
            name, arguments = throw_step(Life, dice)
            note(f"    {name}({arguments})")
            getattr(self.life, name)(**arguments)

        @invariant()
        def everything_reads_as_the_model_says(self) -> None:
            self.life.check()

        def teardown(self) -> None:
            self.life.close()

    run_state_machine_as_test(Machine, settings=examples(plain, deep, steps=30))
