"""In: a template's name and values. Out: HTML in which no value can be anything but text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from litestar_queues.errors import MissingDependencyError
from litestar_queues.texts import without_passwords

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ("age", "compile_templates", "link", "number", "readable", "render", "require_templates")

_MINUTE, _HOUR, _DAY = 60.0, 3_600.0, 86_400.0
_THOUSANDTH, _NEARLY_ONE, _TEN, _HUNDRED = 0.001, 0.9995, 10, 100
_LONGEST = 50_000
"""Characters that are shown of one argument list, result or metadata."""
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
"""Control characters, those that turn the direction of writing or take no room, and halves of characters."""


def render(template: str, values: Mapping[str, Any]) -> str:
    """Fill a template of ours."""
    return _environment().get_template(template).render(values)


def require_templates() -> None:
    """See that the template engine is there.

    Raises:
        MissingDependencyError: It is not; the message says how to install it.
    """
    _environment()


def compile_templates() -> None:
    """Make all of them ready, so that no request waits for it."""
    for name in _environment().list_templates():
        _environment().get_template(name)


def link(base: str, *path: str, **query: object) -> str:
    """An address below the dashboard; empty parts of the query are left out."""
    asked = {name: value for name, value in query.items() if value not in (None, "")}
    address = "/".join((base, *(quote(part, safe="") for part in path)))
    return f"{address}?{urlencode(asked)}" if asked else address


def age(seconds: float | None) -> str:
    """A span in the unit that fits."""
    if seconds is None:
        return "none"
    for length, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= length:
            return f"{seconds / length:.1f}".removesuffix(".0") + f" {unit}"
    if seconds <= 0:
        return "0 s"
    if seconds < _THOUSANDTH:
        return "under 1 ms"
    amount, unit = (seconds, "s") if seconds >= _NEARLY_ONE else (seconds * 1000, "ms")
    return f"{amount:.0f} {unit}" if amount >= _TEN else f"{amount:.2g} {unit}"


def number(value: float) -> str:
    """A count or a rate, with thousands set apart."""
    if value == int(value) or value >= _HUNDRED:
        return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{value:.1f}"


def readable(value: Any) -> Any:
    """Text whose invisible characters are written out; every value passes here on its way into a page."""
    if type(value) is not str:
        return value
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", without_passwords(value))


@cache
def _environment() -> Environment:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        msg = "the dashboard needs jinja2: pip install 'litestar-queues[dashboard]'"
        raise MissingDependencyError(msg) from error
    environment = Environment(
        loader=PackageLoader("litestar_queues.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=readable,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        age=age,
        number=number,
        moment=_moment,
        clock=_clock,
        since=_since,
        scale=_scale,
        pretty=_pretty,
        percent=_percent,
        ticks=_ticks,
    )
    return environment


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _clock(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%H:%M")


def _scale(seconds: float) -> str:
    """A line of a scale: round, so that it needs no places behind the point."""
    for length, unit in ((_HOUR, "h"), (_MINUTE, "min"), (1.0, "s")):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds * 1000:.0f} ms"


def _since(moment: datetime, now: datetime) -> str:
    """How long ago, or in how long."""
    seconds = (now - moment).total_seconds()
    return f"{age(seconds)} ago" if seconds >= 0 else f"in {age(-seconds)}"


def _ticks(definition: str) -> str:
    """When a schedule ticks, from the text by which it is stored."""
    kind, _, rest = definition.partition(" ")
    return f"every {age(float(rest))}" if kind == "interval" else rest if kind == "cron" else definition


def _pretty(value: Any) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return (
        text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\n... and {number(len(text) - _LONGEST)} characters more"
    )


def _percent(part: float, whole: float) -> int:
    return round(100 * min(part / whole, 1.0)) if whole else 0
