"""In: a worker and an exporter, and clients that mean them ill. Out: probes answered, memory and files bounded."""

from __future__ import annotations

import asyncio
import time

import psutil
import pytest

from tests.process.attacks import ATTACKS, under_attack
from tests.process.harness import Process, Site, free_port, until

pytestmark = pytest.mark.process

MOST_MEMORY = 24 * 2**20
"""Bytes by which a process may grow, whatever it is sent."""
MOST_FILES = 300
"""Places that the server has, and what the process has open anyway."""
PROBES = 4


async def ask(port: int, path: str) -> tuple[str, float]:
    """Give the status line, and the seconds that it took."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: pod\r\n\r\n".encode())
    line = await reader.readline()
    await reader.read()
    writer.close()
    return line.decode().strip(), time.monotonic() - began


async def survive(process: Process, *, port: int, probe: str, scrape: str) -> None:
    """Attack in every way, one after another, and ask meanwhile."""
    inside = psutil.Process(process.pid)
    await ask(port, scrape)
    memory, files = inside.memory_info().rss, inside.num_fds()
    for name in ATTACKS:
        times = []
        with under_attack(name, port):
            await asyncio.sleep(0.3)
            for path in (probe, scrape) * PROBES:
                line, seconds = await asyncio.wait_for(ask(port, path), 5)
                assert line == "HTTP/1.0 200 OK", f"{name}: {path}"
                times.append(seconds)
                assert inside.num_fds() < MOST_FILES, name
                assert inside.memory_info().rss < memory + MOST_MEMORY, name
                await asyncio.sleep(0.02)
        *_, almost_slowest, slowest = sorted(times)
        print(f"{name}: {almost_slowest:.3f} s, {slowest:.3f} s, {(inside.memory_info().rss - memory) / 2**20:+.1f} MB")
        assert almost_slowest < 1.0, name  # one may have met with whatever else this machine does
    until("everybody is gone", lambda: inside.num_fds() <= files + 1)
    assert "Traceback" not in process.err


@pytest.fixture
def worker(site: Site) -> tuple[Process, int]:
    port = free_port()
    return site.worker(health_port=port).starts(), port


@pytest.fixture
def exporter(site: Site) -> tuple[Process, int]:
    for number in range(3):
        site.enqueue("greet", queue=f"queue-{number}")
    port = free_port()
    return site.queues("exporter", "--port", str(port)).says("exporter listens"), port


def test_a_worker_under_attack_answers_its_probes(worker: tuple[Process, int]) -> None:
    process, port = worker
    asyncio.run(survive(process, port=port, probe="/live", scrape="/metrics"))
    assert process.stops() == 0


def test_an_exporter_under_attack_answers_its_scrapes(exporter: tuple[Process, int]) -> None:
    process, port = exporter
    asyncio.run(survive(process, port=port, probe="/healthz", scrape="/metrics"))
    assert process.stops() == 0
