"""In: ``litestar queues retry``, ``cancel`` and ``purge``. Out: records that run again, do not run, or are gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import click

from litestar_queues.cli.app import ask, shared_service
from litestar_queues.cli.group import INTERRUPTED, fail, queues, tell
from litestar_queues.cli.options import DURATION, filter_options, json_option, record_filter, yes_option
from litestar_queues.cli.printing import duration, plain, to_json
from litestar_queues.cli.progress import progress
from litestar_queues.status import LIVE, TERMINAL, TaskStatus
from litestar_queues.steering import RETRIABLE, why_not_cancelled, why_not_retried

if TYPE_CHECKING:
    from litestar_queues.records import QueuedTaskRecord, RecordFilter
    from litestar_queues.service import QueueService

_NOT_ALL = 3
_BATCH = 500
_MOST_TOLD = 20
_LIVE: Final = tuple(one for one in TaskStatus if one in LIVE)
_ENDED: Final = tuple(one for one in TaskStatus if one in TERMINAL)

_ids = click.argument("ids", metavar="[ID]...", nargs=-1, type=click.UUID)
_dry_run = click.option("--dry-run", is_flag=True, help="Say how many, and change nothing.")


@dataclass(frozen=True, slots=True)
class _Verb:
    """One way to change records."""

    name: str
    done: str
    statuses: Sequence[TaskStatus]
    """Of the records that filters find."""
    apply: Callable[[QueueService, Sequence[UUID]], Awaitable[Mapping[UUID, TaskStatus]]]
    refusal: Callable[[QueuedTaskRecord], str]
    """Why a record was left alone."""


@dataclass(slots=True)
class _Change:
    """How far a change has come; a signal may end it at any step."""

    wanted: int = 0
    changed: int = 0
    stopping: int = 0
    """Of these: how many run until their workers have stopped them."""
    refused: dict[UUID, str] = field(default_factory=dict)


@queues.command()
@_ids
@filter_options(*RETRIABLE)
@_dry_run
@yes_option
@json_option
def retry(**given: Any) -> None:
    """Make failed and cancelled records pending again, with a fresh set of attempts: those of the ids, or all found.

    Filters without --status find failed ones. What filters find is asked about first.

    Exit codes: 0 success, also where filters find none; 1 the backend failed, or nobody said yes; 2 a wrong option;
    3 some of the records were left alone, and why; 130 interrupted.
    """

    async def apply(service: QueueService, ids: Sequence[UUID]) -> Mapping[UUID, TaskStatus]:
        return dict.fromkeys(await service.backend.retry_many(ids), TaskStatus.PENDING)

    _run(_Verb("retry", "retried", (TaskStatus.FAILED,), apply, why_not_retried), **given)


@queues.command()
@_ids
@filter_options(*_LIVE)
@click.option("--running", is_flag=True, help="Also running ones: ask their workers to stop them.")
@_dry_run
@yes_option
@json_option
def cancel(running: bool, **given: Any) -> None:
    """Cancel records that wait: those of the ids, or all found.

    What filters find is asked about first.

    Exit codes: 0 success, also where filters find none; 1 the backend failed, or nobody said yes; 2 a wrong option;
    3 some of the records were left alone, and why; 130 interrupted.
    """
    running = running or given["status"] == TaskStatus.RUNNING

    async def apply(service: QueueService, ids: Sequence[UUID]) -> Mapping[UUID, TaskStatus]:
        return await service.backend.cancel_many(ids, include_running=running)

    statuses = [one for one in _LIVE if running or one is not TaskStatus.RUNNING]
    _run(_Verb("cancel", "cancelled", statuses, apply, _why_not_cancelled), **given)


def _run(verb: _Verb, *, ids: Sequence[UUID], dry_run: bool, yes: bool, as_json: bool, **filters: Any) -> None:
    has_filter = any(value is not None for value in filters.values())
    if has_filter == bool(ids):
        msg = f"name the ids of records to {verb.name}, or filters such as --task NAME, not both"
        raise click.UsageError(msg)
    service = shared_service()
    wanted = list(dict.fromkeys(ids)) or ask(lambda _: _find(service, record_filter(**filters), verb), service)
    if dry_run:
        click.echo(to_json({"found": len(wanted)}) if as_json else f"would {verb.name} {_records(len(wanted))}")
        return
    if has_filter and wanted and not yes:
        click.confirm(f"{verb.name.capitalize()} {_records(len(wanted))}?", abort=True, err=True)
    change = _Change(len(wanted))
    try:
        ask(lambda _: _apply(service, wanted, verb, change), service)
    except KeyboardInterrupt:
        fail(f"interrupted: {change.changed:,} of {_records(change.wanted)} {verb.done}", INTERRUPTED)
    _tell_change(verb, change, as_json=as_json)


async def _find(service: QueueService, which: RecordFilter, verb: _Verb) -> list[UUID]:
    """The ids of all that the filter finds; what is enqueued or fails later is not among them."""
    found: list[UUID] = []
    with progress("found") as advance:
        for status in [which.status] if which.status else verb.statuses:
            page = replace(which, status=status, limit=_BATCH, oldest_first=True)
            while records := await service.backend.list_records(page):
                found += [record.id for record in records]
                advance(len(records))
                page = replace(page, after=found[-1])
    return found


async def _apply(service: QueueService, ids: Sequence[UUID], verb: _Verb, change: _Change) -> None:
    with progress(verb.done, len(ids)) as advance:
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            changed = await verb.apply(service, batch)
            change.changed += len(changed)
            change.stopping += sum(status is TaskStatus.RUNNING for status in changed.values())
            advance(len(batch))
            if left := [one for one in batch if one not in changed]:
                records = await service.backend.get_many(left)
                change.refused |= {
                    one: verb.refusal(records[one]) if one in records else "there is no such record" for one in left
                }


def _tell_change(verb: _Verb, change: _Change, *, as_json: bool) -> None:
    if as_json:
        click.echo(to_json({"changed": change.changed, "stopping": change.stopping, "left_alone": change.refused}))
    elif change.changed or not change.refused:
        stopping = f" ({change.stopping:,} still running, told to stop)" if change.stopping else ""
        click.echo(f"{verb.done} {_records(change.changed)}{stopping}")
    for one, reason in [*change.refused.items()][:_MOST_TOLD]:
        click.echo(f"left alone {one}: {plain(reason)}", err=True)
    if len(change.refused) > _MOST_TOLD:
        click.echo(f"left alone {len(change.refused) - _MOST_TOLD:,} more", err=True)
    if change.refused:
        raise click.exceptions.Exit(_NOT_ALL)


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count:,} records"


def _why_not_cancelled(record: QueuedTaskRecord) -> str:
    if record.status is TaskStatus.RUNNING:
        return "it is running: add --running to ask its worker to stop it"
    return why_not_cancelled(record)


@queues.command()
@click.option("--older-than", type=DURATION, required=True, metavar="AGE", help="Ended longer ago than 12h, 7d.")
@click.option(
    "--status", "statuses", type=click.Choice([str(one) for one in _ENDED]), multiple=True, help="Only in this state."
)
@_dry_run
@yes_option
@json_option
def purge(older_than: float, statuses: tuple[str, ...], dry_run: bool, yes: bool, as_json: bool) -> None:
    """Delete records that have ended, in small batches; workers do it too, by the settings of retention.

    Exit codes: 0 success, 1 the backend failed, or nobody said yes, 2 a wrong option, 130 interrupted.
    """
    wanted = [TaskStatus(one) for one in dict.fromkeys(statuses)] or list(_ENDED)
    service = shared_service()
    if dry_run or not yes:
        found = ask(lambda _: _count_old(service, older_than, wanted), service)
        if dry_run:
            tell(to_json({"found": found}) if as_json else f"would delete {_records(sum(found.values()))}", 0)
        age = f"that ended more than {duration(older_than)} ago"
        click.confirm(f"Delete {_records(sum(found.values()))} ({', '.join(wanted)}) {age}?", abort=True, err=True)
    purged = dict.fromkeys(wanted, 0)
    try:
        ask(lambda _: _purge(service, older_than, purged), service)
    except KeyboardInterrupt:
        fail(f"interrupted: deleted {_records(sum(purged.values()))}", INTERRUPTED)
    tell(to_json({"purged": purged}) if as_json else f"deleted {_records(sum(purged.values()))}", 0)


async def _count_old(service: QueueService, older_than: float, wanted: Sequence[TaskStatus]) -> dict[TaskStatus, int]:
    return {status: await service.purge(status, older_than, dry_run=True) for status in wanted}


async def _purge(service: QueueService, older_than: float, purged: dict[TaskStatus, int]) -> None:
    with progress("deleted") as advance:
        for status in purged:
            while count := await service.purge(status, older_than, limit=_BATCH):
                purged[status] += count
                advance(count)
