"""A minute of coverage-guided fuzzing; ``make fuzz SECONDS=3600`` runs for longer."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def test_a_minute_of_fuzzing_finds_nothing(tmp_path):
    pytest.importorskip("atheris", reason="pip install atheris")
    command = [sys.executable, "-m", "tests.slow.fuzz_artifact", "60", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert not list(tmp_path.glob("crash-*"))
    assert "cov: " in done.stderr
