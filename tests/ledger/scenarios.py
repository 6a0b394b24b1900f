"""In: nothing. Out: what is played, as data."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.ledger import faults
from tests.ledger.stage import Stage
from tests.ledger.stores import small_disk

__all__ = ("OUTAGE", "SCENARIOS", "Scenario")

OUTAGE = ("the store cannot be reached", "the store is reached again")
DEAF = ("wake-ups do not arrive", "wake-ups arrive again")
RESCUED = "litestar_queues_records_rescued_total"
BOTH, POSTGRES = ("sqlite", "postgres"), ("postgres",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One fault on one or both stores."""

    fault: Callable[[Stage], None]
    stores: tuple[str, ...] = BOTH
    workers: int = 2
    producers: int = 2
    says: tuple[str, ...] = ()
    """What the workers' logs must say, at its start and at its end."""
    moves: str | None = None
    """The metric that must have moved, summed over the workers alive at the end."""
    disk: int | None = None
    """MiB of a disk of its own for the store."""
    rescues: bool = True
    """Records may be rescued; else all are given back."""
    many: bool = False
    """It is not one outage but several."""
    pooler: bool = False
    before: Callable[[Stage], None] | None = None
    needs: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As the command line calls it."""
        return self.fault.__name__.replace("_", "-")

    def lacks(self) -> list[str]:
        """What it needs and this machine does not have."""
        return [what for what in self.needs if not _THERE[what]()]


@cache
def _can_mount() -> bool:
    try:
        with small_disk(1):
            return True
    except (OSError, subprocess.SubprocessError):
        return False


_THERE: dict[str, Callable[[], bool]] = {
    "the right to mount a small disk": _can_mount,
    "the right to make a control group of memory": lambda: os.access("/sys/fs/cgroup/memory", os.W_OK),
    "libfaketime": lambda: any(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")),
    "pgbouncer": lambda: shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is not None,
}
_DISK, _MEMORY, _CLOCK, _POOLER = ((what,) for what in _THERE)

SCENARIOS = (
    Scenario(fault=faults.nothing, settings={"completed_retention": 2}),
    Scenario(fault=faults.workers_die, workers=3, says=("taken back from worker",), moves=RESCUED),
    Scenario(fault=faults.workers_are_told_to_leave, workers=3, says=("drains:", "has drained"), rescues=False),
    Scenario(fault=faults.producers_die, producers=3),
    Scenario(fault=faults.zombies, says=("taken back from worker", "were lost"), moves=RESCUED),
    Scenario(fault=faults.blocked_loop, says=("taken back from worker", "the event loop stood still"), moves=RESCUED),
    Scenario(fault=faults.out_of_memory, says=("taken back from worker",), moves=RESCUED, needs=_MEMORY),
    Scenario(fault=faults.clock_jumps, stores=POSTGRES, before=faults.faked_clock, needs=_CLOCK),
    Scenario(fault=faults.server_restarts, stores=POSTGRES, says=OUTAGE + DEAF),
    Scenario(fault=faults.server_crashes, stores=POSTGRES, says=OUTAGE + DEAF),
    Scenario(fault=faults.failover, stores=POSTGRES, says=OUTAGE + DEAF),
    Scenario(fault=faults.connections_end, stores=POSTGRES, says=OUTAGE + DEAF, many=True),
    Scenario(fault=faults.pooler_restarts, stores=POSTGRES, says=OUTAGE, many=True, pooler=True, needs=_POOLER),
    Scenario(fault=faults.network_cut, stores=POSTGRES, says=OUTAGE + DEAF),
    Scenario(fault=faults.network_half_open, stores=POSTGRES, says=OUTAGE),
    Scenario(fault=faults.network_forgets, stores=POSTGRES, says=OUTAGE, many=True),
    Scenario(fault=faults.network_slow, stores=POSTGRES),
    Scenario(fault=faults.network_shuffled, stores=POSTGRES),
    Scenario(fault=faults.disk_full, stores=("sqlite",), disk=6, says=OUTAGE, needs=_DISK),
    Scenario(fault=faults.disk_full, stores=POSTGRES, disk=160, says=OUTAGE, needs=_DISK),
    Scenario(fault=faults.read_only, disk=160, says=OUTAGE, needs=_DISK),
)
