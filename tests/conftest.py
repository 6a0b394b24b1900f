"""In: pytest. Out: every ``async def`` test runs on asyncio; a clock that stands still until it is moved."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import iscoroutinefunction

import pytest
from hypothesis import settings

from tests.builders import FakeClock
from tests.postgres.server import Server, running_server

settings.register_profile("deep")  # `make test-model`; see tests/properties.py


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
