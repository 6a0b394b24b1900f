"""In: figures, as lines or as a row of a table of the same page. Out: a bar chart as inline SVG, in the page's colours.

    ```{bars} Tasks a second
    ours: 23600
    River (Go): 21000
    ```

    ```{bars} Tasks a second
    :row: W4
    ```

The second reads the row whose first cell is `W4`, the last of several, from the column `ours` up to the targets.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx

WIDTH, LABELS, VALUES = 640, 170, 90
ROW, BAR = 30, 18


class Bars(SphinxDirective):
    """A figure of one bar for each line; that of the first line is ours."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec: ClassVar = {"row": str}

    def run(self) -> list[nodes.Node]:
        """Draw it."""
        title = self.arguments[0]
        try:
            lines = self.lines()
        except ValueError as error:
            raise self.error(str(error)) from error
        return [nodes.raw("", f'<figure class="bars">{draw(title, lines)}</figure>', format="html")]

    def lines(self) -> list[tuple[str, float]]:
        """Names and figures."""
        if "row" in self.options:
            page = Path(self.env.doc2path(self.env.docname)).read_text("utf-8")
            return from_table(page, self.options["row"])
        return [read(line) for line in self.content if line.strip()]


def from_table(page: str, row: str) -> list[tuple[str, float]]:
    """Read the row of a table by its first cell.

    Raises:
        ValueError: There is none, or it has no figures.
    """
    head: list[str] = []
    found: list[tuple[str, float]] = []
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if "ours" in cells:
            head = cells
        elif head and cells and cells[0] == row:
            end = next(i for i, name in enumerate(head) if name.startswith("target"))
            found = [(head[i], figure(cells[i])) for i in range(head.index("ours"), end) if cells[i]]
    if not found:
        msg = f"no table of this page has a row {row!r}"
        raise ValueError(msg)
    return found


def read(line: str) -> tuple[str, float]:
    """Read `name: figure`.

    Raises:
        ValueError: It has another form.
    """
    name, colon, text = line.rpartition(":")
    if not colon:
        msg = f"{line!r} is not of the form `name: figure`"
        raise ValueError(msg)
    return name.strip(), figure(text)


def figure(text: str) -> float:
    """Read a number with commas in it."""
    return float(text.replace(",", ""))


def draw(title: str, lines: list[tuple[str, float]]) -> str:
    """Draw the bars, each as long as its figure."""
    longest = max(value for _, value in lines)
    scale = (WIDTH - LABELS - VALUES) / longest
    height = ROW * (len(lines) + 1)
    rows = "".join(_row(i, name, value, value * scale) for i, (name, value) in enumerate(lines))
    words = "; ".join(f"{name} {value:,g}" for name, value in lines)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(f"{title}: {words}")}" '
        f'font-family="inherit" font-size="13" fill="currentColor">'
        f'<text x="0" y="18" font-weight="bold">{escape(title)}</text>{rows}</svg>'
    )


def _row(index: int, name: str, value: float, length: float) -> str:
    top = ROW * (index + 1)
    strength = "1" if index == 0 else "0.35"
    return (
        f'<text x="{LABELS - 8}" y="{top + 14}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{LABELS}" y="{top}" width="{max(length, 1):.1f}" height="{BAR}" fill-opacity="{strength}"/>'
        f'<text x="{LABELS + length + 6:.1f}" y="{top + 14}">{value:,g}</text>'
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the directive."""
    app.add_directive("bars", Bars)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
