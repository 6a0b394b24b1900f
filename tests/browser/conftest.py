"""In: Chromium, where it is installed. Out: pages of a dashboard in it, and all that it complains about."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
import uvicorn

from litestar_queues.backends.memory import MemoryBackend
from litestar_queues.dashboard import DashboardConfig
from litestar_queues.service import QueueService
from tests.dashboard.conftest import app_with
from tests.dashboard.town import ShiftedClock, furnish

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

T = TypeVar("T")

WATCH = """
window.complaints = [];
window.shifted = 0;
document.addEventListener("securitypolicyviolation", (event) =>
  window.complaints.push(event.violatedDirective + " " + event.blockedURI));
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) if (!one.hadRecentInput) window.shifted += one.value;
}).observe({ type: "layout-shift", buffered: true });
"""


class Town:
    """A web server with a furnished store, on a loop of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, service: QueueService, port: int) -> None:
        self._loop = loop
        self.service = service
        self.backend = service.backend
        self.url = f"http://127.0.0.1:{port}/queues"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the server's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)


class Tab:
    """A page that keeps what the browser complains about."""

    def __init__(self, page: Page, town: Town) -> None:
        self.page = page
        self.town = town
        self.errors: list[str] = []
        page.on("console", lambda message: self._keep(message.text if message.type in {"error", "warning"} else ""))
        page.on("pageerror", lambda error: self._keep(str(error)))
        page.add_init_script(WATCH)

    def _keep(self, text: str) -> None:
        if text:
            self.errors.append(text)

    def open(self, path: str = "") -> Page:
        self.page.goto(self.town.url + path)
        return self.page

    def complaints(self) -> list[str]:
        """Errors of scripts and loads, and what the policy has blocked."""
        return [*self.errors, *self.page.evaluate("window.complaints")]


@contextmanager
def serving() -> Iterator[Town]:
    app, plugin = app_with(DashboardConfig(allow_unguarded=True, live_interval=0.3))
    clock = ShiftedClock()
    plugin.service.backend = MemoryBackend(clock=clock)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    loops: list[asyncio.AbstractEventLoop] = []
    door = socket.create_server(("127.0.0.1", 0))

    async def serve() -> None:
        await plugin.service.open()
        await furnish(plugin.service.backend, clock)
        loops.append(asyncio.get_running_loop())
        await server.serve(sockets=[door])

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    until(lambda: server.started)
    yield Town(loops[0], plugin.service, door.getsockname()[1])
    server.should_exit = True
    thread.join(30)


def until(true: Callable[[], bool]) -> None:
    """Wait for something of another thread."""
    ends_at = time.monotonic() + 30
    while not true():
        assert time.monotonic() < ends_at
        time.sleep(0.02)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium), or name it in CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def town() -> Iterator[Town]:
    with serving() as town:
        yield town


@pytest.fixture(scope="module")
def still_town() -> Iterator[Town]:
    """One that no test changes."""
    with serving() as town:
        yield town


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def tab_of(chromium: Browser, town: Town, stack: ExitStack, **options: Any) -> Tab:
    """A tab of a fresh browser."""
    context = chromium.new_context(**{"viewport": {"width": 1280, "height": 860}, **options})
    stack.callback(context.close)
    return Tab(context.new_page(), town)


@pytest.fixture
def tab(chromium: Browser, town: Town, stack: ExitStack) -> Tab:
    return tab_of(chromium, town, stack)


@pytest.fixture(scope="session")
def images() -> Path | None:
    """Where pictures for the documentation go, where somebody wants them."""
    folder = os.environ.get("IMAGES")
    return Path(folder) if folder else None
