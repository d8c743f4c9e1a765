"""Networks of single bits on 64-bit ARM, compiled here and run by an emulator."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from rlcompress.binary.network import BinaryNetwork
from rlcompress.binary.packing import pack
from tests.binary.networks import random_network

COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
CSRC = Path(__file__).parents[2] / "rlcompress/runtime/csrc"
SOURCES = ["cpu.cpp", *(f"binary/{name}.cpp" for name in "dispatch networks slices".split())]
KERNELS = ["binary/neon.cpp", "binary/portable.cpp"]
WIDTHS = (1, 2, 7, 16, 31, 63, 64, 65, 127, 130, 255, 256, 300, 1023, 1024)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    for tool, package in ((COMPILER, "g++-aarch64-linux-gnu"), (EMULATOR, "qemu-user")):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool} (Debian: {package})")
    found = tmp_path_factory.mktemp("arm") / "run_networks"
    sources = [Path(__file__).with_name("run_networks.cpp"), *(CSRC / s for s in SOURCES + KERNELS)]
    command = [COMPILER, "-std=c++17", "-O1", "-static", "-DRLC_ARM64", f"-I{CSRC}"]
    command += ["-Wall", "-Wextra", "-Wshadow", "-Werror"]
    subprocess.run([*command, *map(str, sources), "-o", str(found)], check=True)
    return [EMULATOR, str(found)]


def written(network: BinaryNetwork, x: np.ndarray) -> bytes:
    sizes = [len(network.widths) - 1, len(x), *network.widths]
    return b"".join(
        (
            np.array(sizes, np.uint64).tobytes(),
            network.flat_weights.astype(np.uint8).tobytes(),
            network.flat_biases.astype(np.int32).tobytes(),
            pack(x).tobytes(),
        )
    )


@pytest.mark.parametrize("isa", ["auto", "neon", "portable"])
def test_kernels_are_the_definition(program: list[str], isa: str) -> None:
    rng = np.random.default_rng(0)
    given, expected = [], []
    for seed in range(40):
        hidden = rng.choice(WIDTHS, rng.integers(0, 3))
        shape = (int(rng.choice(WIDTHS)), *map(int, hidden), int(rng.integers(1, 5)))
        network = random_network(shape, seed, largest=int(rng.choice([0, 1, 5, 300])))
        x = rng.integers(0, 2, (int(rng.choice([1, 127, 128, 300])), shape[0])).astype(np.bool_)
        given.append(written(network, x))
        # One by one, then all of them together.
        expected += [network.forward(x).astype(np.int32).tobytes()] * 2
    command = [*program, isa]
    done = subprocess.run(command, input=b"".join(given), capture_output=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"".join(expected)
