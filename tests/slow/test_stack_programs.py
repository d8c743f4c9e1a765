"""Random float32 stacks, with reuse and without, where Python does not reach."""

import shutil
import subprocess

import pytest

from rlcompress.reuse.native import isas
from tests.runtime.native import build

pytestmark = pytest.mark.slow

ARM_COMPILER, ARM_EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"


def assert_stacks_hold(program: list[str], isa: str, count: int) -> None:
    command = [*program, isa, str(count), "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-5000:]
    assert f"{count} stacks on " in done.stdout


def test_stacks_hold_under_sanitizers() -> None:
    folder = build("sanitized-stack", "-DRLC_SANITIZE=ON", "-DCMAKE_BUILD_TYPE=Debug")
    for isa in set(isas()) - {"torch"} or {"portable"}:
        assert_stacks_hold([str(folder / "fuzz_stack")], isa, 300)


def test_stacks_hold_on_arm() -> None:
    if shutil.which(ARM_COMPILER) is None or shutil.which(ARM_EMULATOR) is None:
        pytest.skip(f"needs {ARM_COMPILER} and {ARM_EMULATOR} (g++-aarch64-linux-gnu, qemu-user)")
    folder = build(
        "arm64-stack",
        f"-DCMAKE_CXX_COMPILER={ARM_COMPILER}",
        "-DCMAKE_SYSTEM_NAME=Linux",
        "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
    )
    program = [ARM_EMULATOR, "-L", "/usr/aarch64-linux-gnu", str(folder / "fuzz_stack")]
    for isa in ("neon", "portable"):
        assert_stacks_hold(program, isa, 300)
