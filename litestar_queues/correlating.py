"""In: a request. Out: its correlation id bound while the app answers it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from litestar_queues.correlation import bind_correlation_id, is_correlation_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from litestar.types import ASGIApp, Receive, Scope, Send

__all__ = ("correlate_requests",)

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


def correlate_requests(header: str) -> Callable[[ASGIApp], ASGIApp]:
    """Make the middleware: the header's value is the id, else the trace id of a ``traceparent``, else there is none."""
    name = header.lower().encode("latin-1")

    def middleware(app: ASGIApp) -> ASGIApp:
        async def correlated(scope: Scope, receive: Receive, send: Send) -> None:
            found = _find(scope["headers"], name)
            if found is None:
                await app(scope, receive, send)
            else:
                with bind_correlation_id(found):
                    await app(scope, receive, send)

        return correlated

    return middleware


def _find(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    """What a client sent, where it is fit for metadata and logs."""
    trace_id = None
    for key, value in headers:
        if key == name:
            text = value.decode("latin-1")
            if is_correlation_id(text):
                return text
        elif key == b"traceparent" and (match := _TRACEPARENT.fullmatch(value)):
            trace_id = match[1].decode()
    return trace_id
