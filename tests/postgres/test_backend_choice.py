"""In: the setting ``queue_backend``. Out: PostgreSQL by the right driver, or a sentence without the password."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from litestar import Litestar
from sqlspec import SQLSpec
from sqlspec.adapters.asyncpg import AsyncpgConfig
from sqlspec.adapters.psycopg import PsycopgAsyncConfig, PsycopgSyncConfig
from sqlspec.extensions.litestar import SQLSpecPlugin

from litestar_queues.backends import create_backend
from litestar_queues.backends.postgres import PostgresBackend
from litestar_queues.backends.sqlite import SQLiteBackend
from litestar_queues.config import QueueConfig
from litestar_queues.errors import BackendUnavailableError, MissingDependencyError, QueueConfigurationError
from litestar_queues.plugin import QueuePlugin
from litestar_queues.registry import TaskRegistry
from litestar_queues.service import QueueService
from tests.contract.laws import claim, enqueue
from tests.postgres.conftest import Area
from tests.postgres.server import Server

SECRET = "pa55word"


def chosen(backend: Any, *app_configs: Any, **settings: Any) -> PostgresBackend:
    made = create_backend(QueueConfig(queue_backend=backend, **settings), app_configs=app_configs)
    assert isinstance(made, PostgresBackend)
    return made


# by URL


@pytest.mark.parametrize(
    ("scheme", "driver"),
    [
        ("postgres", "asyncpg"),
        ("postgresql", "asyncpg"),
        ("postgresql+asyncpg", "asyncpg"),
        ("postgresql+psycopg", "psycopg"),
    ],
)
def test_a_url_names_server_database_and_driver(scheme: str, driver: str) -> None:
    backend = chosen(f"{scheme}://user:{SECRET}@db.example.com:5433/my%20app")
    assert backend.describe() == f"postgresql database my app on db.example.com:5433 ({driver})"


@pytest.mark.parametrize(
    ("url", "described"),
    [
        ("postgresql://", "postgresql database (default) on localhost"),
        ("postgresql:///app", "postgresql database app on localhost"),
        ("postgresql://[::1]:5433/app", "postgresql database app on [::1]:5433"),
        (f"postgresql://u:{SECRET}@one:5432,two:5433/app", "postgresql database app on one:5432,two:5433"),
        (
            f"postgresql://u:{SECRET}@/app?host=/run/postgresql&port=5433",
            "postgresql database app on /run/postgresql:5433",
        ),
        (f"postgresql://h/app?user=u&password={SECRET}", "postgresql database app on h"),
    ],
)
def test_a_backend_is_described_without_secrets(url: str, described: str) -> None:
    backend = chosen(url)
    assert backend.describe() == f"{described} (asyncpg)"
    assert SECRET not in backend.describe() + repr(backend) + repr(backend._address)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (f"postgresql+pg8000://u:{SECRET}@h/app", r"\+asyncpg|accepted"),
        (f"mysql://u:{SECRET}@h/app", "'memory', 'sqlite'"),
        (f"postgresql:u:{SECRET}@h", "is not accepted"),
        (f"u:{SECRET}@h", "is not accepted"),
        ("postgresql", "is not accepted"),
        (17, "17 is not accepted"),
        (type("DuckDBConfig", (), {"__module__": "sqlspec.adapters.duckdb.config"})(), "is not accepted"),
    ],
)
def test_what_means_no_backend_is_refused_without_the_password(given: Any, reason: str) -> None:
    with pytest.raises(QueueConfigurationError, match=reason) as caught:
        chosen(given)
    text = str(caught.value)
    assert "QueueConfig.queue_backend" in text
    assert SECRET not in text
    assert "\n" not in text


@pytest.mark.parametrize(
    "place",
    [
        f"u:{SECRET}@h:no-number/app",
        f"u:{SECRET}@h:99999999/app",
        f"u:{SECRET}@[::1/app",
        f"u:4/{SECRET}@h/app",
        f"u:{SECRET}#@h/app",
    ],
)
def test_a_url_that_no_driver_can_read_is_refused_without_the_password(driver: str, place: str) -> None:
    with pytest.raises(QueueConfigurationError, match="check host and port") as caught:
        chosen(f"postgresql+{driver}://{place}")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("prefix", ["Jobs.lq_", "lq-", "a.b.c_", "1lq_", "lq_; drop table x", "jobs.", "ü_", "x" * 60])
def test_a_prefix_that_is_no_plain_name_is_refused(prefix: str) -> None:
    with pytest.raises(
        QueueConfigurationError, match=r"QueueConfig.postgres_prefix=.* is not accepted: use lower-case"
    ):
        chosen("postgresql://h/app", postgres_prefix=prefix)


# drivers that are not there


def test_without_asyncpg_the_other_driver_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    assert chosen("postgresql://h/app").describe().endswith("(psycopg)")


def test_without_any_driver_both_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingDependencyError, match=r"pip install asyncpg, or psycopg\[binary\]"):
        chosen(f"postgresql://u:{SECRET}@h/app")


async def test_a_driver_that_is_named_and_not_there_is_missed_by_name(
    driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, driver, None)
    backend = chosen(f"postgresql+{driver}://u:{SECRET}@h/app")
    with pytest.raises(MissingDependencyError, match=f"the package {driver} is not installed") as caught:
        await backend.open()
    assert SECRET not in str(caught.value)


# by a sqlspec config


def sqlspec_config(server: Server, driver: str, *, parts: bool = False, **options: Any) -> Any:
    """A config of the app, with a pool of its own that the queue must not take over."""
    pool = {"min_size": 1, "max_size": 3}
    host = server.socket_folder
    if driver == "asyncpg":
        where = {"host": host, "port": 5432, "user": "postgres", "database": "postgres"}
        whole = {"dsn": server.url().replace("+asyncpg", "")}
        return AsyncpgConfig(connection_config={**(where if parts else whole), **pool}, **options)
    where = {"host": host, "port": 5432, "user": "postgres", "dbname": "postgres"}
    whole = {"conninfo": server.url().replace("+asyncpg", "")}
    return PsycopgAsyncConfig(connection_config={**(where if parts else whole), **pool}, **options)


@pytest.mark.parametrize("parts", [False, True], ids=["dsn", "parts"])
async def test_a_sqlspec_config_says_where_and_by_which_driver(area: Area, driver: str, parts: bool) -> None:
    backend = chosen(sqlspec_config(area.server, driver, parts=parts), postgres_prefix=area.prefix)
    assert backend.describe().startswith(f"postgresql database postgres on {area.server.socket_folder}")
    assert backend.describe().endswith(f"({driver})")
    await backend.open()
    await enqueue(backend)
    assert len(await claim(backend)) == 1
    await backend.close()


async def test_a_sqlspec_config_may_give_words_instead_of_a_url(area: Area) -> None:
    words = f"host={area.server.socket_folder} user=postgres dbname=postgres"
    for kind in (PsycopgAsyncConfig, PsycopgSyncConfig):  # where it is; the queue's own connections are async
        backend = chosen(kind(connection_config={"conninfo": words}), postgres_prefix=area.prefix)
        assert backend.describe() == f"postgresql database postgres on {area.server.socket_folder} (psycopg)"
        await backend.open()
        await backend.close()


def test_what_a_sqlspec_config_says_beside_its_url_goes_before_it() -> None:
    config = AsyncpgConfig(connection_config={"dsn": "postgresql://h/app", "database": "other", "password": SECRET})
    backend = chosen(config)
    assert backend.describe() == "postgresql database other on h (asyncpg)"
    assert backend._address.options == {"database": "other", "password": SECRET}


def test_of_the_apps_configs_the_one_with_the_key_is_taken(postgres_server: Server, driver: str) -> None:
    one = sqlspec_config(postgres_server, driver, bind_key="queue")
    other = AsyncpgConfig(connection_config={"dsn": f"postgresql://u:{SECRET}@other/app"}, bind_key="app")
    assert chosen("sqlspec:queue", other, one).describe().endswith(f"({driver})")
    assert "on other" in chosen("sqlspec:app", other, one).describe()
    with pytest.raises(
        QueueConfigurationError, match="no sqlspec config has this bind_key; those of the app are 'app'"
    ):
        chosen("sqlspec:mail", other)
    with pytest.raises(QueueConfigurationError, match="the app has none"):
        chosen("sqlspec:mail")


async def test_without_a_backend_named_the_apps_own_config_serves(area: Area, driver: str) -> None:
    sqlspec = SQLSpec()
    sqlspec.add_config(sqlspec_config(area.server, driver))
    plugin = QueuePlugin(QueueConfig(postgres_prefix=area.prefix))
    app = Litestar(plugins=[SQLSpecPlugin(sqlspec), plugin], logging_config=None)
    backend = plugin.service.backend
    assert isinstance(backend, PostgresBackend)
    assert backend.describe().endswith(f"({driver})")
    async with app.lifespan():
        await enqueue(backend)
        assert (await plugin.service.get_statistics()).pending == 1


def test_without_any_config_of_ours_the_embedded_file_serves() -> None:
    assert isinstance(create_backend(QueueConfig(), app_configs=[object()]), SQLiteBackend)


# what it costs, and how it is told


async def test_a_web_process_holds_two_connections_and_one_more_while_somebody_waits(area: Area) -> None:
    admin = await area.connect()

    async def held() -> list[str]:
        query = (
            "select application_name from pg_stat_activity where query like $1 and pid <> pg_backend_pid() order by 1"
        )
        return [row[0] for row in await admin.fetch(query, f"%{area.schema}%")]

    async with QueueService(backend=area.backend(), registry=TaskRegistry()) as service:
        await asyncio.gather(
            *(enqueue(service.backend) for _ in range(50)), *(service.get_statistics() for _ in range(9))
        )
        assert await held() == ["litestar-queues", "litestar-queues enqueue"]
        leave = service.backend.subscribe(lambda: None)
        for _ in range(200):
            if len(await held()) == 3:
                break
            await asyncio.sleep(0.01)
        assert await held() == ["litestar-queues", "litestar-queues enqueue", "litestar-queues listener"]
        leave()


async def test_of_several_hosts_one_that_answers_serves(area: Area) -> None:
    backend = await area.open(
        url=area.server.url(area.driver).replace("host=", "target_session_attrs=read-write&host=/nowhere,")
    )
    await enqueue(backend)
    assert "/nowhere,/" in backend.describe()


async def test_a_server_that_is_not_there_is_told_without_the_password(driver: str) -> None:
    backend = chosen(f"postgresql+{driver}://user:{SECRET}@localhost:1/app")
    with pytest.raises(
        BackendUnavailableError, match="postgresql database app on localhost:1 cannot be reached"
    ) as caught:
        await backend.open()
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    await backend.close()
