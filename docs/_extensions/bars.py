"""In: names and figures. Out: a bar chart as inline SVG, in the colours of the page.

```{bars} Tasks a second
ours: 23600
River (Go): 21000
```
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

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

    def run(self) -> list[nodes.Node]:
        """Draw it."""
        title = self.arguments[0]
        try:
            lines = [read(line) for line in self.content if line.strip()]
        except ValueError as error:
            raise self.error(str(error)) from error
        return [nodes.raw("", f'<figure class="bars">{draw(title, lines)}</figure>', format="html")]


def read(line: str) -> tuple[str, float]:
    """Read `name: figure`.

    Raises:
        ValueError: It has another form.
    """
    name, colon, figure = line.rpartition(":")
    if not colon:
        msg = f"{line!r} is not of the form `name: figure`"
        raise ValueError(msg)
    return name.strip(), float(figure.replace(",", ""))


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
