"""In: pinned names of other libraries. Out: each in an environment of its own, ready to fill and to drain."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench.lab import Lab

__all__ = ("PEERS", "Peer", "install", "install_into")

_HERE = Path(__file__).parent
_PINS = _HERE / "requirements-peers.txt"
_PATIENCE = 300


@dataclass(frozen=True, slots=True)
class Peer:
    """Another library on one of the stores."""

    name: str
    title: str
    packages: Sequence[str]
    script: str
    left: str
    """How many of its jobs are not durably finished."""
    number: int
    """Jobs in a drain."""
    store: str = "sqlite"
    folder: Path = Path()

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return self.folder / "bin" / "python"

    def command(self, role: str, *arguments: object) -> list[str]:
        """The command line of one of its processes."""
        return [str(self.python), "-E", str(_HERE / self.script), role, *map(str, arguments)]

    def call(self, role: str, *arguments: object) -> None:
        """Run one of its processes to the end."""
        subprocess.run(self.command(role, *arguments), check=True, capture_output=True, timeout=_PATIENCE)


PEERS = (
    Peer("huey", "huey", ("huey",), "peer_huey.py", "select count(*) from task", 10_000),
    Peer(
        "litestar-queues-0.12",
        "PyPI's litestar-queues 0.12",
        ("litestar-queues", "sqlspec", "aiosqlite", "uvloop"),
        "peer_litestar_queues.py",
        "select count(*) from queue_task where status in ('pending', 'scheduled', 'running')",
        1_000,
    ),
    Peer(
        "pgqueuer",
        "pgqueuer 1.6.0",
        ("pgqueuer", "asyncpg", "uvloop"),
        "peer_pgqueuer.py",
        "select count(*) from pgqueuer",
        30_000,
        "postgres",
    ),
    Peer(
        "procrastinate",
        "procrastinate 3.10.0",
        ("procrastinate", "psycopg", "psycopg-binary", "uvloop"),
        "peer_procrastinate.py",
        "select count(*) from procrastinate_jobs where status in ('todo', 'doing')",
        2_000,
        "postgres",
    ),
)


def install(lab: Lab, store: str = "sqlite") -> list[Peer]:
    """Make the environments that are wanted and not there yet; a peer that cannot be installed is left out."""
    ready = []
    for peer in PEERS if lab.peers else ():
        if peer.store != store:
            continue
        placed = replace(peer, folder=lab.cache / "peers" / peer.name)
        try:
            install_into(placed.folder, placed.packages)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"{peer.title} is left out, it cannot be installed: {error}", file=sys.stderr)
        else:
            ready.append(placed)
    return ready


def install_into(folder: Path, packages: Sequence[str]) -> None:
    """Make an environment with these packages as pinned, unless it is there already."""
    done = folder / "installed.txt"
    pins = _PINS.read_text("utf-8")
    if done.exists() and done.read_text("utf-8") == pins:
        return
    print(f"installing {', '.join(packages)} in {folder}", file=sys.stderr)
    venv.create(folder, with_pip=True, clear=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", str(_PINS), *packages], check=True, timeout=_PATIENCE)
    done.write_text(pins, "utf-8")
