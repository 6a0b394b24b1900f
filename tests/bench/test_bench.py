"""In: the bench in its quickest mode. Out: that it runs and prints its table; no time is judged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.report import Result, markdown

ROOT = Path(__file__).parents[2]


@pytest.mark.process
def test_the_bench_runs_and_writes_its_results(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    answer = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--quick", "--only", "import", "--json", str(results)],
        cwd=ROOT,
        env=os.environ | {"BENCH_WORK": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert "import litestar_queues" in answer.stdout
    assert [one["unit"] for one in json.loads(results.read_text("utf-8"))] == ["ms"]


@pytest.mark.parametrize(
    ("got", "target", "better", "verdict"),
    [
        (12.0, 10.0, "more", "met, 20 % to spare"),
        (8.0, 10.0, "more", "MISSED, short by 20 %"),
        (5.0, 10.0, "less", "met, 100 % to spare"),
        (20.0, 10.0, "less", "MISSED, short by 50 %"),
        (90.0, 10.0, "more", "met, 9 times over"),
    ],
)
def test_the_verdict_says_by_how_much(got: float, target: float, better: str, verdict: str) -> None:
    result = Result(what="it", value=got, unit="x", target=target, better="less" if better == "less" else "more")
    assert result.verdict == verdict


def test_the_table_shows_the_share_of_the_limit() -> None:
    assert "| 50 %" in markdown([Result(what="it", value=5, unit="/s", limit=10)])
