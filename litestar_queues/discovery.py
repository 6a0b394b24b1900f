"""In: names of packages. Out: their task modules, imported, so that their tasks are registered."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Collection, Iterable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from litestar_queues.errors import InvalidArgumentError, QueueConfigurationError
from litestar_queues.registry import get_task_registry

__all__ = ("discover_tasks", "load_task_modules")

_NO_PACKAGES: Final = frozenset({"__pycache__", "node_modules"})


def discover_tasks(package: str, subpackage: str = "jobs", *, force_reload: bool = False) -> tuple[str, ...]:
    """Import every task module below a package, such as all of ``app.domain.<x>.jobs``.

    Only modules whose dotted path below the package holds the segment are imported, and the packages that they lie in.

    Args:
        package: Dotted name of the package to walk, such as ``app.domain``.
        subpackage: The segment that marks task modules: a module or a package of that name, at any depth.
        force_reload: Run modules again that were imported before.

    Returns:
        The names of all registered tasks, sorted.

    Raises:
        ModuleNotFoundError: The package cannot be found, or is a plain module.
        InvalidArgumentError: ``subpackage`` is not one segment.
    """
    if not subpackage.isidentifier():
        msg = f"subpackage={subpackage!r} is not accepted: use one segment of a dotted path, such as 'jobs'"
        raise InvalidArgumentError(msg)
    loaded = _already_loaded(force_reload=force_reload)
    root = _import_package(package)
    below = len(package) + 1
    _load((name for name in _walk(package, root.__path__) if subpackage in name[below:].split(".")), again=loaded)
    return get_task_registry().names()


def load_task_modules(modules: Iterable[str], *, force_reload: bool = False) -> int:
    """Import modules by name, and packages with all that they hold.

    Args:
        modules: Dotted names.
        force_reload: Run modules again that were imported before.

    Returns:
        How many modules these are.

    Raises:
        QueueConfigurationError: One of the names cannot be found.
    """
    loaded = _already_loaded(force_reload=force_reload)
    names: set[str] = set()
    for name in (modules,) if isinstance(modules, str) else modules:
        module = _import_named(name)
        names.add(name)
        names.update(_walk(name, getattr(module, "__path__", ())))
    _load(names, again=loaded)
    return len(names)


def _already_loaded(*, force_reload: bool) -> frozenset[str]:
    """The modules to run again."""
    if not force_reload:
        return frozenset()
    importlib.invalidate_caches()  # files that were written a moment ago are seen too
    return frozenset(sys.modules)


def _import_package(name: Any) -> ModuleType:
    if not _is_dotted(name):
        msg = f"package={name!r} is not a dotted name, such as 'app.domain'"
        raise ModuleNotFoundError(msg)
    module = importlib.import_module(name)
    if not hasattr(module, "__path__"):
        msg = f"{name!r} is a plain module, not a package: name the package that holds the task modules"
        raise ModuleNotFoundError(msg, name=name)
    return module


def _import_named(name: Any) -> ModuleType:
    try:
        if _is_dotted(name):
            return importlib.import_module(name)
        reason = "it is not a dotted name, such as 'app.tasks'"
    except ModuleNotFoundError as error:
        # a module that is there and misses another one tells so itself
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        reason = str(error)
    msg = f"the task module {name!r} cannot be found ({reason}): correct QueueConfig.task_modules, or the import path"
    raise QueueConfigurationError(msg)


def _is_dotted(name: Any) -> bool:
    return isinstance(name, str) and all(part.isidentifier() for part in name.split("."))


def _walk(package: str, path: Iterable[str]) -> Iterator[str]:
    """Names of all modules below a package, found without importing any."""
    path = list(path)
    found = set()
    for module in pkgutil.iter_modules(path):
        found.add(module.name)
        if module.name == "__main__":  # a script
            continue
        name = f"{package}.{module.name}"
        yield name
        if module.ispkg:
            yield from _walk(name, _inside(module.name, path))
    for folder in _plain_folders(path, without=found):
        yield from _walk(f"{package}.{folder}", _inside(folder, path))


def _inside(name: str, path: list[str]) -> list[str]:
    # by its last part alone: for a dotted name Python asks the parent, which is not imported
    spec = PathFinder.find_spec(name, path)
    return list((spec.submodule_search_locations if spec is not None else None) or ())


def _plain_folders(path: list[str], *, without: Collection[str]) -> list[str]:
    """Folders without an ``__init__.py``, which Python takes for packages and pkgutil does not."""
    folders = [item for entry in path if Path(entry).is_dir() for item in Path(entry).iterdir()]
    names = {item.name for item in folders if item.name.isidentifier() and item.is_dir() and not item.is_symlink()}
    return sorted(names - _NO_PACKAGES - set(without))


def _load(names: Iterable[str], *, again: Collection[str]) -> None:
    """Import the modules; run those again that were loaded, inner ones first, since outer ones import from them."""
    wanted = sorted(set(names))
    for name in sorted(wanted, key=lambda name: -name.count(".")):
        if name in again:
            importlib.reload(sys.modules[name])
    for name in wanted:
        importlib.import_module(name)
