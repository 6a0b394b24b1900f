"""In: what was measured. Out: a table that says for each target whether it is met, and by how much."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ("Result", "markdown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One line of the table."""

    what: str
    value: float
    unit: str
    limit: float | None = None
    """What the machine itself allows, measured in the same run."""
    limit_is: str = ""
    target: float | None = None
    """In the unit of the value, or in that of ``judged``."""
    target_is: str = ""
    judged: float | None = None
    """The number that the target speaks of, where it is not the value: a ratio, a difference."""
    better: Literal["more", "less"] = "more"

    @property
    def verdict(self) -> str:
        """Whether the target is met, and the distance."""
        if self.target is None:
            return ""
        got = self.value if self.judged is None else self.judged
        ratio = got / self.target if self.better == "more" else self.target / got if got > 0 else float("inf")
        if ratio >= 1:
            return f"met, {_margin(ratio)}"
        return f"MISSED, short by {(1 - ratio) * 100:.0f} %"

    def cells(self) -> list[str]:
        """The line."""
        limit = "" if self.limit is None else f"{number(self.limit)} {self.limit_is}".strip()
        ratio = "" if not self.limit else share(self.value / self.limit)
        return [self.what, f"{number(self.value)} {self.unit}", limit, ratio, self.target_is, self.verdict]


def markdown(results: Iterable[Result]) -> str:
    """The table."""
    rows = [["workload", "value", "raw limit", "of the limit", "target", ""], *(one.cells() for one in results)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in padded]
    lines.insert(1, f"|{'|'.join('-' * (width + 2) for width in widths)}|")
    return "\n".join(lines)


def _margin(ratio: float) -> str:
    if ratio >= 100:  # a difference that is lost in the noise
        return "by far"
    return f"{ratio:.0f} times over" if ratio >= 3 else f"{(ratio - 1) * 100:.0f} % to spare"


def number(value: float) -> str:
    """Three digits, or whole thousands."""
    if abs(value) >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"


def share(ratio: float) -> str:
    """A ratio in the form that reads best."""
    return f"{ratio * 100:.0f} %" if ratio < 1.5 else f"{ratio:.3g} x"
