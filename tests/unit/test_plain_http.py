"""In: requests as clients write them, well or ill. Out: one answer each, and a place for whoever comes next."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import psutil
import pytest

from litestar_queues.plain_http import Answer, PlainServer, Request
from tests.raw_http import ask
from tests.worker.harness import until_found

OK = "HTTP/1.0 200 OK"
BAD = "HTTP/1.0 400 Bad Request"


async def echo(request: Request) -> Answer:
    match request.path:
        case "big":
            return Answer(200, "x" * 1_000 * int(request.query["kilobytes"][0]))
        case "broken":
            raise ValueError("a fault of ours")
        case "slow":
            await asyncio.sleep(3600)
    return Answer(200, f"{request.path} {dict(request.query)}")


@asynccontextmanager
async def serving(host: str = "127.0.0.1", **options: Any) -> AsyncIterator[tuple[PlainServer, int]]:
    server = PlainServer(echo, usage="send GET", **options)
    async with asyncio.timeout(20), server.serve(host, 0) as port:
        yield server, port


async def until_left(server: PlainServer) -> None:
    await until_found(lambda: nothing_if(server._clients))


async def hung_up(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionResetError):
        assert await reader.read() == b""


async def nothing_if(left: object) -> bool:
    return not left


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([b"GET /a?b=1 HTTP/1.1\r\nHost: pod\r\n\r\n"], OK),
        ([b"GET /a HTTP/1.1\r\n", b"Host: pod\r\n", b"\r\n"], OK),
        ([b"GE", b"T /a HT", b"TP/1.0\r", b"\n\r", b"\n"], OK),
        ([b"GET /a\r\n"], OK),  # HTTP/0.9 has no head
        ([b"GET /a\n"], OK),
        ([b"GET /\xff%ff%00\x00\x1b[2J HTTP/1.0\r\n\r\n"], OK),
        ([b"GET //////// HTTP/1.0\r\n\r\n"], OK),
        ([b"GET http://[ HTTP/1.0\r\n\r\n"], BAD),
        ([b"GET http://[::1/a HTTP/1.0\r\n\r\n"], BAD),
        ([b"GET / HTTP/1.0 HTTP/1.0\r\n\r\n"], BAD),
        ([b"GET / and more\r\n\r\n"], BAD),
        ([b"get / HTTP/1.0\r\n\r\n"], BAD),
        ([b"HEAD / HTTP/1.0\r\n\r\n"], BAD),
        ([b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello"], BAD),
        ([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], BAD),
        ([b"\x16\x03\x01\x02\x00\x01\xff\n"], BAD),
        ([b"\r\n\r\n"], BAD),
        ([b"\0" * 5_000 + b"\n"], BAD),
        ([b"GET /" + b"x" * 9_000], ""),
        ([b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000], ""),
        ([b"GET / HTTP/1.1\r\nCookie: " + b"x" * 1_000_000], ""),
    ],
)
async def test_a_request_is_answered_refused_or_hung_up_on(parts: list[bytes], status: str) -> None:
    async with serving() as (server, port):
        assert (await ask(port, *parts))[0] == status
        assert await ask(port, b"GET /a?b=1 HTTP/1.0\r\n\r\n") == (OK, "a {'b': ['1']}")
        await until_left(server)


async def test_who_closes_its_side_after_the_request_gets_the_answer() -> None:
    async with serving() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /a HTTP/1.1\r\n")
        writer.write_eof()
        assert (await reader.read()).startswith(OK.encode())
        writer.close()


async def test_of_requests_in_a_row_the_first_is_answered() -> None:
    async with serving() as (_, port):
        status, body = await ask(port, b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n")
        assert (status, body) == (OK, "a {}")


async def test_a_fault_of_ours_is_an_answer_and_a_log_entry(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "litestar_queues.http"):
        async with serving() as (_, port):
            status, body = await ask(port, b"GET /broken HTTP/1.1\r\n\r\n")
    assert status == "HTTP/1.0 500 Internal Server Error"
    assert "a fault of ours" not in body
    assert caplog.records[0].getMessage() == "no answer could be made to GET 'broken'"


@pytest.mark.parametrize("sent", [b"", b"GET /a HTTP/1.1\r\n", b"GET /a HTTP/1.1\r\nHost: po"])
async def test_a_slow_client_is_hung_up_on(sent: bytes) -> None:
    async with serving(patience=0.2) as (server, port):
        assert await ask(port, sent) == ("", "")
        await until_left(server)


async def test_an_answer_that_nobody_reads_is_given_up_and_its_connection_with_it() -> None:
    async with serving(patience=0.3) as (server, port):
        process, clients = psutil.Process(), [socket.socket() for _ in range(40)]
        files = process.num_fds()
        loop = asyncio.get_running_loop()
        for number, client in enumerate(clients):  # of some, only a little is left that the kernel does not take
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_024)
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", port))
            await loop.sock_sendall(client, b"GET /big?kilobytes=%d HTTP/1.1\r\n\r\n" % (number * 60))
        await until_left(server)
        await asyncio.sleep(0.05)
        assert process.num_fds() == files
        for client in clients:
            client.close()


async def test_who_comes_takes_the_place_of_who_has_been_silent_for_longest() -> None:
    async with serving(most_clients=3) as (server, port):
        slow = await asyncio.open_connection("127.0.0.1", port)
        slow[1].write(b"GET /slow HTTP/1.1\r\n\r\n")
        await until_found(lambda: nothing_if(server._silent or not server._clients))
        silent = []
        for _ in range(2):
            silent.append(await asyncio.open_connection("127.0.0.1", port))
            await asyncio.sleep(0.02)
        assert (await ask(port, b"GET /a HTTP/1.1\r\n\r\n"))[0] == OK
        await hung_up(silent[0][0])
        silent[1][1].write(b"GET /b HTTP/1.1\r\n\r\n")
        assert (await silent[1][0].readline()).decode().strip() == OK
        assert not slow[0].at_eof()
        for _, writer in (slow, *silent):
            writer.close()


async def test_where_all_wait_for_answers_the_one_that_has_waited_for_longest_goes() -> None:
    async with serving(most_clients=2) as (server, port):
        slow = []
        for _ in range(2):
            slow.append(await asyncio.open_connection("127.0.0.1", port))
            slow[-1][1].write(b"GET /slow HTTP/1.1\r\n\r\n")
            await asyncio.sleep(0.02)
        assert (await ask(port, b"GET /a HTTP/1.1\r\n\r\n"))[0] == OK
        await hung_up(slow[0][0])
        assert len(server._clients) == 1
        for _, writer in slow:
            writer.close()


def other_address() -> str | None:
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            return None
        return str(probe.getsockname()[0])


async def test_it_listens_on_the_address_that_is_set_and_on_no_other() -> None:
    other = other_address()
    if other is None or other.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    for here, there in (("127.0.0.1", other), (other, "127.0.0.1")):
        async with serving(here) as (_, port):
            assert (await ask(port, b"GET /a HTTP/1.1\r\n\r\n", host=here))[0] == OK
            with pytest.raises(OSError, match=str(port)):
                await asyncio.open_connection(there, port)
