"""In: a function from a request to an answer. Out: a server for probes and scrapers, on asyncio alone.

It reads one request line a connection, answers, and hangs up; clients that are slow, many or rude cost next to nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

__all__ = ("Answer", "PlainServer", "Request")

_LONGEST_LINE = 4_096
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 503: "Service Unavailable"}


class Request(NamedTuple):
    """What a client asks for."""

    path: str
    """Without slashes at its ends."""
    query: Mapping[str, Sequence[str]]


class Answer(NamedTuple):
    """What it gets."""

    status: int
    text: str
    kind: str = "text/plain"


class PlainServer:
    """Answers GET requests.

    Args:
        answer: From a request to its answer; it bounds its own time.
        usage: The answer to what is no GET request.
        patience: Seconds that a client has for its request, and again for reading the answer.
        most_clients: Others are hung up on until places are free.
    """

    def __init__(
        self,
        answer: Callable[[Request], Awaitable[Answer]],
        *,
        usage: str,
        patience: float = 5.0,
        most_clients: int = 32,
    ) -> None:
        self._answer = answer
        self._usage = usage
        self._patience = patience
        self._most_clients = most_clients
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @asynccontextmanager
    async def serve(self, host: str, port: int) -> AsyncIterator[int]:
        """Serve until the block ends, then hang up on everybody; gives the port.

        Raises:
            OSError: The address cannot be used.
        """
        server = await asyncio.start_server(self._accept, host, port, limit=_LONGEST_LINE)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            clients = dict(self._clients)
            for client, writer in clients.items():
                client.cancel()
                writer.transport.abort()
            if hasattr(server, "abort_clients"):  # Python 3.13 also knows those that have only just been accepted
                server.abort_clients()
            # connections are closed in the next step of the loop, which may be its last
            await asyncio.wait([*clients, asyncio.ensure_future(asyncio.sleep(0))])

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # a task of our own: Python 3.11 logs a traceback for each of asyncio's that the end of the process cancels
        client = asyncio.create_task(self._serve(reader, writer))
        self._clients[client] = writer
        client.add_done_callback(self._hang_up)

    def _hang_up(self, client: asyncio.Task[None]) -> None:
        self._clients.pop(client).close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) > self._most_clients:
            return
        try:
            async with asyncio.timeout(self._patience):
                request = _read(await reader.readline())
            answer = Answer(400, self._usage) if request is None else await self._answer(request)
            async with asyncio.timeout(self._patience):
                writer.write(_response(answer))
                await writer.drain()
        except (TimeoutError, OSError, ValueError):  # too slow, gone, or a line without end
            writer.transport.abort()


def _read(line: bytes) -> Request | None:
    words = line.decode("latin-1").split()
    if len(words) < 2 or words[0] != "GET":  # noqa: PLR2004 - a method and a target
        return None
    url = urlsplit(words[1])
    return Request(url.path.strip("/"), parse_qs(url.query))


def _response(answer: Answer) -> bytes:
    body = f"{answer.text.rstrip()}\n".encode()
    head = (
        f"HTTP/1.0 {answer.status} {_REASONS[answer.status]}\r\nContent-Type: {answer.kind}; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
