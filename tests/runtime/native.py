"""Builds the native library outside Python for tests and runs its programs; asserts nothing."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from rlcompress.artifact import CompressedPolicy
from rlcompress.artifact.records import AnyArray
from rlcompress.runtime import Reference
from rlcompress.runtime.image import engine_image

ROOT = Path(__file__).parents[2]


def tool(name: str) -> str | None:
    """Where a program is: installed on this machine, or beside the interpreter by pip."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def build(name: str, *options: str) -> Path:
    """The folder of a build of the C API, its example and the fuzz target; kept between runs."""
    cmake, ninja = tool("cmake"), tool("ninja")
    if cmake is None:
        pytest.skip("needs cmake")
    folder = ROOT / "build" / "native-tests" / name
    configure = [cmake, "-S", str(ROOT), "-B", str(folder), "-DRLC_PYTHON=OFF", "-DRLC_C_API=ON"]
    if ninja is not None and not (folder / "CMakeCache.txt").exists():
        configure += ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Tests of one module may run in several processes.
    with FileLock(f"{folder}.lock"):
        for command in ([*configure, *options], [cmake, "--build", str(folder), "--parallel", "2"]):
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


def write_image(policy: CompressedPolicy, path: Path) -> Path:
    """The policy's engine image in a file."""
    path.write_bytes(engine_image(policy))
    return path


def expected_results(policy: CompressedPolicy, observations: AnyArray) -> bytes:
    """What the example program writes: raw outputs and action of each observation in turn."""
    reference = Reference(policy)
    outputs, actions = reference.forward(observations), reference(observations)
    pairs = zip(outputs, actions, strict=True)
    return b"".join(output.tobytes() + np.asarray(action).tobytes() for output, action in pairs)


def run_example(program: list[str], image: Path, observations: AnyArray, isa: str) -> bytes:
    """What the example program writes for a batch of observations."""
    given = observations if observations.dtype == np.uint8 else observations.astype(np.float32)
    command = [*program, str(image), isa]
    done = subprocess.run(command, input=given.tobytes(), capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout
