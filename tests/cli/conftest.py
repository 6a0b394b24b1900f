"""In: pytest. Out: a desk on each kind of store that commands can reach."""

from __future__ import annotations

import pytest

from litestar_queues import registry
from litestar_queues.registry import TaskRegistry
from tests.cli.desk import Desk


@pytest.fixture(autouse=True)
def tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty registry for each test."""
    monkeypatch.setattr(registry, "_registry", TaskRegistry())


@pytest.fixture(params=["sqlite", "postgres"])
def desk(request: pytest.FixtureRequest) -> Desk:
    if request.param == "sqlite":
        return Desk(queue_backend=f"sqlite:///{request.getfixturevalue('tmp_path')}/queue.db")
    server = request.getfixturevalue("postgres_server")
    return Desk(queue_backend=server.url(), postgres_prefix=server.new_prefix())


@pytest.fixture
def file_desk(tmp_path: object) -> Desk:
    """For what no store has a part in."""
    return Desk(queue_backend=f"sqlite:///{tmp_path}/queue.db")
