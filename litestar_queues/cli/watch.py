"""In: ``litestar queues watch``. Out: what the queues do, again and again, until somebody has seen enough."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple

import click

from litestar_queues.cli.app import ask
from litestar_queues.cli.group import queues
from litestar_queues.cli.options import DURATION
from litestar_queues.cli.printing import duration, moment, plain, since, table, to_json
from litestar_queues.errors import BackendUnavailableError
from litestar_queues.fleet import WORKER_STATES
from litestar_queues.status import TaskStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar_queues.fleet import QueuePause, Tally, WorkerRow
    from litestar_queues.records import QueueDepth, QueuedTaskRecord, QueueStatistics
    from litestar_queues.service import QueueService

_FAILURES = 5
_HEADS = ("Queue", "Pending", "Scheduled", "Running", "Oldest due", "Last minute", "Failed", "Paused")
_SHORTEST = 0.2


class _Look(NamedTuple):
    counts: QueueStatistics
    depths: Sequence[QueueDepth]
    paused: Sequence[QueuePause]
    tallies: Sequence[Tally]
    """Of the last whole minute."""
    workers: Sequence[WorkerRow]
    failures: Sequence[QueuedTaskRecord]
    canary: datetime | None


@queues.command()
@click.option(
    "--interval", type=DURATION, default="2s", show_default=True, metavar="DURATION", help="Between two looks."
)
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after so many looks.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each look.")
def watch(interval: float, count: int | None, as_json: bool) -> None:
    """Show queues, workers and the latest failures, live; one line for each look where this is no terminal.

    Ctrl-C or SIGTERM ends it. Exit codes: 0 it was ended, or has looked --count times; 1 the backend failed at the
    first look; 2 a wrong option.
    """
    show = _show_json if as_json else _show_line
    try:
        if as_json or not sys.stdout.isatty():
            ask(lambda service: _watch(service, max(interval, _SHORTEST), count, show, _show_outage))
        else:
            _watch_in_terminal(max(interval, _SHORTEST), count)
    except KeyboardInterrupt:
        raise click.exceptions.Exit(0) from None


def _watch_in_terminal(interval: float, count: int | None) -> None:
    from rich.live import Live
    from rich.text import Text

    with _sigterm_as_ctrl_c(), Live(screen=True, auto_refresh=False) as live:
        last = Text()

        def show(look: _Look) -> None:
            nonlocal last
            last = Text(_page(look), no_wrap=True, overflow="ellipsis")
            live.update(last, refresh=True)

        def show_outage(error: BackendUnavailableError) -> None:
            live.update(Text(f"{plain(error)}\n\nAs it was:\n\n").append(last), refresh=True)

        ask(lambda service: _watch(service, interval, count, show, show_outage))


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Left alone, SIGTERM would end the process and leave the terminal on the page, without a cursor."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


async def _watch(
    service: QueueService,
    interval: float,
    count: int | None,
    show: Callable[[_Look], None],
    show_outage: Callable[[BackendUnavailableError], None],
) -> None:
    """Look until told to stop; after the first look an outage is shown, and waited for."""
    show(await _look(service))
    looks = 1
    while count is None or looks < count:
        await asyncio.sleep(interval)
        looks += 1
        try:
            show(await _look(service))
        except BackendUnavailableError as error:
            show_outage(error)


async def _look(service: QueueService) -> _Look:
    this_minute = datetime.now(UTC).replace(second=0, microsecond=0)
    tallies = await service.list_tallies(120)
    return _Look(
        await service.get_statistics(),
        await service.queue_depths(),
        await service.paused_queues(),
        [one for one in tallies if one.minute == this_minute - timedelta(minutes=1)],
        await service.list_workers(),
        await service.list_tasks(status=TaskStatus.FAILED, limit=_FAILURES),
        await service.canary_health(),
    )


def _page(look: _Look) -> str:
    counts = "   ".join(f"{name} {count:,}" for name, count in look.counts.as_dict().items())
    canary = "the canary has not completed yet" if look.canary is None else f"canary {since(look.canary)} ago"
    parts = [
        f"{moment(datetime.now(UTC))}   {_workers(look)}   {canary}   Ctrl-C ends",
        counts,
        table(_HEADS, _queue_rows(look)),
    ]
    if look.failures:
        parts.append(table(("Failed", "Task", "Ended", "Error"), [_failure(one) for one in look.failures]))
    return "\n\n".join(parts)


def _workers(look: _Look) -> str:
    states = [one.state for one in look.workers]
    told = [f"{states.count(state)} {state}" for state in WORKER_STATES if state in states]
    return f"workers: {', '.join(told) or 'none'}"


def _queue_rows(look: _Look) -> list[tuple[object, ...]]:
    depths = {one.queue: one for one in look.depths}
    tallies = {one.queue: one for one in look.tallies}
    pauses = {one.queue: one for one in look.paused}
    rows: list[tuple[object, ...]] = []
    for name in sorted({*depths, *tallies, *pauses}):
        depth, tally = depths.get(name), tallies.get(name)
        counts = (depth.pending, depth.scheduled, depth.running) if depth else (0, 0, 0)
        ended = (tally.completed, tally.failed) if tally else (0, 0)
        rows.append(
            (name, *counts, duration(depth.oldest_due_age if depth else None), *ended, _paused(pauses.get(name)))
        )
    return rows


def _paused(one: QueuePause | None) -> str:
    if one is None:
        return ""
    return "until resumed" if one.until is None else f"until {moment(one.until)}"


def _failure(record: QueuedTaskRecord) -> tuple[object, ...]:
    return record.id, record.task_name, f"{since(record.completed_at)} ago", record.error or ""


def _show_line(look: _Look) -> None:
    counts = " ".join(f"{name}={count}" for name, count in look.counts.as_dict().items())
    alive = sum(one.alive for one in look.workers)
    _print(f"{moment(datetime.now(UTC))} {counts} workers={alive} paused={len(look.paused)}")


def _show_json(look: _Look) -> None:
    states = [one.state for one in look.workers]
    answer = {
        "at": datetime.now(UTC),
        "counts": look.counts.as_dict(),
        "queues": [one._asdict() for one in look.depths],
        "paused": [one.queue for one in look.paused],
        "workers": {state: states.count(state) for state in WORKER_STATES},
        "canary_completed_at": look.canary,
    }
    _print(to_json(answer))


def _show_outage(error: BackendUnavailableError) -> None:
    click.echo(f"{moment(datetime.now(UTC))} {plain(error)}", err=True)


def _print(line: str) -> None:
    click.echo(line)  # which flushes, so that who reads a pipe sees each look at once
