"""In: ``litestar queues run``, ``exporter`` and ``migrate``. Out: what works for as long as it is let, or once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

import click

from litestar_queues.cli.app import app_and_plugin, note_if_private, queue_service
from litestar_queues.cli.group import announce, queues, tell
from litestar_queues.cli.options import json_option, log_format_option, queue_names, seconds
from litestar_queues.cli.printing import plain, to_json

if TYPE_CHECKING:
    from litestar_queues.runtime import WorkerOptions
    from litestar_queues.service import QueueService

_STARTED = "litestar queues worker started"
_UP_TO_DATE = "the schema is up to date"
_MOST_NAMED = 10
"""Queues or schedules that a worker names at its start."""


@queues.command()
@click.option(
    "--queue",
    "names",
    multiple=True,
    metavar="NAME",
    callback=queue_names,
    help="Claim only from this queue; may be given several times.",
)
@click.option("--max-concurrency", type=click.IntRange(min=1), metavar="N", help="Tasks at a time.")
@click.option(
    "--drain-timeout",
    type=float,
    metavar="SECONDS",
    callback=seconds,
    help="Wait so long for running tasks after SIGTERM or SIGINT, then cancel them.",
)
@log_format_option
def run(
    names: tuple[str, ...], max_concurrency: int | None, drain_timeout: float | None, log_format: str | None
) -> None:
    """Run a worker until SIGTERM or SIGINT; a second signal cancels what runs.

    Once it claims it says on stderr what it does: queues, tasks at a time, store, schedules, health port.

    Exit codes: 0 clean drain, 1 the worker could not start or go on, 2 the drain cancelled tasks.
    """
    from litestar_queues.json_logs import configure_logging
    from litestar_queues.runtime import WorkerOptions, run_worker
    from litestar_queues.signals import SIGNALS

    SIGNALS.install()
    app, plugin = app_and_plugin()
    plugin.in_worker_process = True
    log_format = log_format or plugin.config.log_format
    configure_logging(log_format)
    note_if_private(plugin.service, "this worker sees only its own schedules")
    options = WorkerOptions(queues=names or None, max_concurrency=max_concurrency, drain_timeout=drain_timeout)
    code = run_worker(
        plugin.service,
        options,
        lifespan=app.lifespan if plugin.config.worker_enters_lifespan else None,
        announce=lambda: announce(_STARTED if log_format == "json" else _plan(plugin.service, options)),
    )
    raise click.exceptions.Exit(code)


def _plan(service: QueueService, options: WorkerOptions) -> str:
    return "\n".join(_facts(service, options))


def _facts(service: QueueService, options: WorkerOptions) -> Iterator[str]:
    """What this worker does, from options, settings and code; its last line is the one that tells of its start."""
    config = service.config
    slots = config.worker_max_concurrency if options.max_concurrency is None else options.max_concurrency
    drain = config.worker_graceful_shutdown_timeout if options.drain_timeout is None else options.drain_timeout
    schedules = service.registry.scheduled().values() if config.initialize_schedules else ()
    health = [] if config.health_port is None else [f"port {config.health_port or 'any'} of {config.health_host}"]
    health += [f"file {config.health_file}"] if config.health_file else []
    facts = (
        ("queues", options.queues or config.worker_queues or ["every queue"]),
        ("tasks", [f"{slots} at a time", f"{len(service.registry)} known"]),
        ("store", [service.backend.describe()]),
        ("schedules", [f"{one.task_name} ({one.definition})" for one in schedules] or ["none"]),
        ("health", health or ["off"]),
        ("drain", [f"{drain:g} s"]),
    )
    for name, values in facts:
        more = [f"{len(values) - _MOST_NAMED} more"] if len(values) > _MOST_NAMED else []
        yield f"{name:<9}  {', '.join(map(plain, [*values[:_MOST_NAMED], *more]))}"
    yield _STARTED


@queues.command()
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=9464, show_default=True, help="0: any free one.")
@log_format_option
def exporter(host: str, port: int, log_format: str | None) -> None:
    """Serve /metrics, /queues.json and /healthz about all queues until SIGTERM or SIGINT.

    A store that cannot be reached is a metric, not an error. Exit codes: 0 told to stop, 1 it could not start.
    """
    from litestar_queues.exporter import run_exporter
    from litestar_queues.json_logs import configure_logging
    from litestar_queues.signals import SIGNALS

    SIGNALS.install()
    service = queue_service()
    configure_logging(log_format or service.config.log_format)
    note_if_private(service, "this exporter sees nothing of others")
    run_exporter(
        service,
        host=host,
        port=port,
        announce=lambda bound: announce(f"litestar queues exporter listens on {host}:{bound}"),
    )


@queues.command()
@click.option("--sql", is_flag=True, help="Print the whole schema and change nothing.")
@click.option("--check", is_flag=True, help="Change nothing; exit code 1 where the schema is behind.")
@json_option
def migrate(sql: bool, check: bool, as_json: bool) -> None:
    """Bring the schema up to date; safe when several processes do it at once.

    Exit codes: 0 the schema is up to date, 1 the backend failed, or --check found it behind.
    """
    if sql and (check or as_json):
        raise click.UsageError("--sql excludes --check and --json")
    backend = queue_service().backend
    if sql:
        click.echo(backend.migration_sql())
    elif check:
        _tell_pending(asyncio.run(backend.pending_migrations()), as_json=as_json)
    else:
        applied = asyncio.run(backend.migrate())
        lines = [*(f"applied {name}" for name in applied), _UP_TO_DATE]
        click.echo(to_json({"applied": applied}) if as_json else "\n".join(lines))


def _tell_pending(pending: Sequence[str], *, as_json: bool) -> NoReturn:
    code = 1 if pending else 0
    if as_json:
        click.echo(to_json({"pending": pending}))
        raise click.exceptions.Exit(code)
    tell(f"the schema lacks {', '.join(pending)}: run `litestar queues migrate`" if pending else _UP_TO_DATE, code)
