"""In: values of records and workers. Out: text that a terminal shows as it stands, and JSON, both without passwords."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from litestar_queues.texts import escaped, without_passwords

__all__ = ("duration", "moment", "plain", "plain_lines", "shortened", "since", "table", "to_json")

_LONGEST_CELL = 60
_UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def plain(text: object) -> str:
    """The text in one line, with what could move the cursor or reorder letters written as an escape."""
    return without_passwords(escaped(str(text)))


def plain_lines(text: str) -> list[str]:
    """A traceback, line by line."""
    return [plain(line.expandtabs(4)) for line in text.split("\n")]


def shortened(text: object, most: int = _LONGEST_CELL) -> str:
    """The text as :func:`plain` gives it, cut where it would spoil a table."""
    shown = plain(text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns side by side, as ``status`` has them; whole numbers stand at the right of theirs."""
    from rich.cells import cell_len  # some letters take two columns, or none

    cells = [[shortened(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(heads, *cells, strict=True)]
    right = [bool(rows) and all(isinstance(row[at], int) for row in rows) for at in range(len(heads))]

    def line(texts: Sequence[str]) -> str:
        padded = [
            f"{' ' * (width - cell_len(text))}{text}" if is_right else f"{text}{' ' * (width - cell_len(text))}"
            for text, width, is_right in zip(texts, widths, right, strict=True)
        ]
        return "  ".join(padded).rstrip()

    return "\n".join([line(heads), "  ".join("-" * width for width in widths), *map(line, cells)])


def to_json(value: Any) -> str:
    """One line of ASCII, in which no terminal finds anything to obey."""
    import msgspec

    return without_passwords(json.dumps(msgspec.to_builtins(value, str_keys=True), separators=(",", ":")))


def moment(at: datetime | None) -> str:
    """A time in UTC to the second; ``-`` where there is none."""
    return "-" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def since(at: datetime | None) -> str:
    """How long ago it was by this machine's clock."""
    return "-" if at is None else duration((datetime.now(UTC) - at).total_seconds())


def duration(seconds: float | None) -> str:
    """A time span in the largest unit that it fills."""
    if seconds is None:
        return "-"
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{max(0.0, seconds):.1f} s"
