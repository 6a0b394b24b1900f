"""In: bytes, as a client may send them. Out: what a server answered to them."""

from __future__ import annotations

import asyncio


async def ask(port: int, *parts: bytes, host: str = "127.0.0.1") -> tuple[str, str]:
    """Send the parts one by one; gives the status line and the body, both empty where the server just hangs up."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0.01)
        answer = await reader.read()
    except ConnectionError:
        answer = b""
    finally:
        writer.close()
    head, _, body = answer.decode().partition("\r\n\r\n")
    return head.partition("\r\n")[0], body.strip()
