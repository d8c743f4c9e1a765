"""A minute of coverage-guided fuzzing; ``make fuzz SECONDS=3600`` runs for longer."""

import re
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
    # A fuzzer that does not see the reader's branches counts fifteen of its own.
    assert max(map(int, re.findall(r"cov: (\d+)", done.stderr))) > 300
