"""In: a server behind TLS, impostors, and passwords. Out: work with the right one; of others, a line that says why."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlspec.adapters.asyncpg import AsyncpgConfig
from sqlspec.adapters.psycopg import PsycopgAsyncConfig

from litestar_queues.backends import create_backend
from litestar_queues.config import QueueConfig
from litestar_queues.errors import BackendUnavailableError
from litestar_queues.outcomes import Completed
from tests.contract.laws import run_one
from tests.postgres.server import Server
from tests.security.tls import Authority, tls_door

PASSWORD = "pa55-canary-word"
USER = "scram_user"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def impostor(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("impostor"), "theirs")


@pytest.fixture(scope="module")
def server(postgres_server: Server) -> Iterator[Server]:
    """The server of the run, with a user who must give a password, proved by SCRAM."""
    rules = postgres_server.folder / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"local all {USER} scram-sha-256\n{before}")
    postgres_server.run("select pg_reload_conf()")
    postgres_server.run(f"create role {USER} login superuser password '{PASSWORD}'")
    yield postgres_server
    postgres_server.run(f"drop owned by {USER} cascade")
    postgres_server.run(f"drop role {USER}")
    rules.write_text(before)
    postgres_server.run("select pg_reload_conf()")


class Doors:
    """Doors to the server, open until the test ends."""

    def __init__(self, server: Server, stack: AsyncExitStack) -> None:
        self._path = f"{server.socket_folder}/.s.PGSQL.5432"
        self._stack = stack

    async def open(self, context: ssl.SSLContext | None) -> int:
        return await self._stack.enter_async_context(tls_door(self._path, context))


@pytest.fixture
async def doors(server: Server) -> AsyncIterator[Doors]:
    async with AsyncExitStack() as stack, asyncio.timeout(40):
        yield Doors(server, stack)


def url(driver: str, port: int, root: Path, *, host: str = "localhost", password: str = PASSWORD) -> str:
    query = f"sslmode=verify-full&sslrootcert={root}"
    return f"postgresql+{driver}://{USER}:{password}@{host}:{port}/postgres?{query}"


def backend(setting: Any, server: Server) -> Any:
    return create_backend(QueueConfig(queue_backend=setting, postgres_prefix=server.new_prefix()))


def of_sqlspec(driver: str, port: int, root: Path) -> Any:
    if driver == "psycopg":
        return PsycopgAsyncConfig(
            connection_config={
                "host": "localhost", "port": port, "user": USER, "password": PASSWORD, "dbname": "postgres",
                "sslmode": "verify-full", "sslrootcert": str(root),
            }
        )  # fmt: skip
    return AsyncpgConfig(
        connection_config={
            "host": "localhost", "port": port, "user": USER, "password": PASSWORD, "database": "postgres",
            "ssl": ssl.create_default_context(cafile=root),
        }
    )  # fmt: skip


async def works(made: Any) -> None:
    await made.open()
    await run_one(made, Completed(None))
    await made.close()


async def refusal(made: Any) -> str:
    """The one line in which it is refused."""
    with pytest.raises(BackendUnavailableError) as caught:
        await made.open()
    text = str(caught.value)
    assert "\n" not in text
    assert PASSWORD not in text
    return text


@pytest.fixture(params=["asyncpg", "psycopg"])
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_certificate_of_the_authority_for_the_host_is_worked_with(
    doors: Doors, server: Server, authority: Authority, driver: str
) -> None:
    port = await doors.open(authority.certify("localhost"))
    await works(backend(url(driver, port, authority.root), server))
    await works(backend(of_sqlspec(driver, port, authority.root), server))


async def test_user_and_password_of_the_environment_serve_where_the_url_has_none(
    doors: Doors, server: Server, authority: Authority, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = await doors.open(authority.certify("localhost"))
    bare = url(driver, port, authority.root).replace(f"{USER}:{PASSWORD}@", "")
    monkeypatch.setenv("PGUSER", USER)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    await works(backend(bare, server))
    monkeypatch.setenv("PGPASSWORD", f"{PASSWORD}-wrong")
    assert "password authentication failed" in await refusal(backend(bare, server))


async def test_a_certificate_for_another_host_is_refused(
    doors: Doors, server: Server, authority: Authority, driver: str
) -> None:
    port = await doors.open(authority.certify("db.example.com"))
    for setting in (url(driver, port, authority.root), of_sqlspec(driver, port, authority.root)):
        text = await refusal(backend(setting, server))
        assert "ertificate" in text
        assert "localhost" in text


async def test_a_certificate_of_an_unknown_authority_is_refused(
    doors: Doors, server: Server, authority: Authority, impostor: Authority, driver: str
) -> None:
    port = await doors.open(impostor.certify("localhost"))
    for setting in (url(driver, port, authority.root), of_sqlspec(driver, port, authority.root)):
        assert "certificate verify failed" in await refusal(backend(setting, server))


async def test_a_server_without_tls_is_refused(doors: Doors, server: Server, authority: Authority, driver: str) -> None:
    port = await doors.open(None)
    for setting in (url(driver, port, authority.root), of_sqlspec(driver, port, authority.root)):
        assert "SSL" in await refusal(backend(setting, server))


async def test_an_authority_that_is_not_there_is_told_by_its_file(
    doors: Doors, server: Server, authority: Authority, driver: str, tmp_path: Path
) -> None:
    port = await doors.open(authority.certify("localhost"))
    text = await refusal(backend(url(driver, port, tmp_path / "nowhere.crt"), server))
    assert ("nowhere.crt" if driver == "psycopg" else "check the files of host, sslrootcert") in text


async def test_a_wrong_password_is_one_line_without_it(
    doors: Doors, server: Server, authority: Authority, driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    port = await doors.open(authority.certify("localhost"))
    wrong = f"{PASSWORD}-wrong"
    with caplog.at_level(logging.DEBUG):
        made = backend(url(driver, port, authority.root, password=wrong), server)
        text = await refusal(made)
    assert "password authentication failed" in text
    assert "check user, password and pg_hba.conf" in text or driver == "psycopg"
    assert PASSWORD not in caplog.text + repr(made) + made.describe()
