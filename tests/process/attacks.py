"""In: the name of an attack and a port. Out: clients that mean its server ill, in a process of their own.

``python -m tests.process.attacks slowloris 8080``
"""

from __future__ import annotations

import asyncio
import random
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ("ATTACKS", "under_attack")

ROOT = Path(__file__).parents[2]

Attack = Callable[[int], Awaitable[None]]

_ABREAST = 40
"""Attackers that work at a time."""


async def _connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


async def _hold(port: int, *parts: bytes, pause: float = 0.0) -> None:
    """Send the parts one by one, then wait until the server hangs up."""
    reader, writer = await _connect(port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        while await reader.read(65_536):
            pass
    finally:
        writer.close()


async def _idle_clients(port: int) -> None:
    """Eight connections at a time, on which nothing is ever said."""
    await asyncio.gather(*(_hold(port) for _ in range(8)), return_exceptions=True)


async def _slowloris(port: int) -> None:
    await _hold(port, b"GET /live HTTP/1.1\r\n", *[b"X-A: b\r\n"] * 10_000, pause=0.02)


async def _a_byte_at_a_time(port: int) -> None:
    await _hold(port, *[b"G"] * 10_000, pause=0.02)


async def _endless_header(port: int) -> None:
    await _hold(port, b"GET /live HTTP/1.1\r\nX-Header: " + b"x" * 1_000_000)


async def _endless_headers(port: int) -> None:
    await _hold(port, b"GET /live HTTP/1.1\r\n" + b"X-Header: x\r\n" * 80_000)


async def _endless_line(port: int) -> None:
    await _hold(port, b"GET /" + b"x" * 1_000_000)


async def _garbage(port: int) -> None:
    await _hold(port, random.randbytes(random.randrange(1, 10_000)))


async def _pipelining(port: int) -> None:
    await _hold(port, b"GET /metrics HTTP/1.1\r\n\r\n" * 5_000)


async def _half_closed(port: int) -> None:
    reader, writer = await _connect(port)
    writer.write_eof()
    await reader.read()
    writer.close()


async def _resets(port: int) -> None:
    """Ask, and be gone before the answer, without a good-bye."""
    _, writer = await _connect(port)
    writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
    writer.transport.abort()
    await asyncio.sleep(0)


async def _never_reads(port: int) -> None:
    """Ask for the biggest answer with next to no room for it, and let it lie."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_024)
    client.setblocking(False)
    with client:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", port))
        await loop.sock_sendall(client, b"GET /metrics HTTP/1.1\r\n\r\n")
        await asyncio.sleep(3600)


ATTACKS: dict[str, Attack] = {
    attack.__name__.strip("_"): attack
    for attack in (
        _idle_clients,
        _slowloris,
        _a_byte_at_a_time,
        _endless_header,
        _endless_headers,
        _endless_line,
        _garbage,
        _pipelining,
        _half_closed,
        _resets,
        _never_reads,
    )
}


@contextmanager
def under_attack(name: str, port: int) -> Iterator[None]:
    """Attack until the block ends."""
    command = [sys.executable, "-m", __spec__.name, name, str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as attackers:
        assert attackers.stdout is not None
        attackers.stdout.readline()
        try:
            yield
        finally:
            attackers.kill()


async def main(name: str, port: int) -> None:
    """Attack until the process is ended."""

    async def again_and_again() -> None:
        while True:
            with suppress(OSError):
                await ATTACKS[name](port)
            await asyncio.sleep(0.005)

    print("ready", flush=True)
    await asyncio.gather(*(again_and_again() for _ in range(_ABREAST)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
