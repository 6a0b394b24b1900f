"""In: a folder and a server. Out: authorities and certificates by openssl, and a door with TLS before the server."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

__all__ = ("Authority", "tls_door")

_SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")


class Authority:
    """A private certificate authority.

    Args:
        folder: For its files.
        name: Of the authority.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self.root = folder / f"{name}.crt"
        self._key = folder / f"{name}.key"
        self._openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", str(self._key), "-out", str(self.root),
        )  # fmt: skip

    def certify(self, host: str) -> ssl.SSLContext:
        """What a server needs that bears this name."""
        base = self._folder / f"{self._name}-{host}"
        key, request, certificate, names = (base.with_suffix(f".{end}") for end in ("key", "csr", "crt", "ext"))
        names.write_text(f"subjectAltName=DNS:{host}\n")
        self._openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-subj", f"/CN={host}", "-keyout", str(key), "-out", str(request),
        )  # fmt: skip
        self._openssl(
            "x509", "-req", "-in", str(request), "-CA", str(self.root), "-CAkey", str(self._key), "-CAcreateserial",
            "-days", "2", "-extfile", str(names), "-out", str(certificate),
        )  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context

    @staticmethod
    def _openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)


@asynccontextmanager
async def tls_door(socket_path: str, context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Take connections as a server with this certificate would, or as one without TLS; gives the port.

    The server of the tests is built without TLS, so its door is here: PostgreSQL's greeting, then TLS.
    """
    clients: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        me = asyncio.current_task()
        assert me is not None
        clients.add(me)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            if await reader.readexactly(8) != _SSL_REQUEST or context is None:
                writer.write(b"N")
                await writer.drain()
            else:
                writer.write(b"S")
                await writer.drain()
                await writer.start_tls(context)
                inner_reader, inner_writer = await asyncio.open_unix_connection(socket_path)
                await asyncio.wait(
                    [
                        asyncio.ensure_future(_pass_on(reader, inner_writer)),
                        asyncio.ensure_future(_pass_on(inner_reader, writer)),
                    ]
                )
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for client in clients:
            client.cancel()
        if clients:
            await asyncio.wait(clients, timeout=2)


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncio.CancelledError):
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
    target.close()
