"""In: commands. Out: what starting each of them costs beyond what was there before."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.lab import ROOT, Lab, median, until
from tests.bench.report import Result

__all__ = ("PHOTOS", "run_commands", "run_import")

PHOTOS = ROOT / "docs/examples/photos"
_SCRIPTS = Path(sys.executable).parent


def run_import(lab: Lab) -> list[Result]:
    """The import, beside a bare interpreter."""
    python = sys.executable
    bare, ours = _costs(lab, [[python, "-c", "pass"], [python, "-c", "import litestar_queues"]], wall)
    return [
        Result(
            what="import litestar_queues",
            value=ours,
            unit="ms",
            limit=bare,
            limit_is="ms, bare interpreter",
            target=40.0,
            judged=max(ours - bare, 0.1),
            target_is="below 40 ms more",
            better="less",
        )
    ]


def run_commands(lab: Lab) -> list[Result]:
    """The probe beside a running worker, and the status beside Litestar's own command."""
    health = lab.path(".json")
    env = {
        "LITESTAR_QUEUES_QUEUE_BACKEND": f"sqlite:///{lab.path('.db')}",
        "LITESTAR_QUEUES_HEALTH_FILE": str(health),
        "PHOTOS_DATA": str(lab.path("")),
    }
    litestar = str(_SCRIPTS / "litestar")
    with lab.process([litestar, "queues", "run"], cwd=PHOTOS, env=env) as process:
        until(health.exists, process)
        time.sleep(1)
        probe = [str(_SCRIPTS / "litestar-queues-probe"), "scheduler-health"]
        bare, probed = _costs(lab, [[sys.executable, "-c", "pass"], probe], cpu, env)
        version, status = _costs(lab, [[litestar, "version"], [litestar, "queues", "status"]], wall, env)
    return [
        Result(
            what="litestar-queues-probe scheduler-health, CPU",
            value=probed,
            unit="ms",
            limit=bare,
            limit_is="ms, bare interpreter",
            target=60.0,
            target_is="below 60 ms",
            better="less",
        ),
        Result(
            what="litestar queues status",
            value=status,
            unit="ms",
            limit=version,
            limit_is="ms, litestar version",
            target=100.0,
            judged=max(status - version, 0.1),
            target_is="below 100 ms more",
            better="less",
        ),
    ]


Cost = Callable[[Sequence[str], dict[str, str]], float]


def _costs(lab: Lab, commands: Sequence[Sequence[str]], cost: Cost, env: dict[str, str] | None = None) -> list[float]:
    """Medians of the commands, taken in turns."""
    taken: list[list[float]] = [[] for _ in commands]
    for _ in range(lab.repeats * lab.size(7, 5)):
        for command, values in zip(commands, taken, strict=True):
            values.append(cost(command, os.environ | (env or {})))
    return [median(values) for values in taken]


def wall(command: Sequence[str], env: dict[str, str]) -> float:
    """Milliseconds by the clock."""
    began = time.perf_counter()
    subprocess.run(command, cwd=PHOTOS, env=env, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000


def cpu(command: Sequence[str], env: dict[str, str]) -> float:
    """Milliseconds of computing."""
    with subprocess.Popen(command, cwd=PHOTOS, env=env, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return (usage.ru_utime + usage.ru_stime) * 1000
