"""In: the source tree. Out: a wheel and an sdist that hold all of the library, and a wheel that works alone."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
USE_THE_STORE = """
import asyncio
from pathlib import Path
import litestar_queues
from litestar_queues import QueueConfig, QueueService

async def main():
    async with QueueService(QueueConfig(queue_backend="sqlite:///queue.db")) as service:
        await service.get_statistics()

asyncio.run(main())
print(Path(litestar_queues.__file__).parents[1])
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one wheel and one sdist in it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True, capture_output=True
    )
    return folder


def library_files() -> set[str]:
    files = (path for path in (ROOT / "litestar_queues").rglob("*") if path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in files if path.suffix != ".pyc"}


def test_the_wheel_holds_every_file_of_the_library(built: Path) -> None:
    with ZipFile(next(built.glob("*.whl"))) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == library_files()
    assert "litestar_queues/py.typed" in names
    assert any(name.endswith(".sql") for name in names)


def test_the_sdist_holds_every_file_of_the_library(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert library_files() <= names
    assert {"pyproject.toml", "README.md", "LICENSE", "Makefile", ".ci/setup"} <= names


def test_the_wheel_declares_its_commands(built: Path) -> None:
    with ZipFile(next(built.glob("*.whl"))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
        commands = configparser.ConfigParser()
        commands.read_string(wheel.read(name).decode())
    assert commands["console_scripts"]["litestar-queues-probe"] == "litestar_queues.probe:main"
    assert commands["litestar.commands"]["queues"] == "litestar_queues.cli:queues"


def test_the_wheel_works_without_the_source_tree(built: Path, tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked"
    with ZipFile(next(built.glob("*.whl"))) as wheel:
        wheel.extractall(unpacked)
    answer = subprocess.run(
        [sys.executable, "-c", USE_THE_STORE],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert Path(answer.stdout.strip()) == unpacked.resolve()
    assert (tmp_path / "queue.db").is_file()
