"""In: the example's folder. Out: its modules, imported anew for each test, with a data folder of their own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType

import pytest
from litestar import Litestar
from PIL import Image

from litestar_queues import get_task_registry

PHOTOS = Path(__file__).parents[2] / "docs" / "examples" / "photos"
_MODULES = ("app", "mail_sink", "store", "tasks")


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("PHOTOS_DATA", str(folder))
    return folder


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch, data: Path) -> Iterator[dict[str, ModuleType]]:
    monkeypatch.setenv("LITESTAR_QUEUES_QUEUE_BACKEND", "memory")
    monkeypatch.syspath_prepend(str(PHOTOS))
    registry = get_task_registry()
    others = list(registry)
    registry.clear()
    yield {name: importlib.import_module(name) for name in _MODULES}
    for name in _MODULES:
        del sys.modules[name]
    registry.clear()
    for task in others:
        registry.register(task)


@pytest.fixture
def app(modules: dict[str, ModuleType]) -> Litestar:
    app = modules["app"].create_app()
    assert isinstance(app, Litestar)
    return app


@pytest.fixture
def picture() -> bytes:
    file = BytesIO()
    Image.linear_gradient("L").resize((900, 600)).convert("RGB").save(file, "PNG")
    return file.getvalue()
