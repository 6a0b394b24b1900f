"""In: the chart and its values. Out: what is written from them: manifests/base and the table in the chart's README.

``python -m tests.chart.written`` (``make manifests``) writes both; tests prove that they agree.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped, unused-ignore]

from tests.chart.tools import CHART, ROOT, find, load_all, render_text

__all__ = ("MANIFESTS", "README", "Value", "documented", "manifests", "readme")

MANIFESTS = ROOT / "manifests/base/litestar-queues.yaml"
README = CHART / "README.md"
_BEGIN, _END = "<!-- written by `make manifests` from values.yaml -->\n", "<!-- until here -->\n"
_KEY = re.compile(r"^(?P<indent> *)(?P<key>\w+):(?: |$)")
_INTO_ONE_LINE = 60


class Value(NamedTuple):
    """A value that users may set."""

    path: str
    default: Any
    text: str


def documented() -> Iterator[Value]:
    """Every value with a `# --` line, in the order of the file."""
    text = (CHART / "values.yaml").read_text("utf-8")
    defaults = load_all(text)[0]
    path: list[str] = []
    comment: list[str] = []
    for line in text.splitlines():
        words = line.strip()
        if words.startswith("# -- "):
            comment = [words.removeprefix("# -- ")]
        elif words.startswith("# ") and comment:
            comment.append(words.removeprefix("# "))
        elif match := _KEY.match(line):
            path = [*path[: len(match["indent"]) // 2], match["key"]]
            if comment:
                value = defaults
                for key in path:
                    value = value[key]
                yield Value(".".join(path), value, " ".join(comment))
            comment = []


def readme() -> str:
    """The README as it should be."""
    head, _, rest = README.read_text("utf-8").partition(_BEGIN)
    rows = "".join(f"| `{one.path}` | {_shown(one.default)} | {one.text} |\n" for one in documented())
    table = f"| value | default | |\n|---|---|---|\n{rows}"
    return f"{head}{_BEGIN}\n{table}\n{_END}{rest.partition(_END)[2]}"


def _shown(default: Any) -> str:
    text = "" if default in (None, "") else json.dumps(default)
    return f"`{text}`" if 0 < len(text) <= _INTO_ONE_LINE else "see values.yaml" if text else ""


class _Dumper(yaml.SafeDumper):  # type: ignore[misc, unused-ignore]
    """Indents lists too, and keeps the lines of a text."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)


def _text(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def manifests() -> str:
    """The chart with plain values, as kustomize's base: without a namespace, and not as Helm's property."""
    objects = load_all(render_text(ROOT / "manifests/values.yaml", release="litestar-queues"))
    for one in objects:
        del one["metadata"]["namespace"]
        del one["metadata"]["labels"]["app.kubernetes.io/managed-by"]
    text = yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, width=110)
    return f"# Written by `make manifests` from charts/litestar-queues and manifests/values.yaml.\n---\n{text}"


def main() -> None:
    """Write both; the manifests only where helm is."""
    README.write_text(readme(), "utf-8")
    if find("helm") is None:
        sys.exit("helm is not on PATH: manifests/base was not written, only the chart's README was")
    MANIFESTS.write_text(manifests(), "utf-8")


if __name__ == "__main__":
    main()
