"""In: ``litestar queues workers``, ``pause`` and ``resume``. Out: who works on what, and what none takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from litestar_queues.cli.app import ask, names_in_code
from litestar_queues.cli.group import queues, tell
from litestar_queues.cli.options import DURATION, QUEUE, json_option
from litestar_queues.cli.printing import moment, plain, since, table, to_json
from litestar_queues.status import TaskStatus

if TYPE_CHECKING:
    from litestar_queues.fleet import QueuePause, WorkerRow
    from litestar_queues.records import QueuedTaskRecord
    from litestar_queues.service import QueueService

_NOT_PAUSED = 3
_PAGE = 1_000
_MOST_RUNS = 10
"""Runs of one worker that are shown; JSON has them all."""
_HEADS = ("Worker", "State", "Running", "Slots", "Queues", "Host", "Pid", "Version", "Up", "Seen")

_Runs = dict[str | None, list["QueuedTaskRecord"]]


@queues.command()
@json_option
def workers(as_json: bool) -> None:
    """List workers and what each of them runs now; those that vanished stay for a day as lost.

    Exit codes: 0 success, 1 the backend failed.
    """
    rows, runs = ask(_workers_and_runs)
    if as_json:
        click.echo(to_json({"workers": [_as_dict(row, runs[row.worker_id]) for row in rows]}))
        return
    click.echo(table(_HEADS, [_row(row, len(runs[row.worker_id])) for row in rows]))
    for row in rows:
        _print_runs(row, runs[row.worker_id])


async def _workers_and_runs(service: QueueService) -> tuple[Sequence[WorkerRow], _Runs]:
    runs: _Runs = defaultdict(list)
    last: UUID | None = None
    while True:
        page = await service.list_tasks(status=TaskStatus.RUNNING, oldest_first=True, after=last, limit=_PAGE)
        for record in page:
            runs[record.worker_id].append(record)
        if len(page) < _PAGE:
            return await service.list_workers(), runs
        last = page[-1].id


def _row(row: WorkerRow, running: int) -> tuple[object, ...]:
    return (
        row.worker_id,
        row.state,
        running,  # as the records say; the worker's own count is as old as its last report
        row.max_concurrency,
        ", ".join(row.queues) or "every queue",
        row.host,
        row.pid,
        row.version,
        since(row.started_at),
        f"{since(row.seen_at)} ago",
    )


def _print_runs(row: WorkerRow, runs: Sequence[QueuedTaskRecord]) -> None:
    if not runs:
        return
    click.echo(f"\n{plain(row.worker_id)} runs")
    for record in runs[:_MOST_RUNS]:
        stopping = ", asked to stop" if record.cancel_requested else ""
        click.echo(f"  {record.id}  {plain(record.task_name)}  for {since(record.started_at)}{stopping}")
    if len(runs) > _MOST_RUNS:
        click.echo(f"  and {len(runs) - _MOST_RUNS} more: litestar queues list --worker {plain(row.worker_id)}")


def _as_dict(row: WorkerRow, runs: Sequence[QueuedTaskRecord]) -> dict[str, Any]:
    import msgspec

    now = [{"id": one.id, "task": one.task_name, "queue": one.queue, "started_at": one.started_at} for one in runs]
    return {**msgspec.to_builtins(row), "state": row.state, "runs": now}


@queues.command()
@click.argument("names", metavar="[QUEUE]...", nargs=-1, type=QUEUE)
@click.option("--for", "length", type=DURATION, metavar="DURATION", help="It goes on by itself after 10m, 2h, 1d.")
@json_option
def pause(names: tuple[str, ...], length: float | None, as_json: bool) -> None:
    """Let no worker take records of a queue; what runs goes on, what is enqueued waits.

    Without a queue it lists those that are paused.

    Exit codes: 0 success, 1 refused, or the backend failed, 2 a wrong option.
    """
    if length is not None and not names:
        raise click.UsageError("--for says how long to pause: name a queue")
    if length == 0:
        raise click.UsageError("--for 0 pauses nothing: use one such as 10m")
    paused = ask(lambda service: _pause(service, names, length))
    shown = [one for one in paused if not names or one.queue in names]
    if as_json:
        click.echo(to_json({"paused": [one._asdict() for one in shown]}))
    elif names:
        for one in shown:
            click.echo(f"paused {plain(one.queue)} {_until(one)}")
    else:
        click.echo(table(("Queue", "Since", "Until"), [_pause_row(one) for one in shown]))


async def _pause(service: QueueService, names: Sequence[str], length: float | None) -> Sequence[QueuePause]:
    known = {*names_in_code(service, "queue"), *(one.queue for one in await service.queue_depths())}
    for name in names:
        await service.pause_queue(name, length)
        if name not in known:
            click.echo(f"Note: no task of this app has the queue {plain(name)}, nor has any live record", err=True)
    return await service.paused_queues()


def _until(one: QueuePause) -> str:
    if one.until is None:
        return f"until `litestar queues resume {plain(one.queue)}`"
    return f"until {moment(one.until)}"


def _pause_row(one: QueuePause) -> tuple[object, ...]:
    return one.queue, moment(one.paused_at), "resumed" if one.until is None else moment(one.until)


@queues.command()
@click.argument("names", metavar="QUEUE...", nargs=-1, required=True, type=QUEUE)
def resume(names: tuple[str, ...]) -> None:
    """Let workers take records of a paused queue again.

    Exit codes: 0 success, 1 the backend failed, 2 a wrong option, 3 one of them was not paused.
    """
    resumed, paused = ask(lambda service: _resume(service, names))
    for name in resumed:
        click.echo(f"resumed {plain(name)}")
    if missed := [name for name in names if name not in resumed]:
        others = f"paused are {', '.join(map(plain, paused))}" if paused else "no queue is paused"
        tell(f"not paused: {', '.join(map(plain, missed))}; {others}", _NOT_PAUSED)


async def _resume(service: QueueService, names: Sequence[str]) -> tuple[list[str], list[str]]:
    resumed = [name for name in names if await service.resume_queue(name)]
    return resumed, [one.queue for one in await service.paused_queues()]
