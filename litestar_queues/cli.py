"""In: ``litestar queues ...``. Out: what the operator asked for, in words or JSON, and an honest exit code."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from litestar_queues.errors import QueueConfigurationError, QueueError

if TYPE_CHECKING:
    from litestar import Litestar

    from litestar_queues.plugin import QueuePlugin
    from litestar_queues.service import QueueService

__all__ = ("queues",)

T = TypeVar("T")

_NO_APP = "no Litestar app was found: name it by --app module:app or LITESTAR_APP, or call its file app.py"
_NO_PLUGIN = "the app {0} has no queue: give it plugins=[QueuePlugin()] from litestar_queues"


def _take_signals_early() -> None:
    """Litestar loads this module before the app, whose import may take seconds in which signals arrive too."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    if "queues" in words and {"run", "exporter"}.intersection(words[words.index("queues") :]):
        from litestar_queues.signals import SIGNALS

        SIGNALS.install()


def _tell_wrong_settings() -> None:
    """Settings are read while the app is imported, where no command can catch their error: tell it in one line."""
    others = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, QueueConfigurationError):
            click.echo(f"Error: {' '.join(str(error).split())}", err=True)
        else:
            others(kind, error, trace)

    sys.excepthook = hook


_take_signals_early()
_tell_wrong_settings()


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Tell what is expected to go wrong at times in one line on stderr, whatever formatter the group above has."""
    try:
        yield
    except click.UsageError as error:
        usage = f"; see `{error.ctx.command_path} --help`" if error.ctx is not None else ""
        _fail(f"{error.format_message().rstrip('.')}{usage}", error.exit_code)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except QueueError as error:
        _fail(str(error), 1)


def _fail(text: str, code: int) -> None:
    click.echo(f"Error: {' '.join(text.split())}", err=True)
    raise click.exceptions.Exit(code)


class _Group(click.Group):
    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _one_line_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _one_line_errors():
            return super().invoke(ctx)


@click.group(cls=_Group)
def queues() -> None:
    """Run workers and look after their queues."""


def _seconds(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    # a range lets NaN and infinity through
    if value is not None and not 0 <= value < float("inf"):
        raise click.BadParameter("use a number, 0 or more", ctx=ctx, param=param)
    return value


def _names(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(name and name.isprintable() for name in value):
        raise click.BadParameter("use names of queues", ctx=ctx, param=param)
    return value


@queues.command()
@click.option(
    "--queue",
    "names",
    multiple=True,
    metavar="NAME",
    callback=_names,
    help="Claim only from this queue; may be given several times.",
)
@click.option("--max-concurrency", type=click.IntRange(min=1), metavar="N", help="Tasks at a time.")
@click.option(
    "--drain-timeout",
    type=float,
    metavar="SECONDS",
    callback=_seconds,
    help="Wait so long for running tasks after SIGTERM or SIGINT, then cancel them.",
)
def run(names: tuple[str, ...], max_concurrency: int | None, drain_timeout: float | None) -> None:
    """Run a worker until SIGTERM or SIGINT; a second signal cancels what runs.

    Exit codes: 0 clean drain, 1 the worker could not start or go on, 2 the drain cancelled tasks.
    """
    from litestar_queues.runtime import WorkerOptions, run_worker
    from litestar_queues.signals import SIGNALS

    SIGNALS.install()
    app, plugin = _app_and_plugin()
    plugin.in_worker_process = True
    _configure_logging()
    if not plugin.service.backend.capabilities.shared:
        click.echo("Note: this backend lives in one process, so this worker sees only its own schedules", err=True)
    code = run_worker(
        plugin.service,
        WorkerOptions(queues=names or None, max_concurrency=max_concurrency, drain_timeout=drain_timeout),
        lifespan=app.lifespan if plugin.config.worker_enters_lifespan else None,
        announce=lambda: click.echo("litestar queues worker started", err=True),
    )
    raise click.exceptions.Exit(code)


@queues.command()
@click.option("--queue", metavar="NAME", help="Advisory: counts are of all queues.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(queue: str | None, as_json: bool) -> None:
    """Count records by status.

    Exit codes: 0 success, 1 the backend failed.
    """
    if queue is not None:
        click.echo(f"Note: --queue {queue} is advisory, these are the counts of all queues", err=True)
    counts = _ask(lambda service: service.get_statistics()).as_dict()
    click.echo(_to_json(counts) if as_json else _table(counts))


@queues.command("scheduler-health")
@click.option(
    "--minutes",
    type=float,
    default=5,
    metavar="N",
    show_default=True,
    help="How old the canary's last completion may be.",
    callback=_seconds,
)
def scheduler_health(minutes: float) -> None:
    """Say whether the fleet claims and finishes, by the canary task's last completion.

    Exit codes: 0 healthy, 1 the backend failed, 3 the canary is not registered, 4 stale.
    """
    from datetime import UTC, datetime, timedelta

    from litestar_queues.probe import HEALTHY, NO_CANARY, STALE, say_no_canary

    service = _service()
    service.load_tasks()
    name = service.config.scheduler_canary_task
    if name not in service.registry.scheduled():
        _tell(say_no_canary(name), NO_CANARY)
    completed_at = _ask(lambda service: service.canary_health())
    if completed_at is None or datetime.now(UTC) - completed_at > timedelta(minutes=minutes):
        last = "it never has" if completed_at is None else f"the last time was {completed_at}"
        _tell(f"stale: {name} has not completed within {minutes:g} minutes, {last}", STALE)
    _tell(f"healthy: {name} completed {completed_at}", HEALTHY)


@queues.command()
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=9464, show_default=True, help="0: any free one.")
def exporter(host: str, port: int) -> None:
    """Serve /metrics, /queues.json and /healthz about all queues until SIGTERM or SIGINT.

    A store that cannot be reached is a metric, not an error. Exit codes: 0 told to stop, 1 it could not start.
    """
    from litestar_queues.exporter import run_exporter
    from litestar_queues.signals import SIGNALS

    SIGNALS.install()
    service = _service()
    _configure_logging()
    if not service.backend.capabilities.shared:
        click.echo("Note: this backend lives in one process, so this exporter sees nothing of others", err=True)
    run_exporter(
        service,
        host=host,
        port=port,
        announce=lambda bound: click.echo(f"litestar queues exporter listens on {host}:{bound}", err=True),
    )


@queues.command()
@click.option("--sql", is_flag=True, help="Print the whole schema and change nothing.")
@click.option("--check", is_flag=True, help="Change nothing; exit code 1 where the schema is behind.")
def migrate(sql: bool, check: bool) -> None:
    """Bring the schema up to date; safe when several processes do it at once.

    Exit codes: 0 the schema is up to date, 1 the backend failed, or --check found it behind.
    """
    if sql and check:
        raise click.UsageError("--sql and --check exclude each other")
    backend = _service().backend
    if sql:
        click.echo(backend.migration_sql())
    elif check:
        pending = asyncio.run(backend.pending_migrations())
        _tell(f"the schema lacks {', '.join(pending)}: run `litestar queues migrate`", 1) if pending else None
        click.echo("the schema is up to date")
    else:
        for name in asyncio.run(backend.migrate()):
            click.echo(f"applied {name}")
        click.echo("the schema is up to date")


def _tell(text: str, code: int) -> None:
    click.echo(text, err=code != 0)
    raise click.exceptions.Exit(code)


def _table(counts: dict[str, int]) -> str:
    width = max(5, *(len(str(count)) for count in counts.values()))
    rows = [("Status", "Count"), ("-" * 12, "-" * (width + 1)), *((name, str(count)) for name, count in counts.items())]
    return "\n".join(f"{name:<12} {count:>{width + 1}}" for name, count in rows)


def _to_json(counts: dict[str, int]) -> str:
    """By sqlspec's serializer where the app has loaded it; importing it for this alone takes a quarter of a second."""
    if "sqlspec.utils.serializers" in sys.modules:
        from sqlspec.utils.serializers import to_json

        return str(to_json(counts))
    import json

    return json.dumps(counts, separators=(",", ":"))


def _ask(question: Callable[[QueueService], Coroutine[Any, Any, T]]) -> T:
    """Open the app's service for one question."""
    service = _service()

    async def ask() -> T:
        async with service:
            return await question(service)

    return asyncio.run(ask())


def _service() -> QueueService:
    return _app_and_plugin()[1].service


def _app_and_plugin() -> tuple[Litestar, QueuePlugin]:
    from litestar_queues.plugin import QueuePlugin

    root = click.get_current_context().find_root()
    try:
        env = root.obj() if callable(root.obj) else root.obj
    except click.ClickException as error:
        raise click.ClickException(_NO_APP) from error
    root.obj = env
    try:
        return env.app, env.app.plugins.get(QueuePlugin)
    except KeyError:
        raise click.ClickException(_NO_PLUGIN.format(env.app_path)) from None


def _configure_logging() -> None:
    """Let the worker's log be seen, unless the app has set up logging of its own."""
    import logging

    if not logging.getLogger().handlers and not logging.getLogger("litestar_queues").handlers:
        logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
