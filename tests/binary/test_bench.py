"""The benchmark from the command line: every row is there, and its counts are right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rlcompress.binary.evaluator import available_isas

LITTLE = ["seeds=1", "original_seeds=1", "original_generations=2", "seconds=0.01", "small=false"]


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rlcompress.binary.bench", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not available_isas(), reason="no native code")
def test_one_command_prints_the_table(tmp_path: Path) -> None:
    done = bench(*LITTLE, f"out={tmp_path / 'rows.json'}")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "rows.json").read_text())
    rows = {row["what"].strip(): row for row in found["rows"]}
    assert rows["64-64-1, bytes without thresholds"]["ours"] == 520
    assert rows["64-64-1, bytes with thresholds"]["ours"] == 585
    assert rows["CartPole-v1 solved, seeds"]["ours"] == "1 of 1"
    (generations,) = rows["CartPole-v1 solved, seeds"]["generations"]
    assert 0 < generations <= 200
    for isa in available_isas():
        assert rows[f"64-64-1, million evaluations/s, {isa}"]["ours"] > 0
    for name in rows:
        assert name in done.stdout


def test_wrong_requests_are_one_line() -> None:
    done = bench(*LITTLE, "seeds=0")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "must be positive" in done.stderr
