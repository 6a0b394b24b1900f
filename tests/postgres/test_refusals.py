"""In: a server that refuses, or transactions in the way. Out: errors in words, or another try where that is safe."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import psycopg
import pytest

from litestar_queues.backends.postgres import PostgresBackend, drivers
from litestar_queues.errors import BackendUnavailableError, InvalidArgumentError
from litestar_queues.status import TaskStatus
from tests.builders import make_record
from tests.contract.laws import claim, claim_one, enqueue, held, status_of
from tests.postgres.conftest import Area, blocked_pid
from tests.worker.harness import within

# a server that will not


async def as_role(admin: Any, area: Area, setting: str) -> str:
    """A user with a setting of its own that may use the tables; the url to log in with."""
    role = f"role_{area.schema}"
    await admin.execute(f"create role {role} login")
    await admin.execute(f"grant usage on schema {area.schema} to {role}")
    await admin.execute(f"grant select, insert, update, delete on all tables in schema {area.schema} to {role}")
    await admin.execute(f"alter role {role} set {setting}")
    return area.server.url(area.driver).replace("//postgres@", f"//{role}@")


async def test_a_statement_that_the_server_stops_in_time_is_an_outage(
    backend: PostgresBackend, area: Area, admin: Any
) -> None:
    limited = await area.open(url=await as_role(admin, area, "statement_timeout = '100ms'"))
    blocker = await area.connect()
    async with blocker.transaction():
        await blocker.execute("lock table lq_live in access exclusive mode")
        for call in (limited.statistics(), limited.enqueue_many([make_record()]), claim(limited)):
            with pytest.raises(BackendUnavailableError, match=r"cannot be used now \(canceling statement"):
                await call
    await enqueue(limited)
    assert len(await claim(limited)) == 1


async def test_a_lock_that_is_not_to_be_had_in_time_is_an_outage(
    backend: PostgresBackend, area: Area, admin: Any
) -> None:
    limited = await area.open(url=await as_role(admin, area, "lock_timeout = '50ms'"))
    blocker = await area.connect()
    async with blocker.transaction():
        await blocker.execute("lock table lq_live in access exclusive mode")
        with pytest.raises(BackendUnavailableError, match="a lock was not to be had in time"):
            await limited.statistics()
    assert (await limited.statistics()).total == 0


async def test_a_read_only_standby_is_an_outage_and_reading_goes_on(
    backend: PostgresBackend, area: Area, admin: Any
) -> None:
    record_id = await enqueue(backend)
    url = await as_role(admin, area, "default_transaction_read_only = on")
    standby = await area.open(url=url)
    for _ in range(2):
        with pytest.raises(BackendUnavailableError, match="it is read-only: a standby"):
            await standby.enqueue_many([make_record()])
        with pytest.raises(BackendUnavailableError, match="it is read-only: a standby"):
            await claim(standby)
    assert await status_of(standby, record_id) is TaskStatus.PENDING
    await admin.execute(f"alter role role_{area.schema} set default_transaction_read_only = off")
    await enqueue(standby)  # on a connection made anew
    assert len(await claim(standby)) == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("//postgres@", "//nobody:secret@"), "nobody"),
        (("/postgres?", "/nowhere?"), "nowhere"),
        (("host=", "host=/nowhere"), "cannot be reached"),
    ],
    ids=["user", "database", "host"],
)
async def test_a_wrong_address_is_told_in_one_sentence(area: Area, change: tuple[str, str], reason: str) -> None:
    wrong = area.backend(url=area.server.url(area.driver).replace(*change))
    with pytest.raises(BackendUnavailableError, match=reason) as caught:
        await wrong.open()
    text = str(caught.value)
    assert "\n" not in text
    assert "secret" not in text
    assert text.startswith("postgresql database ")
    with pytest.raises(BackendUnavailableError, match="not open"):
        await wrong.statistics()
    await wrong.close()


# what drivers raise


MET: dict[str, Exception] = {
    "good-bye": asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
    "line cut": asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    "line closed": asyncpg.InterfaceError("connection is closed"),
    "consumed": psycopg.OperationalError("consuming input failed: server closed the connection unexpectedly\n\tThis"),
    "disk full": asyncpg.DiskFullError("could not extend file"),
    "disk is full": psycopg.errors.DiskFull("could not extend file"),
    "too many": asyncpg.TooManyConnectionsError("sorry, too many clients already"),
    "starting": psycopg.errors.CannotConnectNow("the database system is starting up"),
    "reset": ConnectionResetError("reset by peer"),
    "silence": TimeoutError(),
}


@pytest.mark.parametrize("met", MET)
async def test_what_a_driver_raises_of_an_outage_is_one_sentence_and_the_next_call_works(
    backend: PostgresBackend, driver: str, met: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind: Any = {"asyncpg": drivers._AsyncpgConnection, "psycopg": drivers._PsycopgConnection}[driver]

    async def fail(*_: Any) -> Any:
        raise MET[met]

    await enqueue(backend)
    monkeypatch.setattr(kind, "run", fail)
    for call in (claim(backend), enqueue(backend), backend.statistics()):
        with pytest.raises(
            BackendUnavailableError, match=r"^postgresql database .* cannot be (used|reached)"
        ) as caught:
            await call
        assert "\n" not in str(caught.value)
    monkeypatch.undo()
    await enqueue(backend)
    assert len(await claim(backend)) == 2


@pytest.mark.parametrize("wrong", [{"priority": 2**40}, {"queue": "nul \0"}, {"timeout": "soon"}, {"payload": b"\xff"}])
async def test_a_value_that_cannot_be_stored_is_the_callers_fault_and_no_outage(
    backend: PostgresBackend, wrong: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgumentError, match="a value cannot be stored"):
        await enqueue(backend, **wrong)
    await enqueue(backend)
    assert (await backend.statistics()).total == 1


# others in the way


async def test_a_deadlock_is_tried_again(backend: PostgresBackend, area: Area, admin: Any) -> None:
    for _ in range(2):
        await enqueue(backend)
    first, second = await claim(backend)
    other = await area.connect(deadlock_timeout="10s")
    transaction = other.transaction()
    await transaction.start()
    await other.execute("update lq_live set progress = 'x' where id = $1", second.id)
    renewing = asyncio.create_task(backend.renew_many([held(first), held(second)], lease=60))
    await blocked_pid(admin, area)
    # the lane waits for the second and holds the first; it notices the deadlock, since the other is patient
    await other.execute("update lq_live set progress = 'y' where id = $1", first.id)
    await transaction.commit()
    async with within():
        renewal = await renewing
    assert (list(renewal.lost), list(renewal.cancelled)) == ([], [])


async def test_a_serialization_error_is_tried_again(backend: PostgresBackend, area: Area, admin: Any) -> None:
    await enqueue(backend)
    one = await claim_one(backend)
    strict = await area.open(url=await as_role(admin, area, "default_transaction_isolation = 'repeatable read'"))
    other = await area.connect()
    transaction = other.transaction()
    await transaction.start()
    await other.execute("update lq_live set progress = 'x' where id = $1", one.id)
    renewing = asyncio.create_task(strict.renew_many([held(one)], lease=60))
    await blocked_pid(admin, area)
    await transaction.commit()
    async with within():
        assert (await renewing).lost == []


async def test_a_record_that_others_hold_is_passed_over_not_waited_for(backend: PostgresBackend, area: Area) -> None:
    first, second = await enqueue(backend), await enqueue(backend)
    other = await area.connect()
    async with other.transaction():
        await other.execute("select from lq_live where id = $1 for update", first)
        async with within():
            assert [one.id for one in await claim(backend)] == [second]
    assert [one.id for one in await claim(backend)] == [first]
