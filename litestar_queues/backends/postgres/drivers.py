"""In: an address of a server. Out: connections of one shape, whichever driver is installed."""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from litestar_queues.errors import MissingDependencyError, QueueConfigurationError

__all__ = ("Address", "Connection", "Row", "Runner", "connect")

Row = Sequence[Any]

_SETTINGS = {
    # every statement of ours finds few rows by an index; a cached plan from when the table was empty must not scan it
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    # else the server may plan each statement anew, which takes longer than to run one that finds a single record
    "plan_cache_mode": "force_generic_plan",
    # a database or role may have another default; a statement must see what was committed before it
    "default_transaction_isolation": "read committed",
}
_DRIVERS = ("asyncpg", "psycopg")
_HOST = re.compile(r"(?:\[[^\]]*\]|[^:\[\]]*)(?::(\d+))?")
_HIGHEST_PORT = 65_535
_ENDED = "the server ended the connection"
_SILENCE = 15.0
"""Seconds after which a connection that listens asks whether anybody is there: a line that went dead says nothing."""
_ANSWER = 5.0


@dataclass(frozen=True, slots=True)
class Address:
    """Which server, by which driver.

    ``pooled`` says that a pooler in transaction mode stands between: then no statement is prepared and no setting of a
    session relied on.
    """

    driver: str
    dsn: str | None = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    pooled: bool = False
    connect_timeout: float = 10.0
    patience: float = 30.0
    """Seconds for one operation; a server that says nothing for longer is treated as one that cannot be reached."""

    @classmethod
    def from_url(cls, url: str, *, pooled: bool) -> Address:
        """Read ``postgresql://user:password@host/database``, ``postgresql+asyncpg://...`` or ``...+psycopg://...``.

        Raises:
            QueueConfigurationError: The driver is none of ours, or host and port cannot be read.
            MissingDependencyError: No driver is installed.
        """
        scheme, _, rest = url.partition("://")
        _, _, driver = scheme.partition("+")
        if driver and driver not in _DRIVERS:
            msg = f"QueueConfig.queue_backend={scheme}://... is not accepted: use postgresql://, +asyncpg or +psycopg"
            raise QueueConfigurationError(msg)
        if not _readable(f"postgresql://{rest}"):  # what a driver would say of it may hold the password
            msg = (
                f"QueueConfig.queue_backend={scheme}://... cannot be read: check host and port, and write special "
                "characters of user and password as %XX"
            )
            raise QueueConfigurationError(msg)
        return cls(driver or _installed_driver(), f"postgresql://{rest}", pooled=pooled)

    @property
    def label(self) -> str:
        """The server and database for people, without user or password."""
        parts = urlsplit(self.dsn or "")
        given = dict(parse_qsl(parts.query)) | dict(self.options)
        host = (
            given.get("host") or parts.netloc.rpartition("@")[2]
        )  # several, with their ports, where one may take over
        port = given.get("port")
        name = given.get("database") or given.get("dbname") or unquote(parts.path.lstrip("/"))
        where = f"{host or 'localhost'}{f':{port}' if port else ''}"
        return f"postgresql database {name or '(default)'} on {where}"


class Runner(ABC):
    """What runs statements: a connection of ours, or a caller's."""

    @abstractmethod
    async def run(self, sql: str, *arguments: Any) -> Sequence[Row]:
        """Run one statement and give its rows."""


class Connection(Runner):
    """One connection; it commits by itself unless a transaction was begun by a statement."""

    @abstractmethod
    async def run_script(self, sql: str) -> None:
        """Run several statements without arguments."""

    @abstractmethod
    async def listen(self, channel: str, heard: Callable[[], None]) -> None:
        """Call once it listens, and for each notification, until the connection ends; raises what ended it."""

    @property
    @abstractmethod
    def is_closed(self) -> bool:
        """Whether it cannot be used any more."""

    @abstractmethod
    async def close(self) -> None:
        """Say good-bye."""

    @abstractmethod
    def cut(self) -> None:
        """Drop it without a word: the server may not answer."""


async def connect(address: Address, *, application: str) -> Connection:
    """Open a connection."""
    async with asyncio.timeout(address.connect_timeout):
        if address.driver == "asyncpg":
            return await _AsyncpgConnection.open(address, application)
        return await _PsycopgConnection.open(address, application)


def _settings(address: Address) -> dict[str, str]:
    """What a session of ours is to keep to; behind a pooler there is none."""
    if address.pooled:
        return {}
    # where the line went dead within a transaction, nobody but the server can end it, and it holds keys until then
    return _SETTINGS | {"idle_in_transaction_session_timeout": str(round(address.patience * 1000))}


async def _in_time(question: Awaitable[object]) -> None:
    async with asyncio.timeout(_ANSWER):
        await question


def _readable(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    hosts = parts.netloc.rpartition("@")[2].split(",")
    found = [_HOST.fullmatch(host) for host in hosts]
    ports_fit = all(one is not None and int(one[1] or 0) <= _HIGHEST_PORT for one in found)
    # an @ behind the host: the password holds a bare / or ?, and its rest would be told as a name of a database
    return ports_fit and "@" not in f"{parts.path}{parts.query}{parts.fragment}"


def _installed_driver() -> str:
    from importlib.util import find_spec

    for name in _DRIVERS:
        if find_spec(name) is not None:
            return name
    msg = "no PostgreSQL driver is installed: pip install asyncpg, or psycopg[binary]"
    raise MissingDependencyError(msg)


class _AsyncpgConnection(Connection):
    def __init__(self, raw: Any) -> None:
        self.raw = raw

    @classmethod
    async def open(cls, address: Address, application: str) -> _AsyncpgConnection:
        asyncpg = _import("asyncpg")
        options = dict(address.options)
        settings = _settings(address) | {"application_name": application}
        settings |= options.pop("server_settings", None) or {}
        if address.pooled:
            options["statement_cache_size"] = 0
        return cls(await asyncpg.connect(address.dsn, server_settings=settings, **options))

    async def run(self, sql: str, *arguments: Any) -> Sequence[Row]:
        rows: Sequence[Row] = await self.raw.fetch(sql, *arguments)
        return rows

    async def run_script(self, sql: str) -> None:
        await self.raw.execute(sql)

    async def listen(self, channel: str, heard: Callable[[], None]) -> None:
        ended = asyncio.Event()
        self.raw.add_termination_listener(lambda _: ended.set())
        await self.raw.add_listener(channel, lambda *_: heard())
        heard()
        while not ended.is_set():
            try:
                async with asyncio.timeout(_SILENCE):
                    await ended.wait()
            except TimeoutError:
                await _in_time(self.run("select 1"))
        raise ConnectionResetError(_ENDED)

    @property
    def is_closed(self) -> bool:
        return bool(self.raw.is_closed())

    async def close(self) -> None:
        await self.raw.close(timeout=2)

    def cut(self) -> None:
        self.raw.terminate()


class _PsycopgConnection(Connection):
    def __init__(self, raw: Any, cursor: Any) -> None:
        self.raw = raw
        self._cursor = cursor

    @classmethod
    async def open(cls, address: Address, application: str) -> _PsycopgConnection:
        psycopg = _import("psycopg")
        options = dict(address.options)
        settings = [f"{name}={value}".replace(" ", r"\ ") for name, value in _settings(address).items()]
        if settings:
            options["options"] = " -c ".join([options.get("options", ""), *settings]).strip()
        options |= {"application_name": application, "client_encoding": "utf8"}
        raw = await psycopg.AsyncConnection.connect(
            address.dsn or "",
            autocommit=True,
            prepare_threshold=None if address.pooled else 2,
            cursor_factory=psycopg.AsyncRawCursor,
            **options,
        )
        # as text, times and numbers would come in the style that the database or the role has by default
        return cls(raw, raw.cursor(binary=True))

    async def run(self, sql: str, *arguments: Any) -> Sequence[Row]:
        await self._cursor.execute(sql, arguments or None)
        if self._cursor.description is None:
            return ()
        rows: Sequence[Row] = await self._cursor.fetchall()
        return rows

    async def run_script(self, sql: str) -> None:
        await self._cursor.execute(sql, binary=False)  # which alone takes several statements at once

    async def listen(self, channel: str, heard: Callable[[], None]) -> None:
        await self._cursor.execute(f"listen {channel}")
        heard()
        while not self.is_closed:
            async for _ in self.raw.notifies(timeout=_SILENCE):
                heard()
            await _in_time(self.run("select 1"))
            heard()  # what is told during a statement may go unheard
        raise ConnectionResetError(_ENDED)

    @property
    def is_closed(self) -> bool:
        return bool(self.raw.closed)

    async def close(self) -> None:
        await self.raw.close()

    def cut(self) -> None:
        self.raw.pgconn.finish()


def _import(driver: str) -> Any:
    from importlib import import_module

    try:
        return import_module(driver)
    except ImportError as error:
        msg = f"the package {driver} is not installed: pip install {driver}"
        raise MissingDependencyError(msg) from error
