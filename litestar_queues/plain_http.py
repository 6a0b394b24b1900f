"""In: a function from a request to an answer. Out: a server for probes and scrapers, on asyncio alone.

It reads one request a connection, answers, and hangs up. Clients that are slow, many or rude cost next to nothing: who
comes late takes the place of who has been silent for longest, so that a probe is answered whatever others do.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

__all__ = ("Answer", "PlainServer", "Request")

logger = logging.getLogger("litestar_queues.http")

_LONGEST_LINE = 8_192
_MOST_HEADERS = 100
_REQUEST = re.compile(rb"GET (\S+)(?: HTTP/\d\.\d)?\s*\n")
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
_BROKEN = "no answer could be made; the log of the process says why"


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
        most_clients: Where so many are connected, the next one takes the place of the one that has been silent for
            longest; of the one whose answer takes longest, where none is silent.
    """

    def __init__(
        self,
        answer: Callable[[Request], Awaitable[Answer]],
        *,
        usage: str,
        patience: float = 5.0,
        most_clients: int = 256,
    ) -> None:
        self._answer = answer
        self._usage = usage
        self._patience = patience
        self._most_clients = most_clients
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._silent: dict[asyncio.Task[None], None] = {}
        """Those whose request is not there yet; like all dicts, in the order in which they came."""

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
            clients = tuple(self._clients)
            for client in clients:
                self._cut(client)
            if hasattr(server, "abort_clients"):  # Python 3.13 also knows those that have only just been accepted
                server.abort_clients()
            # connections are closed in the next step of the loop, which may be its last
            await asyncio.wait([*clients, asyncio.ensure_future(asyncio.sleep(0))])

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= self._most_clients:
            self._cut(next(iter(self._silent or self._clients)))
        # else a connection could stay open for ever, for the rest of an answer that its client does not read
        writer.transport.set_write_buffer_limits(0)
        # a task of our own: Python 3.11 logs a traceback for each of asyncio's that the end of the process cancels
        client = asyncio.create_task(self._serve(reader, writer))
        self._clients[client] = writer
        self._silent[client] = None
        client.add_done_callback(self._forget)

    def _cut(self, client: asyncio.Task[None]) -> None:
        """Hang up now, whatever is under way."""
        self._clients[client].transport.abort()
        client.cancel()
        self._forget(client)

    def _forget(self, client: asyncio.Task[None]) -> None:
        self._silent.pop(client, None)
        writer = self._clients.pop(client, None)
        if writer is not None:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = asyncio.current_task()
        assert client is not None
        try:
            async with asyncio.timeout(self._patience):
                request = await _read(reader)
            self._silent.pop(client, None)
            answer = Answer(400, self._usage) if request is None else await self._ask(request)
            async with asyncio.timeout(self._patience):
                writer.write(_response(answer))
                await writer.drain()
        except OSError:  # gone, too slow (TimeoutError), or a head without end
            writer.transport.abort()

    async def _ask(self, request: Request) -> Answer:
        try:
            return await self._answer(request)
        except Exception:  # who asks must not be left without a word
            logger.exception("no answer could be made to GET %r", request.path)
            return Answer(500, _BROKEN)


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """Read a request to the end of its head; ``None``: it is none.

    Raises:
        ConnectionAbortedError: The head is longer than anybody needs.
    """
    line = await _read_line(reader)
    request = _parse(line)
    if request is not None and b" HTTP/" in line:
        # who hangs up on a client that still sends its head may take the answer away from it
        for _ in range(_MOST_HEADERS):
            if not (await _read_line(reader)).strip():
                return request
        raise ConnectionAbortedError
    return request


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:  # longer than _LONGEST_LINE
        raise ConnectionAbortedError from None


def _parse(line: bytes) -> Request | None:
    found = _REQUEST.fullmatch(line)
    if found is None:
        return None
    try:
        url = urlsplit(found[1].decode("latin-1"))
    except ValueError:  # such as http://[
        return None
    return Request(url.path.strip("/"), parse_qs(url.query))


def _response(answer: Answer) -> bytes:
    body = f"{answer.text.rstrip()}\n".encode()
    head = (
        f"HTTP/1.0 {answer.status} {_REASONS[answer.status]}\r\nContent-Type: {answer.kind}; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
