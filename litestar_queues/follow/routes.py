"""In: followers and a :class:`QueueEventConfig`. Out: routes by which pages follow a record, by SSE or WebSocket."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from litestar import Request, Response, Router, WebSocket, get, websocket
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException, NotFoundException, ServiceUnavailableException, WebSocketException
from litestar.handlers import BaseRouteHandler, send_websocket_stream
from litestar.params import FromPath
from litestar.response import Stream
from litestar.utils import ensure_async_callable

from litestar_queues.errors import BackendUnavailableError
from litestar_queues.follow.followers import Followers, State, TooManyFollowersError
from litestar_queues.lookout import BEGIN, LONGEST_STREAM

if TYPE_CHECKING:
    from litestar_queues.event_config import QueueEventConfig

__all__ = ("follow_router",)

_LONGEST_SOCKET = 3600.0
_BEAT = 10.0
_LONGEST_REASON = 123
"""Bytes that a frame which closes a WebSocket has room for."""
_ALIVE: Final = b": still there\n\n"
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def follow_router(followers: Followers, config: QueueEventConfig) -> Router:
    """Make the router; it stays out of the app's OpenAPI schema and asks the guards before each stream."""
    assert config.path is not None

    @get("/{task_id:uuid}", name="litestar_queues_follow", guards=list(config.guards))
    async def follow(task_id: FromPath[UUID], request: Request[Any, Any, Any]) -> Response[Any]:
        state = await _current(followers, task_id)
        known = request.headers.get("last-event-id")
        if state.is_last and known == state.version:
            return Response(None, status_code=204)  # tells an EventSource not to come back
        return Stream(_frames(followers, task_id, state, known), media_type="text/event-stream", headers=_HEADERS)

    guards = [_for_sockets(guard) for guard in config.guards]

    @websocket("/{task_id:uuid}", name="litestar_queues_follow_socket", guards=guards)
    async def follow_socket(task_id: FromPath[UUID], socket: WebSocket[Any, Any, Any]) -> None:
        try:
            state = await _current(followers, task_id)
        except HTTPException as error:
            raise await _refusal(socket, error) from error
        await socket.accept()
        await send_websocket_stream(
            socket, _messages(followers, task_id, state), listen_for_disconnect=True, warn_on_data_discard=False
        )

    return Router(
        config.path.rstrip("/"),
        route_handlers=[follow, follow_socket],
        include_in_schema=False,
    )


def _for_sockets(guard: Callable[..., Any]) -> Callable[..., Any]:
    ask = ensure_async_callable(guard)

    async def guarded(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        try:
            await ask(connection, handler)
        except HTTPException as error:
            assert isinstance(connection, WebSocket)
            raise await _refusal(connection, error) from error

    return guarded


async def _refusal(socket: WebSocket[Any, Any, Any], error: HTTPException) -> WebSocketException:
    """What closes the socket; a page learns why only where it was accepted before."""
    await socket.accept()
    reason = error.detail.encode()[:_LONGEST_REASON].decode(errors="ignore")
    return WebSocketException(detail=reason, code=4000 + error.status_code)


async def _current(followers: Followers, task_id: UUID) -> State:
    try:
        state = await followers.current(task_id)
    except TooManyFollowersError as error:
        raise ServiceUnavailableException(detail=str(error), headers={"Retry-After": "5"}) from error
    except BackendUnavailableError as error:
        raise ServiceUnavailableException(
            detail="the queue is not available now", headers={"Retry-After": "5"}
        ) from error
    if state is None:
        raise NotFoundException(detail=f"there is no record {task_id}: it was rolled back or its retention is over")
    return state


async def _frames(followers: Followers, task_id: UUID, state: State, known: str | None) -> AsyncGenerator[bytes, None]:
    yield BEGIN
    if known != state.version:
        yield _frame(state)
    async for changed in followers.follow(task_id, state, seconds=LONGEST_STREAM, beat=_BEAT):
        yield _ALIVE if changed is None else _frame(changed)


async def _messages(followers: Followers, task_id: UUID, state: State) -> AsyncGenerator[str, None]:
    yield state.data
    async for changed in followers.follow(task_id, state, seconds=_LONGEST_SOCKET, beat=_LONGEST_SOCKET):
        if changed is not None:
            yield changed.data


def _frame(state: State) -> bytes:
    name = "event: end\n" if state.is_last else ""
    return f"id: {state.version}\n{name}data: {state.data}\n\n".encode()
