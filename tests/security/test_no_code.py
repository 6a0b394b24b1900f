"""In: the source of the library. Out: nothing in it turns data into code, or runs other programs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "litestar_queues"

DANGEROUS_MODULES = {
    "code", "codeop", "copyreg", "dill", "cloudpickle", "jsonpickle", "marshal", "os.system", "pickle", "pty",
    "runpy", "shelve", "shlex", "subprocess", "xml", "yaml", "zipimport",
}  # fmt: skip
DANGEROUS_CALLS = {"eval", "exec", "compile", "__import__", "execfile", "input", "breakpoint", "system", "popen"}
HARMLESS = {("re", "compile")}
"""Calls of that name which make no code."""
IMPORTERS = {
    "__init__.py": "public names, from a table of ours",
    "backends/postgres/drivers.py": "a driver, from a table of ours",
    "discovery.py": "task modules, from the app's code and settings",
    "settings.py": "module:attribute, from the app's environment",
}
"""Where modules are imported by a name that is no literal, and whose name that is: never one of a record."""


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text("utf-8"))


def faults(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names if name.name.partition(".")[0] in DANGEROUS_MODULES)
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in DANGEROUS_MODULES:
                yield module
            case ast.Call(func=ast.Name(id=name)) if name in DANGEROUS_CALLS:
                yield f"{name}()"
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=name)) if name in DANGEROUS_CALLS:
                if (owner, name) not in HARMLESS:
                    yield f"{owner}.{name}()"
            case ast.Call(func=ast.Attribute(attr=name)) if name in DANGEROUS_CALLS:
                yield f"....{name}()"


def imports_by_name(tree: ast.AST) -> bool:
    return any(
        isinstance(node, (ast.Attribute, ast.alias))
        and (getattr(node, "attr", None) or getattr(node, "name", None)) == "import_module"
        for node in ast.walk(tree)
    )


def test_nothing_turns_data_into_code() -> None:
    assert {name: found for name, tree in trees() if (found := list(faults(tree)))} == {}


def test_modules_are_imported_by_name_only_where_the_app_itself_names_them() -> None:
    assert {name for name, tree in trees() if imports_by_name(tree)} == set(IMPORTERS)


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import xml.etree.ElementTree",
        "eval(x)",
        "builtins.exec(x)",
        "a.b.system(x)",
        "compile(x, '', 'exec')",
        "import os; os.popen('id')",
    ],
)
def test_the_look_finds_what_it_looks_for(code: str) -> None:
    assert list(faults(ast.parse(code)))
