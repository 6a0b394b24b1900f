"""In: a pause that begins and ends. Out: claims that look for pauses while there are any, and not before or after."""

from __future__ import annotations

from typing import Any

import pytest

from litestar_queues.backends.postgres import PostgresBackend
from litestar_queues.backends.postgres.drivers import Connection
from litestar_queues.backends.postgres.pauses import Pauses
from tests.contract.laws import claim, enqueue


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that looked for pauses."""
    seen: list[str] = []
    look = Pauses.look

    async def note(self: Pauses, connection: Connection, *arguments: Any) -> None:
        class Noting:
            async def run(self, sql: str, *values: Any) -> Any:
                seen.append(sql)
                return await connection.run(sql, *values)

        await look(self, Noting(), *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Pauses, "look", note)
    return seen


async def test_a_claim_looks_for_pauses_while_there_are_any_alone(backend: PostgresBackend, looks: list[str]) -> None:
    for _ in range(2):
        await enqueue(backend, queue="b")
        assert len(await claim(backend)) == 1
    assert looks == []
    await backend.pause_queue("a")
    for seen in (1, 2):
        await enqueue(backend, queue="b")
        assert len(await claim(backend)) == 1
        assert len(looks) == seen
    await backend.resume_queue("a")
    for _ in range(3):
        await enqueue(backend, queue="a")
        assert len(await claim(backend)) == 1
    assert len(looks) == 3
