"""In: the code itself. Out: the parts of the reference that it knows best, as directives that give Markdown tables.

`{commands}` shows every command with its options and exit codes, `{settings}` the fields of `QueueConfig`, `{metrics}`
the families of workers or of the exporter, `{probe-usage}` the help of the probe, `{chart-values}` the chart's values.
Nothing of it is written down twice.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]


class Generated(SphinxDirective):
    """A directive whose content comes from the code."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Give the nodes of the Markdown that was written."""
        return self.parse_text_to_nodes(self.markdown(), allow_section_headings=True)

    def markdown(self) -> str:
        """Write it."""
        raise NotImplementedError


class Commands(Generated):
    """Every command of `litestar queues`, each with its help and its options."""

    def markdown(self) -> str:
        """Walk the group."""
        from litestar_queues.cli import queues

        context = click.Context(queues, info_name="litestar queues")
        return "\n".join(_describe(queues, context))


def _describe(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield _command(command, inner)
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                yield _command(command, inner)
            yield from _describe(command, inner)


def _command(command: click.Command, context: click.Context) -> str:
    pieces = " ".join(command.collect_usage_pieces(context))
    text = inspect.cleandoc(command.help or "")
    rows = [row for one in command.params if (row := one.get_help_record(context)) is not None]
    table = "".join(f"| `{_cell(names)}` | {_cell(text)} |\n" for names, text in rows if names.startswith("-"))
    head = f"\n## `{context.command_path}`\n\n```text\n{context.command_path} {pieces}\n```\n\n{text}\n"
    return f"{head}\n| option | |\n|---|---|\n{table}" if table else head


class Settings(Generated):
    """The fields of `QueueConfig`, with their variables, what they accept and their defaults."""

    def markdown(self) -> str:
        """Read fields and the texts under them."""
        from litestar_queues.config import ENV_PREFIX, QueueConfig
        from litestar_queues.settings import SETTINGS

        texts = field_texts(QueueConfig)
        parts = []
        for one in fields(QueueConfig):
            accepts = SETTINGS[one.name].accepts + (", or `none`" if SETTINGS[one.name].optional else "")
            default = f"`{one.default!r}`" if one.default is not MISSING else "`QueueEventConfig()`"
            parts.append(
                f"## `{one.name}`\n\n{_code(texts[one.name])}\n\n"
                f"| variable | accepts | default |\n|---|---|---|\n"
                f"| `{ENV_PREFIX}{one.name.upper()}` | {_cell(accepts)} | {_cell(default)} |\n"
            )
        return "\n".join(parts)


def field_texts(cls: type) -> dict[str, str]:
    """The texts that stand under the fields of a class."""
    module = ast.parse(inspect.getsource(sys.modules[cls.__module__]))
    [body] = [node.body for node in module.body if isinstance(node, ast.ClassDef) and node.name == cls.__name__]
    return {
        before.target.id: " ".join(inspect.cleandoc(after.value.value).split())
        for before, after in pairwise(body)
        if isinstance(before, ast.AnnAssign)
        and isinstance(before.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        and isinstance(after.value.value, str)
    }


class Metrics(Generated):
    """The families of metrics of `worker` or `exporter`."""

    required_arguments: ClassVar[int] = 1

    def markdown(self) -> str:
        """Collect them once and tell what they are."""
        families = asyncio.run(_worker() if self.arguments[0] == "worker" else _exporter())
        rows = sorted(
            (f"{one.name}{_SUFFIXES.get(one.type, '')}", one.type, ", ".join(one._labelnames), one.documentation)
            for one in families
        )
        table = "".join(f"| `{name}` | {kind} | {labels} | {_cell(text)} |\n" for name, kind, labels, text in rows)
        return f"| metric | type | labels | |\n|---|---|---|---|\n{table}"


_SUFFIXES = {"counter": "_total", "info": "_info"}


async def _worker() -> list[Any]:
    from litestar_queues import Worker
    from litestar_queues.metrics import WorkerMetrics
    from litestar_queues.testing import memory_queue

    async with memory_queue() as service:
        return list(WorkerMetrics(Worker(service)).collect())


async def _exporter() -> list[Any]:
    from litestar_queues.exporter import QueueExporter
    from litestar_queues.testing import memory_queue

    async with memory_queue() as service:
        exporter = QueueExporter(service)
        look = await exporter.look()
        assert look.findings is not None
        # a canary that never ran has no age: let it have one
        seen = look._replace(findings=look.findings._replace(canary_age=0.0))
        return list(exporter._collect(seen))


class ProbeUsage(Generated):
    """What `litestar-queues-probe --help` prints."""

    def markdown(self) -> str:
        """Take its text."""
        from litestar_queues import probe

        return f"```text\n{probe._USAGE}\n```"


class ChartValues(Generated):
    """The values of the Helm chart that have a text, with their defaults."""

    def markdown(self) -> str:
        """Take the table of the chart's README, which a test holds equal to values.yaml."""
        text = (ROOT / "charts/litestar-queues/README.md").read_text("utf-8")
        return text.partition("<!-- written by")[2].partition("-->")[2].partition("<!--")[0]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str) -> str:
    """A text in which code stands in two backquotes, as Markdown has it."""
    return text.replace("``", "`")


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the directives."""
    app.add_directive("commands", Commands)
    app.add_directive("settings", Settings)
    app.add_directive("metrics", Metrics)
    app.add_directive("probe-usage", ProbeUsage)
    app.add_directive("chart-values", ChartValues)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
