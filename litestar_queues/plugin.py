"""In: a Litestar app. Out: the app with a queue service, its dependency, its commands and, where wanted, a worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from litestar.di import Provide
from litestar.plugins import CLIPlugin, InitPlugin

from litestar_queues.config import QueueConfig
from litestar_queues.errors import BackendUnavailableError
from litestar_queues.rooms import pause_after, sleep_until_set
from litestar_queues.service import QueueService

if TYPE_CHECKING:
    from click import Group
    from litestar import Litestar
    from litestar.config.app import AppConfig

    from litestar_queues.worker import Worker

__all__ = ("QueuePlugin",)

logger = logging.getLogger("litestar_queues")


class QueuePlugin(InitPlugin, CLIPlugin):
    """Gives an app its queue.

    Handlers receive the service as ``queue_service``; tasks may ask for the app's dependencies by name.

    Args:
        config: Settings; the defaults, and the environment, where left out.
    """

    def __init__(self, config: QueueConfig | None = None) -> None:
        self.config = config or QueueConfig()
        self.in_worker_process = False
        """Whether ``litestar queues run`` enters the lifespan: it brings the worker and waits for the store."""
        self._service: QueueService | None = None

    @property
    def service(self) -> QueueService:
        """The app's queue service."""
        if self._service is None:
            self._service = QueueService(self.config)
        return self._service

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the service to the app's dependencies, state and lifespan.

        Raises:
            QueueConfigurationError: The settings are wrong.
            MissingDependencyError: The dashboard is wanted, and jinja2 is not installed.
        """
        self._service = service = QueueService(self.config, app_configs=_sqlspec_configs(app_config))
        app_config.dependencies[self.config.queue_service_dependency_key] = Provide(
            lambda: service, sync_to_thread=False
        )
        app_config.signature_namespace.setdefault("QueueService", QueueService)
        app_config.state[self.config.queue_service_state_key] = service
        if self.config.dashboard is not None:
            from litestar_queues.dashboard.routes import mount

            mount(app_config, service, self.config.dashboard)
        if self.config.event_config.path is not None:
            self._let_follow(service, app_config)
        if self.config.correlation_header is not None:
            from litestar_queues.correlating import correlate_requests

            # outermost, so that what the app itself binds further in wins
            app_config.middleware = [correlate_requests(self.config.correlation_header), *app_config.middleware]
        app_config.lifespan = [*app_config.lifespan, self._lifespan]
        return app_config

    def bind(self, app: Litestar) -> None:
        """Let the app's dependencies fill arguments of tasks, also where nobody enters the app's lifespan."""
        self.service.dependencies.bind(app.dependencies, {"state": app.state})

    def on_cli_init(self, cli: Group) -> None:
        """Add ``litestar queues``."""
        from litestar_queues.cli import queues

        cli.add_command(queues)

    def _let_follow(self, service: QueueService, app_config: AppConfig) -> None:
        from litestar_queues.follow.followers import Followers
        from litestar_queues.follow.routes import follow_router

        config = self.config.event_config
        followers = Followers(service.get_tasks, details=config.show_results)
        app_config.route_handlers = [*app_config.route_handlers, follow_router(followers, config)]
        app_config.on_shutdown = [*app_config.on_shutdown, followers.lookout.close]

    @asynccontextmanager
    async def _lifespan(self, app: Litestar) -> AsyncIterator[None]:
        service = self.service
        self.bind(app)
        try:
            await service.open()
        except BackendUnavailableError as error:  # the app serves without; each call tries again
            if not self.in_worker_process:
                logger.warning("the queue is not available yet: %s", error)
        if self.config.dashboard is not None and not self.in_worker_process:
            from litestar_queues.dashboard.render import compile_templates

            compile_templates()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(service.close)
            if self._wants_worker(service):
                await stack.enter_async_context(_in_app_worker(service))
            yield

    def _wants_worker(self, service: QueueService) -> bool:
        if self.in_worker_process:
            return False
        if self.config.in_app_worker is None:  # where no other process could reach the records
            return not service.backend.capabilities.shared and self.config.execution_backend != "immediate"
        return self.config.in_app_worker


@asynccontextmanager
async def _in_app_worker(service: QueueService) -> AsyncIterator[Worker]:
    """Run a worker beside the app; it drains before the app's other resources go."""
    from litestar_queues.worker import Worker

    worker, leaving = Worker(service), asyncio.Event()
    running = asyncio.create_task(_work(worker, leaving), name="litestar-queues-worker")
    running.add_done_callback(_tell_failure)
    try:
        yield worker
    finally:
        worker.stop()
        leaving.set()
        await asyncio.wait({running})


async def _work(worker: Worker, leaving: asyncio.Event) -> None:
    """Run the worker; a store that cannot be reached yet is waited for."""
    failures = 0
    while not leaving.is_set():
        try:
            await worker.start()
            return
        except BackendUnavailableError as error:
            worker.health.down("start", error)
            failures += 1
            await sleep_until_set(leaving, pause_after(failures))


def _tell_failure(running: asyncio.Task[Any]) -> None:
    if not running.cancelled() and (error := running.exception()) is not None:
        logger.error("the worker in this app has ended: %s", error, exc_info=error)


def _sqlspec_configs(app_config: AppConfig) -> list[Any]:
    """The configs of the app's sqlspec plugins, found by their looks so that sqlspec need not be imported."""
    plugins = [plugin for plugin in app_config.plugins if type(plugin).__module__.startswith("sqlspec.")]
    return [config for plugin in plugins for config in getattr(plugin, "config", ())]
