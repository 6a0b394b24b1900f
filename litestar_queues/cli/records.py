"""In: ``litestar queues list``, ``show`` and ``enqueue``. Out: records as they are stored, and one more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from litestar_queues.cli.app import ask
from litestar_queues.cli.group import queues, tell
from litestar_queues.cli.options import (
    DURATION,
    QUEUE,
    TASK,
    JsonValue,
    filter_options,
    json_option,
    record_filter,
)
from litestar_queues.cli.printing import moment, plain, table, to_json
from litestar_queues.cli.sheet import sheet
from litestar_queues.status import TaskStatus

if TYPE_CHECKING:
    from litestar_queues.records import QueuedTaskRecord
    from litestar_queues.results import TaskResult
    from litestar_queues.service import QueueService

_NOT_THERE = 3
_OUTCOMES = {TaskStatus.COMPLETED: 0, TaskStatus.FAILED: 3, TaskStatus.CANCELLED: 4}
_NOT_ENDED = 5
_HEADS = ("Id", "Status", "Task", "Queue", "Attempt", "Enqueued", "Error")


@queues.command("list")
@filter_options(*TaskStatus)
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True, metavar="N", help="Page size.")
@click.option("--before", type=click.UUID, metavar="ID", help="The page that follows this record.")
@click.option("--oldest-first", is_flag=True, help="Begin with the oldest.")
@click.option("--after", type=click.UUID, metavar="ID", help="The same where the oldest come first.")
@json_option
def list_records(limit: int, as_json: bool, oldest_first: bool, after: UUID | None, **filters: Any) -> None:
    """List records, newest first.

    Exit codes: 0 success, 1 the backend failed, 2 a wrong option.
    """
    oldest_first = oldest_first or after is not None
    which = record_filter(**filters, after=after, oldest_first=oldest_first, limit=limit)
    page = ask(lambda service: service.read_page(which))
    if as_json:
        click.echo(to_json({"records": page.records, "next": page.next}))
        return
    click.echo(table(_HEADS, [_row(record) for record in page.records]))
    if page.next is not None:
        there = "Further ones were not looked at" if page.cut_short else "There are more"
        click.echo(f"{there}: add {'--after' if oldest_first else '--before'} {page.next}", err=True)


def _row(record: QueuedTaskRecord) -> tuple[object, ...]:
    return (
        record.id,
        record.status,
        record.task_name,
        record.queue,
        f"{record.attempt} of {record.max_attempts}",
        moment(record.created_at),
        record.error or "",
    )


@queues.command()
@click.argument("record_id", metavar="ID", type=click.UUID)
@json_option
def show(record_id: UUID, as_json: bool) -> None:
    """Show one record: its times, its arguments, who holds it, and every error with its traceback.

    Exit codes: 0 success, 1 the backend failed, 2 that is no id, 3 there is no such record.
    """
    record = ask(lambda service: service.get_task(record_id))
    if record is None:
        tell(f"there is no record {record_id}: it was never stored, or its retention is over", _NOT_THERE)
    click.echo(to_json(record) if as_json else sheet(record))


@queues.command()
@click.argument("name", type=TASK)
@click.option("--args", type=JsonValue(list, '[1, "two"]'), default="[]", help="Positional arguments, a JSON array.")
@click.option("--kwargs", type=JsonValue(dict, '{"n": 1}'), default="{}", help="Keyword arguments, a JSON object.")
@click.option("--run-after", type=DURATION, metavar="DURATION", help="Not before 30s, 10m, 2h have passed.")
@click.option("--queue", type=QUEUE, metavar="NAME", help="Into this queue instead of the task's own.")
@click.option("--priority", type=int, metavar="N", help="Bigger runs first.")
@click.option("--key", metavar="KEY", help="At most one live record has this key.")
@click.option("--wait", is_flag=True, help="Until it has ended, and print its result.")
@click.option("--timeout", type=DURATION, metavar="DURATION", help="Wait no longer; the task goes on.")
@json_option
def enqueue(
    name: str,
    args: list[Any],
    kwargs: dict[str, Any],
    wait: bool,
    timeout: float | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Enqueue a task by its registered name, and print the record's id.

    With --wait it prints the result as JSON, and the exit code tells the outcome.

    Exit codes: 0 stored, or completed; 1 refused, or the backend failed; 2 a wrong option; with --wait also 3 the
    task failed, 4 it was cancelled, 5 it has not ended in time.
    """
    from litestar_queues.minting import EnqueueSpec

    if timeout is not None and not wait:
        raise click.UsageError("--timeout says how long to wait: add --wait")
    spec = EnqueueSpec(name, args, kwargs, **options)
    handle = ask(lambda service: _enqueue(service, spec, wait=wait, timeout=timeout))
    if not handle.created:
        click.echo(f"Note: the key was taken, so this record has it: {handle.id}", err=True)
    if wait:
        _tell_outcome(handle, as_json=as_json)
    else:
        answer = {"id": handle.id, "task": handle.task_name, "created": handle.created}
        click.echo(to_json(answer) if as_json else handle.id)


async def _enqueue(service: QueueService, spec: Any, *, wait: bool, timeout: float | None) -> TaskResult:
    # workers turn JSON into the types of the parameters; what will not fit then is better refused now
    service.registry.require(spec.task).signature.convert(list(spec.args), dict(spec.kwargs))
    [handle] = await service.enqueue_many([spec])
    if wait:
        click.echo(f"enqueued {handle.id}", err=True)
        try:
            await handle.wait(timeout)
        except TimeoutError:
            await handle.refresh()
    return handle


def _tell_outcome(handle: TaskResult, *, as_json: bool) -> None:
    record = handle.record
    assert record is not None  # it was waited for
    code = _OUTCOMES.get(record.status, _NOT_ENDED)
    if as_json:
        click.echo(to_json(record))
        raise click.exceptions.Exit(code)
    if code == 0:
        tell(to_json(record.result), code)
    if code == _NOT_ENDED:
        tell(f"still {record.status}: see `litestar queues show {record.id}`", code)
    tell(f"{record.status}: {plain(record.error or 'no reason is stored')}", code)
