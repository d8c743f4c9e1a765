"""The stack's kernels for NEON compile, where there is a compiler; slow tests run them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

COMPILER = "aarch64-linux-gnu-g++"


def test_kernels_for_neon_compile() -> None:
    if shutil.which(COMPILER) is None:
        pytest.skip(f"needs {COMPILER} (Debian: g++-aarch64-linux-gnu)")
    source = Path(__file__).parents[2] / "rlcompress/runtime/csrc/stack/neon.cpp"
    command = [COMPILER, "-std=c++17", "-fsyntax-only", "-DRLC_ARM64", "-Wall", "-Werror"]
    plain = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    done = subprocess.run([*command, str(source)], capture_output=True, text=True, env=plain)
    assert done.returncode == 0, done.stderr
