"""In: depths of queues and the stored schedules. Out: the overview as one HTML document without script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape

from litestar_queues.records import QueueDepth
from litestar_queues.ticks import ScheduleRow

__all__ = ("message", "overview")

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def overview(base: str, depths: Sequence[QueueDepth], schedules: Sequence[ScheduleRow], canary: datetime | None) -> str:
    """The page that an operator opens first."""
    queues = _table(
        "Live records by queue",
        ("Queue", "Pending", "Scheduled", "Running", "Oldest due"),
        ((row.queue, row.pending, row.scheduled, row.running, _age(row.oldest_due_age)) for row in depths),
        "No queue holds a live record.",
    )
    ticks = _table(
        "Schedules",
        ("Schedule", "Next due"),
        ((row.name, "paused" if row.paused else _moment(row.next_at)) for row in schedules),
        "No schedule is stored.",
    )
    return _document(base, f"<p>Canary last completed: {escape(_moment(canary))}</p>\n{queues}\n{ticks}")


def message(base: str, sentence: str) -> str:
    """A page with one sentence."""
    return _document(base, f'<p role="alert">{escape(sentence)}</p>')


def _document(base: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Queues</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="stylesheet" href="{escape(base)}/dashboard.css">\n</head>\n'
        f"<body>\n<main>\n<h1>Queues</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[object]], none: str) -> str:
    lines = "\n".join(_row(cells) for cells in rows)
    if not lines:
        return f"<h2>{escape(caption)}</h2>\n<p>{escape(none)}</p>"
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    return (
        f"<table>\n<caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{lines}\n</tbody>\n</table>"
    )


def _row(cells: Sequence[object]) -> str:
    first, *others = (escape(str(cell)) for cell in cells)
    return f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in others) + "</tr>"


def _moment(moment: datetime | None) -> str:
    return "never" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "none"
    for length, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"
