"""In: ``litestar queues schedules``. Out: when each is due and how it went last; one run now, paused, resumed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

import click

from litestar_queues.cli.app import ask
from litestar_queues.cli.group import OneLineGroup, queues, tell
from litestar_queues.cli.options import SCHEDULE, json_option
from litestar_queues.cli.printing import moment, plain, since, table, to_json
from litestar_queues.errors import InvalidArgumentError, UnknownTaskError

if TYPE_CHECKING:
    from litestar_queues.records import QueuedTaskRecord
    from litestar_queues.service import QueueService
    from litestar_queues.ticks import ScheduleRow

_NOT_THERE = 3
_HEADS = ("Schedule", "State", "Next due", "Last due", "Last outcome", "Definition")


@queues.group(cls=OneLineGroup, invoke_without_command=True)
@json_option
@click.pass_context
def schedules(context: click.Context, as_json: bool) -> None:
    """List schedules: when each is due next, and how its last run ended.

    Exit codes: 0 success, 1 the backend failed.
    """
    if context.invoked_subcommand is not None:
        return
    found = ask(_look)
    click.echo(to_json({"schedules": found}) if as_json else table(_HEADS, [_row(one) for one in found]))


async def _look(service: QueueService) -> list[dict[str, Any]]:
    rows = await service.list_schedules()
    last = await service.backend.get_many([row.last_record for row in rows if row.last_record is not None])
    known = service.registry.scheduled()
    stored = [_as_dict(row, last, is_known=row.name in known) for row in rows]
    names = {row.name for row in rows}
    return stored + [
        _new(name, schedule.definition, schedule.task_name) for name, schedule in known.items() if name not in names
    ]


def _as_dict(row: ScheduleRow, last: Mapping[UUID, QueuedTaskRecord], *, is_known: bool) -> dict[str, Any]:
    record = None if row.last_record is None else last.get(row.last_record)
    return {
        "name": row.name,
        "task": row.task,
        "definition": row.definition,
        "state": _state(row, is_known=is_known),
        "next_at": None if row.paused else row.next_at,
        "last_at": row.last_at,
        "last_record": row.last_record,
        "last_status": None if record is None else record.status,
        "last_error": None if record is None else record.error,
    }


def _state(row: ScheduleRow, *, is_known: bool) -> str:
    if row.paused:
        return "paused"
    if not is_known:
        return "not in this app"
    late = (datetime.now(UTC) - row.next_at).total_seconds()
    return f"overdue {since(row.next_at)}" if late > 1 else "active"


def _new(name: str, definition: str, task: str) -> dict[str, Any]:
    """One that no worker has stored yet."""
    nothing = dict.fromkeys(("next_at", "last_at", "last_record", "last_status", "last_error"))
    return {"name": name, "task": task, "definition": definition, "state": "no worker yet", **nothing}


def _row(one: Mapping[str, Any]) -> tuple[object, ...]:
    outcome = " ".join(filter(None, (one["last_status"], one["last_error"])))
    return one["name"], one["state"], moment(one["next_at"]), moment(one["last_at"]), outcome or "-", one["definition"]


@schedules.command("run")
@click.argument("name", type=SCHEDULE)
@json_option
def run_now(name: str, as_json: bool) -> None:
    """Make one more record of a schedule, due at once; its next due time stays as it is.

    Exit codes: 0 success, 1 refused, or the backend failed, 3 there is none of that name.
    """
    try:
        handle = ask(lambda service: service.run_schedule_now(name))
    except UnknownTaskError:
        raise
    except InvalidArgumentError as error:
        tell(str(error), _NOT_THERE)
    click.echo(to_json({"id": handle.id, "task": handle.task_name}) if as_json else handle.id)


@schedules.command("pause")
@click.argument("name", type=SCHEDULE)
def pause_schedule(name: str) -> None:
    """Let a schedule make no records until it is resumed.

    Exit codes: 0 success, 1 the backend failed, 3 there is none of that name.
    """
    if not ask(lambda service: service.pause_schedule(name)):
        _not_there(name)
    click.echo(f"paused {plain(name)}")


@schedules.command("resume")
@click.argument("name", type=SCHEDULE)
def resume_schedule(name: str) -> None:
    """Let a paused schedule make records again.

    Exit codes: 0 success, 1 the backend failed, 3 there is none of that name.
    """
    if not ask(lambda service: service.resume_schedule(name)):
        _not_there(name)
    click.echo(f"resumed {plain(name)}")


def _not_there(name: str) -> NoReturn:
    tell(f"no worker has stored a schedule {plain(name)!r}: see `litestar queues schedules`", _NOT_THERE)
