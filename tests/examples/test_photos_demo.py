from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.examples.conftest import PHOTOS


@pytest.mark.process
def test_the_demo_runs_to_its_end() -> None:
    path = os.pathsep.join(filter(None, [str(PHOTOS.parents[2]), os.environ.get("PYTHONPATH")]))

    demo = subprocess.run(
        [sys.executable, PHOTOS / "demo.py"],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        check=False,
        text=True,
        timeout=55,
    )

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stdout.rstrip().endswith("All as expected")
