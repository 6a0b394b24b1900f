"""In: ``litestar queues status`` and ``scheduler-health``. Out: counts, and whether the fleet lives."""

from __future__ import annotations

import sys

import click

from litestar_queues.cli.app import ask, note_if_private, queue_service
from litestar_queues.cli.group import queues, tell
from litestar_queues.cli.options import seconds


@queues.command()
@click.option("--queue", metavar="NAME", help="Advisory: counts are of all queues.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(queue: str | None, as_json: bool) -> None:
    """Count records by status.

    Exit codes: 0 success, 1 the backend failed.
    """
    if queue is not None:
        click.echo(f"Note: --queue {queue} is advisory, these are the counts of all queues", err=True)
    service = queue_service()
    note_if_private(service, "this command sees no records of others")
    counts = ask(lambda service: service.get_statistics(), service).as_dict()
    click.echo(_to_json(counts) if as_json else _table(counts))


@queues.command("scheduler-health")
@click.option(
    "--minutes",
    type=float,
    default=5,
    metavar="N",
    show_default=True,
    help="How old the canary's last completion may be.",
    callback=seconds,
)
def scheduler_health(minutes: float) -> None:
    """Say whether the fleet claims and finishes, by the canary task's last completion.

    Exit codes: 0 healthy, 1 the backend failed, 3 the canary is not registered, 4 stale.
    """
    from datetime import UTC, datetime, timedelta

    from litestar_queues.probe import HEALTHY, NO_CANARY, STALE, say_no_canary

    service = queue_service()
    service.load_tasks()
    name = service.config.scheduler_canary_task
    if name not in service.registry.scheduled():
        tell(say_no_canary(name), NO_CANARY)
    note_if_private(service, "this command sees no worker")
    completed_at = ask(lambda service: service.canary_health(), service)
    if completed_at is None or datetime.now(UTC) - completed_at > timedelta(minutes=minutes):
        last = "it never has" if completed_at is None else f"the last time was {completed_at}"
        tell(f"stale: {name} has not completed within {minutes:g} minutes, {last}", STALE)
    tell(f"healthy: {name} completed {completed_at}", HEALTHY)


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
