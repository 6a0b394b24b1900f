"""In: minutes. Out: one long scenario in which one fault follows another, in an order that the seed decides."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.ledger import faults
from tests.ledger.scenarios import Scenario
from tests.ledger.stage import Stage

__all__ = ("mixture",)

_BY_STORE: dict[str, tuple[Callable[[Stage], None], ...]] = {
    "sqlite": (faults.workers_die, faults.workers_are_told_to_leave, faults.producers_die, faults.zombies),
    "postgres": (
        faults.workers_die,
        faults.workers_are_told_to_leave,
        faults.producers_die,
        faults.zombies,
        faults.server_restarts,
        faults.server_crashes,
        faults.connections_end,
        faults.network_cut,
        faults.network_half_open,
        faults.network_forgets,
        faults.network_slow,
        faults.network_shuffled,
        faults.read_only,
    ),
}
_BREATH = 3.0


def mixture(minutes: float) -> Scenario:
    """The scenario."""

    def everything(stage: Stage) -> None:
        ends_at = time.monotonic() + minutes * 60
        while time.monotonic() < ends_at:
            stage.random.choice(_BY_STORE[stage.store.kind])(stage)
            stage.pause(0, _BREATH)

    return Scenario(fault=everything, workers=3, producers=3, settings={"completed_retention": 30})
