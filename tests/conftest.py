"""In: pytest. Out: every ``async def`` test runs on asyncio; a clock that stands still until it is moved."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from inspect import iscoroutinefunction

import pytest
from hypothesis import settings

from litestar_queues.tasks import _bound
from tests.builders import FakeClock
from tests.postgres.server import Server, running_server

# `make test` says the same each time; `make test-model` and `make fuzz` search on, and name their seed
settings.register_profile("plain", derandomize=True, database=None, deadline=None)
settings.register_profile("deep", settings(), derandomize=False, deadline=None)
if settings.get_current_profile_name() != "deep":
    settings.load_profile("plain")


# a shell has what it starts in the background ignore Ctrl-C, and so would all that tests start
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, name: str, obj: object) -> None:
    """Mark coroutines before anyio's plugin looks for the mark."""
    inner = getattr(getattr(obj, "hypothesis", None), "inner_test", obj)
    if collector.istestfunction(obj, name) and iscoroutinefunction(inner):
        pytest.mark.anyio(obj)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """One real server for the whole run; each test has a schema of its own in it."""
    with running_server() as server:
        yield server


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    """A service that a test leaves open would take what later tests enqueue."""
    before = list(_bound)
    yield
    left = [one for one in _bound if one not in before]
    _bound[:] = before
    assert left == [], "this test leaves a service open"
