"""In: a stage whose processes are busy. Out: one thing goes wrong, and is well again when the function returns."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import psycopg

from litestar_queues import QueueConfig
from litestar_queues.backends import create_backend
from litestar_queues.records import NewRecord
from tests.builders import make_record
from tests.ledger.proxy import Weather
from tests.ledger.stage import LEASE, Stage
from tests.ledger.stores import Postgres, fill

__all__ = (
    "blocked_loop", "clock_jumps", "connections_end", "disk_full", "failover", "network_cut", "network_forgets",
    "network_half_open", "network_shuffled", "network_slow", "nothing", "out_of_memory", "pooler_restarts",
    "producers_die", "read_only", "server_crashes", "server_restarts", "workers_are_told_to_leave", "workers_die",
    "zombies",
)  # fmt: skip


def nothing(stage: Stage) -> None:
    """All is well; a worker that starts late prunes what has ended by then."""
    stage.pause(2)
    stage.worker().starts()


# processes


def workers_die(stage: Stage) -> None:
    """``kill -9`` at random moments; each is replaced."""
    for _ in range(5):
        stage.pause(0.2, 1.0)
        stage.worker()
        stage.pick(stage.workers).kill()


def workers_are_told_to_leave(stage: Stage) -> None:
    """SIGTERM at random moments; what still runs after the drain is given back."""
    for _ in range(5):
        stage.pause(0.2, 1.0)
        stage.worker()
        leaving = stage.pick(stage.workers).terminate()
        if stage.random.random() < 0.5:
            stage.pause(0.1, 0.5)
            leaving.terminate()
        assert leaving.ends(30) in {0, 2, -signal.SIGTERM}, leaving.err


def producers_die(stage: Stage) -> None:
    """``kill -9`` and SIGTERM; each is replaced."""
    for number in range(6):
        stage.pause(0.2, 0.8)
        leaving = stage.pick(stage.producers)
        if number % 2:
            leaving.kill()
        else:
            assert leaving.terminate().ends(60) in {0, -signal.SIGTERM}, leaving.err
        stage.producer()


def zombies(stage: Stage) -> None:
    """Stop a worker for longer than its lease, and let it finish what others have taken over."""
    for _ in range(2):
        stopped = stage.send_worker(signal.SIGSTOP)
        stage.pause(LEASE + 2)
        stopped.send(signal.SIGCONT)
        stage.pause(1)


def blocked_loop(stage: Stage) -> None:
    """A task stops the event loop of its worker, and with it the renewal, for longer than the lease."""
    _enqueue(stage, "ledger.blocks", LEASE + 3)
    stage.until("a loop is blocked", (stage.folder / "blocked").exists)
    stage.pause(LEASE + 3)


def out_of_memory(stage: Stage) -> None:
    """The kernel kills the worker that takes more than its control group may have; it is replaced, as by Kubernetes."""
    with _memory_limit(stage, 250) as killed:
        _enqueue(stage, "ledger.hog", 400)
        stage.until("the kernel has killed a worker", killed)


def clock_jumps(stage: Stage) -> None:
    """The wall clock of one worker's host jumps an hour ahead, then an hour back."""
    clock = stage.folder / "clock"
    for offset in ("+3600", "-3600", "+0"):
        clock.write_text(offset, "utf-8")
        stage.pause(LEASE / 2 + 1)


def faked_clock(stage: Stage) -> None:
    """Start a worker whose wall clock is a file's; its monotonic clock goes on as everybody's."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    (stage.folder / "clock").write_text("+0", "utf-8")
    stage.worker(
        LD_PRELOAD=str(library), FAKETIME_TIMESTAMP_FILE=str(stage.folder / "clock"), FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1", DONT_FAKE_MONOTONIC="1",
    ).starts()  # fmt: skip


# the server


def server_restarts(stage: Stage) -> None:
    """A clean restart."""
    _postgres(stage).restart("fast", away=2)


def server_crashes(stage: Stage) -> None:
    """A crash, then recovery from its log."""
    _postgres(stage).restart("immediate", away=2)


def failover(stage: Stage) -> None:
    """The server dies, and its standby takes its place and address."""
    store = _postgres(stage)
    standby = store.add_standby()
    stage.pause(1)
    store.server.stop("immediate")
    stage.pause(1)
    standby.promote()
    store.proxy.target = standby.socket_folder
    store.ask("alter system reset synchronous_standby_names")
    store.ask("select pg_reload_conf()")


def connections_end(stage: Stage) -> None:
    """The server ends one connection after another, at any moment of any statement."""
    deadline = time.monotonic() + 5
    with psycopg.connect(f"host={_postgres(stage).server.socket_folder} user=postgres", autocommit=True) as admin:
        while time.monotonic() < deadline:
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name like 'litestar-queues%' order by random() limit 1"
            )
            stage.pause(0.005, 0.08)


def pooler_restarts(stage: Stage) -> None:
    """pgbouncer ends, and comes back after a while."""
    for _ in range(2):
        _postgres(stage).pooler.restart(away=stage.random.uniform(0.2, 1.5))
        stage.pause(1.5)


# the network


def network_cut(stage: Stage) -> None:
    """Connections are reset, and new ones refused."""
    _weather(stage, "cut", 3)


def network_half_open(stage: Stage) -> None:
    """Nothing is answered, nothing is refused; what was connected then never hears anything again."""
    _weather(stage, "silent", 5)


def network_slow(stage: Stage) -> None:
    """Each piece takes 50 to 150 ms, each way."""
    _weather(stage, "slow", 5)


def network_shuffled(stage: Stage) -> None:
    """What different connections say overtakes each other."""
    _weather(stage, "shuffled", 5)


def network_forgets(stage: Stage) -> None:
    """The server does what it is asked, and one answer in twenty is lost on its way, with the connection."""
    _weather(stage, "forgetful", 6)


# the disk


def disk_full(stage: Stage) -> None:
    """Not a byte is left; then there is room again."""
    ballast = fill(stage.disk)
    stage.pause(4)
    ballast.unlink()
    if isinstance(stage.store, Postgres):
        stage.store.start_again()


def read_only(stage: Stage) -> None:
    """The store takes no writes: the server's setting, or a disk that comes back read-only with everybody restarted."""
    if isinstance(stage.store, Postgres):
        _read_only_server(stage.store, "on")
        stage.pause(3)
        _read_only_server(stage.store, "off")
        return
    for process in (*stage.workers, *stage.producers):
        process.kill()
    workers, producers = len(stage.workers), len(stage.producers)
    stage.workers.clear()
    stage.producers.clear()
    _remount(stage.disk, "ro")
    for _ in range(workers):
        stage.worker()
    for _ in range(producers):
        stage.producer()
    stage.until("workers have noticed", lambda: all("cannot be reached" in one.err for one in stage.workers))
    _remount(stage.disk, "rw")


def _read_only_server(store: Postgres, value: str) -> None:
    store.ask(f"alter system set default_transaction_read_only = {value}")
    store.ask("select pg_reload_conf()")


def _remount(disk: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", str(disk)], check=True)


def _weather(stage: Stage, weather: Weather, seconds: float) -> None:
    proxy = _postgres(stage).proxy
    proxy.set(weather)
    stage.pause(seconds)
    proxy.set("fair")


def _postgres(stage: Stage) -> Postgres:
    return cast("Postgres", stage.store)


def _enqueue(stage: Stage, name: str, *arguments: object) -> None:
    """Store a record for the tasks of this fault."""
    asyncio.run(_store(stage.store.url, make_record(task=name, payload=json.dumps([arguments, {}]).encode())))


async def _store(url: str, record: NewRecord) -> None:
    backend = create_backend(QueueConfig(queue_backend=url))
    await backend.open()
    await backend.enqueue_many([record])
    await backend.close()


@contextlib.contextmanager
def _memory_limit(stage: Stage, mebibytes: int) -> Iterator[Callable[[], bool]]:
    """Put all workers into control groups of their own; gives a function that replaces and tells of a killed one."""
    groups = []
    for process in stage.workers:
        group = Path(f"/sys/fs/cgroup/memory/lq-ledger-{process.pid}")
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(mebibytes * 2**20), "utf-8")
        (group / "cgroup.procs").write_text(str(process.pid), "utf-8")
        groups.append(group)

    def killed() -> bool:
        dead = [process for process in stage.workers if not process.is_running]
        for process in dead:
            assert process.ends() == -signal.SIGKILL
            stage.workers.remove(process)
            stage.worker()
        return bool(dead)

    try:
        yield killed
    finally:
        for group in groups:
            for pid in (group / "cgroup.procs").read_text("utf-8").split():
                (group.parent / "cgroup.procs").write_text(pid, "utf-8")
            group.rmdir()
