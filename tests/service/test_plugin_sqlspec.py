"""In: an app with sqlspec's plugin on SQLite. Out: a queue in the same file that shares its transactions."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.testing import AsyncTestClient

from litestar_queues import registry
from litestar_queues.backends.sqlite import SQLiteBackend
from litestar_queues.config import QueueConfig
from litestar_queues.errors import InvalidArgumentError, QueueConfigurationError
from litestar_queues.plugin import QueuePlugin
from litestar_queues.registry import TaskRegistry, task
from litestar_queues.service import QueueService

pytest.importorskip("sqlspec")

from sqlspec import SQLSpec
from sqlspec.adapters.aiosqlite import AiosqliteConfig, AiosqliteDriver
from sqlspec.extensions.litestar import SQLSpecPlugin

CREATE = "create table if not exists person (name text)"


@pytest.fixture(autouse=True)
def tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registry", TaskRegistry())

    @task
    async def greet(name: str) -> str:
        return f"hello {name}"


@post("/people/{name:str}")
async def add_person(
    name: FromPath[str],
    db_session: NamedDependency[AiosqliteDriver],
    queue_service: NamedDependency[QueueService],
) -> str:
    """Store a person and the mail to write, both or neither."""
    await db_session.execute(CREATE)
    await db_session.execute("insert into person (name) values (?)", name)
    handle = await queue_service.enqueue("greet", name, connection=db_session)
    if name == "nobody":
        raise ValueError(name)
    await db_session.commit()  # sqlspec's commit_mode="autocommit" closes the session before it would commit
    return str(handle.id)


class App:
    """Both plugins over one file."""

    def __init__(self, folder: Path, *, queue_first: bool = False, **settings: Any) -> None:
        self.file = folder / "app.db"
        self.adapter = AiosqliteConfig(connection_config={"database": str(self.file)})
        sqlspec = SQLSpec()
        sqlspec.add_config(self.adapter)
        self.queue = QueuePlugin(QueueConfig(sqlite_synchronous="NORMAL", **settings))
        plugins: list[Any] = [SQLSpecPlugin(sqlspec), self.queue]
        self.litestar = Litestar([add_person], plugins=plugins[::-1] if queue_first else plugins, logging_config=None)

    async def people(self) -> int:
        async with self.adapter.provide_session() as session:
            await session.execute(CREATE)
            return int(await session.select_value("select count(*) from person"))


@pytest.mark.parametrize("queue_first", [False, True])
async def test_without_a_backend_named_the_apps_own_sqlite_config_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, queue_first: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    app = App(tmp_path, queue_first=queue_first)
    backend = app.queue.service.backend
    assert isinstance(backend, SQLiteBackend)
    async with AsyncTestClient(app.litestar):
        await app.queue.service.enqueue("greet", "ada")
        assert "app.db" in backend.describe()
    files = await asyncio.to_thread(os.listdir, tmp_path)
    assert {"app.db", "queue.db"}.intersection(files) == {"app.db"}


async def test_a_backend_that_is_named_goes_before_the_apps_config(tmp_path: Path) -> None:
    app = App(tmp_path, queue_backend=f"sqlite:///{tmp_path / 'other.db'}")
    async with AsyncTestClient(app.litestar):
        await app.queue.service.enqueue("greet", "ada")
    assert (tmp_path / "other.db").exists()


async def test_a_record_commits_with_the_handlers_transaction_and_rolls_back_with_it(tmp_path: Path) -> None:
    app = App(tmp_path)
    async with AsyncTestClient(app.litestar) as client:
        answer = await client.post("/people/ada")
        assert answer.status_code == 201
        record = await app.queue.service.get_task(answer.text)
        assert record is not None
        assert (record.args, await app.people()) == (("ada",), 1)
        assert (await client.post("/people/nobody")).status_code == 500
        assert (await app.queue.service.get_statistics()).total == 1
        assert await app.people() == 1
        assert await app.queue.service.run_due() == 1


async def test_a_task_that_asks_for_the_session_of_a_request_is_told_what_to_do(tmp_path: Path) -> None:
    @task
    async def count(db_session: Any) -> None: ...

    app = App(tmp_path)
    async with AsyncTestClient(app.litestar):
        handle = await app.queue.service.enqueue(count)
        await app.queue.service.run_due()
        remedy = "'scope', which only a request has: give the task its own by task_dependency_resolver"
        assert (await handle.refresh()).error == (
            f"DependencyError: dependency 'db_connection', asked for by dependency 'db_session', needs {remedy}"
        )


async def test_a_session_on_another_database_is_refused(tmp_path: Path) -> None:
    app = App(tmp_path, queue_backend=f"sqlite:///{tmp_path / 'other.db'}")
    async with AsyncTestClient(app.litestar):
        async with app.adapter.provide_session() as session:
            with pytest.raises(InvalidArgumentError, match="not on the queue's database"):
                await app.queue.service.enqueue("greet", "ada", connection=session)
        assert (await app.queue.service.get_statistics()).total == 0


def test_a_sqlite_in_memory_is_refused_when_the_app_is_made() -> None:
    sqlspec = SQLSpec()
    sqlspec.add_config(AiosqliteConfig(connection_config={"database": ":memory:"}))
    with pytest.raises(QueueConfigurationError, match="give its database a path"):
        Litestar(plugins=[SQLSpecPlugin(sqlspec), QueuePlugin()])
