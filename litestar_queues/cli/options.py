"""In: what was typed behind an option. Out: a value that fits, or one line about what is accepted."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from litestar_queues.status import TaskStatus

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from litestar_queues.records import RecordFilter

__all__ = (
    "DURATION",
    "QUEUE",
    "SCHEDULE",
    "TASK",
    "Duration",
    "JsonValue",
    "Name",
    "filter_options",
    "json_option",
    "log_format_option",
    "queue_names",
    "record_filter",
    "seconds",
    "yes_option",
)

_Command = TypeVar("_Command", bound=Callable[..., Any])

_UNITS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)([smhdw]?)")
_LONGEST: Final = 36_525 * 86_400.0


class Duration(click.ParamType):  # type: ignore[type-arg]  # older click has it plain
    """Seconds, or numbers with units: ``90``, ``10m``, ``1h30m``, ``7d``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the text as seconds."""
        text = str(value).strip().lower()
        parts = _PART.findall(text)
        total = sum(float(number) * _UNITS[unit] for number, unit in parts)
        if not parts or "".join(map("".join, parts)) != text or total > _LONGEST:
            self.fail(f"{value!r} is no duration: use one such as 90, 30s, 10m, 1h30m or 7d", param, ctx)
        return total


class Name(click.ParamType):  # type: ignore[type-arg]  # older click has it plain
    """A printable name, completed from the tasks of the app.

    Args:
        what: Of what it is the name.
    """

    def __init__(self, what: str) -> None:
        self.name = what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what no task, queue or key can be called."""
        from litestar_queues.options import LONGEST_NAME, is_name

        text = str(value)
        if not is_name(text):
            self.fail(f"{text!r} is no name: use a printable one of 1 to {LONGEST_NAME} characters", param, ctx)
        return text

    def shell_complete(self, ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names that the app knows; none where it cannot be asked."""
        from click.shell_completion import CompletionItem

        from litestar_queues.cli.app import names_to_complete

        return [CompletionItem(name) for name in names_to_complete(ctx, self.name) if name.startswith(incomplete)]


class JsonValue(click.ParamType):  # type: ignore[type-arg]  # older click has it plain
    """JSON of one kind.

    Args:
        kind: ``list`` or ``dict``.
        example: What to write.
    """

    name = "json"

    def __init__(self, kind: type, example: str) -> None:
        self._kind = kind
        self._example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the text, of which NaN and infinity are no part."""
        import msgspec

        try:
            read = msgspec.json.decode(value.encode())
        except (ValueError, RecursionError) as error:  # a lone surrogate too, from bytes that are no UTF-8
            self.fail(f"it cannot be read as JSON ({error}): write one such as {self._example}", param, ctx)
        if type(read) is not self._kind:
            what = "an array" if self._kind is list else "an object"
            self.fail(f"{what} is wanted, such as {self._example}", param, ctx)
        return read


DURATION: Final = Duration()
QUEUE: Final = Name("queue")
TASK: Final = Name("task")
SCHEDULE: Final = Name("schedule")
_TEXT: Final = Name("name")

json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
log_format_option: Final = click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    help="How log lines look; as the setting log_format says where left out.",
)
yes_option: Final = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


def filter_options(*statuses: TaskStatus) -> Callable[[_Command], _Command]:
    """Add the options by which records are chosen, ``--status`` among these."""
    options = (
        click.option("--status", type=click.Choice([str(one) for one in statuses]), help="In this state."),
        click.option("--queue", type=QUEUE, metavar="NAME", help="Of this queue."),
        click.option("--task", type=TASK, metavar="NAME", help="Of this task."),
        click.option("--key", type=_TEXT, metavar="KEY", help="With this key."),
        click.option("--schedule", type=SCHEDULE, metavar="NAME", help="Made by this schedule."),
        click.option("--worker", type=_TEXT, metavar="ID", help="Held now or last by this worker."),
        click.option("--older-than", type=DURATION, metavar="AGE", help="Enqueued longer ago than 10m, 2h, 7d."),
        click.option("--newer-than", type=DURATION, metavar="AGE", help="Enqueued less long ago than that."),
    )

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def record_filter(
    *,
    status: str | None,
    worker: str | None,
    older_than: float | None,
    newer_than: float | None,
    **others: Any,
) -> RecordFilter:
    """The filter that the options of :func:`filter_options` mean."""
    from litestar_queues.records import RecordFilter

    def ago(age: float | None) -> datetime | None:
        return None if age is None else datetime.now(UTC) - timedelta(seconds=age)

    return RecordFilter(
        status=None if status is None else TaskStatus(status),
        worker_id=worker,
        created_before=ago(older_than),
        created_after=ago(newer_than),
        **others,
    )


def seconds(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """A number of seconds or minutes, 0 or more."""
    # a range lets NaN and infinity through
    if value is not None and not 0 <= value < float("inf"):
        raise click.BadParameter("use a number, 0 or more", ctx=ctx, param=param)
    return value


def queue_names(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Names of queues."""
    if not all(name and name.isprintable() for name in value):
        raise click.BadParameter("use names of queues", ctx=ctx, param=param)
    return value
