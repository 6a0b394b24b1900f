"""In: the ``.sql`` files of one dialect. Out: their statements by name, read once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

__all__ = ("load_statements", "read_scripts")

_NAME = "-- name: "


@cache
def load_statements(dialect: str) -> Mapping[str, str]:
    """Read every statement of ``queries/<dialect>``; comments are left out, names are unique.

    One with two names, ``page_newest, page_oldest``, is there a second time in the other direction: without ``desc``.
    """
    statements: dict[str, str] = {}
    for script in read_scripts(f"queries/{dialect}").values():
        for name, text in _split(script):
            if name in statements:
                msg = f"two {dialect} statements are named {name!r}"
                raise ValueError(msg)
            statements[name] = text
    return statements


def read_scripts(path: str) -> dict[str, str]:
    """Read the ``.sql`` files of a folder of this package in the order of their names."""
    folder = files(__package__)
    for part in path.split("/"):
        folder /= part
    scripts = (item for item in folder.iterdir() if item.name.endswith(".sql"))
    return {item.name: item.read_text(encoding="utf-8") for item in sorted(scripts, key=lambda item: item.name)}


def _split(script: str) -> list[tuple[str, str]]:
    found: list[tuple[str, list[str]]] = []
    for line in script.splitlines():
        if line.startswith(_NAME):
            found.append((line.removeprefix(_NAME).strip(), []))
        elif found and line.strip() and not line.startswith("--"):
            found[-1][1].append(line)
    return [
        (name, text.replace(" desc", "") if is_second else text)
        for names, text in ((names, "\n".join(lines)) for names, lines in found)
        for is_second, name in enumerate(names.split(", "))
    ]
