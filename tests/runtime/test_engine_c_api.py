"""The engine without Python: the C API through its example program, and damaged images."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rlcompress.artifact import CompressedPolicy
from tests.binary.networks import seeded_policy
from tests.policies import KINDS, random_observations, random_policy
from tests.runtime.native import ROOT, build, expected_results, run_example, write_image

PER_KIND = 2


@pytest.fixture(scope="module")
def plain() -> Path:
    """A build for this machine."""
    if shutil.which("c++") is None and shutil.which("g++") is None:
        pytest.skip("needs a C++ compiler")
    return build("plain")


@pytest.fixture(scope="module")
def counter(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that counts allocations, linked with the library."""
    if sys.platform != "linux":
        pytest.skip("counts in the way of ELF libraries")
    program = tmp_path_factory.mktemp("counter") / "count_allocations"
    source, include = Path(__file__).with_name("count_allocations.cpp"), "rlcompress/runtime/csrc"
    command = ["c++", "-std=c++17", "-O1", "-DRLC_DLL", f"-I{ROOT / include / 'include'}"]
    library = [f"-L{plain}", "-lrlcompress", f"-Wl,-rpath,{plain}"]
    subprocess.run([*command, str(source), "-o", str(program), *library], check=True)
    return program


def some_policies(per_kind: int) -> list[tuple[CompressedPolicy, np.random.Generator]]:
    generators = [np.random.default_rng(seed) for _ in KINDS for seed in range(per_kind)]
    kinds = [kind for kind in KINDS for _ in range(per_kind)]
    found = [(random_policy(rng, kind), rng) for kind, rng in zip(kinds, generators, strict=True)]
    bits = [(seeded_policy(seed), np.random.default_rng(seed)) for seed in range(3 * per_kind)]
    return found + bits


def write_images(folder: Path, per_kind: int) -> list[str]:
    given = enumerate(some_policies(per_kind))
    return [str(write_image(policy, folder / f"{i}.rlci")) for i, (policy, _) in given]


def assert_example_equals_reference(
    program: list[str], folder: Path, isa: str, per_kind: int = PER_KIND
) -> None:
    for policy, rng in some_policies(per_kind):
        image = write_image(policy, folder / "policy.rlci")
        observations = random_observations(rng, policy.observation, 3)
        results = run_example(program, image, observations, isa)
        expected = expected_results(policy, observations)
        assert np.array_equal(*(np.frombuffer(r, np.uint8) for r in (results, expected)))


@pytest.mark.parametrize("isa", ["auto", "portable"])
def test_example_equals_the_reference(plain: Path, tmp_path: Path, isa: str) -> None:
    assert_example_equals_reference([str(plain / "control_loop")], tmp_path, isa)


def test_example_says_what_is_wrong(plain: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    policy = random_policy(rng, "mlp")
    image = write_image(policy, tmp_path / "policy.rlci")
    program = str(plain / "control_loop")
    cut = tmp_path / "cut.rlci"
    cut.write_bytes(image.read_bytes()[:-5])
    observations = random_observations(rng, policy.observation, 1)
    observations.reshape(-1)[0] = np.inf
    for arguments, message in (
        ([str(cut)], "image ends too early"),
        ([str(image), "mmx"], "isa must be 'auto'"),
        ([str(image)], "element 0"),
    ):
        done = subprocess.run(
            [program, *arguments], input=observations.tobytes(), capture_output=True, timeout=60
        )
        assert done.returncode == 1
        assert message in done.stderr.decode()


@pytest.mark.parametrize("batch", [1, 40])
@pytest.mark.parametrize("reuse", [0, 1])
@pytest.mark.parametrize(
    "kind", ["mlp", "mlp_mixed", "conv", "residual", "conv_weight_only", "binary"]
)
def test_calls_allocate_nothing(
    kind: str, reuse: int, batch: int, counter: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(4)
    policy = seeded_policy(4) if kind == "binary" else random_policy(rng, kind)
    image = write_image(policy, tmp_path / "policy.rlci")
    command = [str(counter), str(image), str(batch), str(reuse)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def test_damaged_images_are_refused_or_run(plain: Path, tmp_path: Path) -> None:
    images = write_images(tmp_path, 1)
    command = [str(plain / "fuzz_image"), "3000", "1", *images]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "3000 mutations" in done.stdout


@pytest.mark.slow
def test_damaged_images_under_sanitizers(tmp_path: Path) -> None:
    folder = build("sanitized", "-DRLC_SANITIZE=ON", "-DCMAKE_BUILD_TYPE=Debug")
    assert_example_equals_reference([str(folder / "control_loop")], tmp_path, "auto")
    command = [str(folder / "fuzz_image"), "200000", "2", *write_images(tmp_path, 3)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr[-5000:]


ARM_COMPILER, ARM_EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"


@pytest.mark.parametrize(
    ("file", "flags"), [("neon", []), ("neon_dot", ["-march=armv8.2-a+dotprod"])]
)
def test_arm_kernels_compile(file: str, flags: list[str]) -> None:
    if shutil.which(ARM_COMPILER) is None:
        pytest.skip(f"needs {ARM_COMPILER} (Debian: g++-aarch64-linux-gnu)")
    source = ROOT / "rlcompress/runtime/csrc/kernels" / f"{file}.cpp"
    command = [ARM_COMPILER, "-std=c++17", "-fsyntax-only", "-DRLC_ARM64", "-Wall", "-Werror"]
    done = subprocess.run([*command, *flags, str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("isa", ["neon", "neon_dot", "portable"])
def test_arm_equals_the_reference(tmp_path: Path, isa: str) -> None:
    if shutil.which(ARM_COMPILER) is None or shutil.which(ARM_EMULATOR) is None:
        pytest.skip(f"needs {ARM_COMPILER} and {ARM_EMULATOR} (g++-aarch64-linux-gnu, qemu-user)")
    folder = build(
        "arm64",
        f"-DCMAKE_CXX_COMPILER={ARM_COMPILER}",
        "-DCMAKE_SYSTEM_NAME=Linux",
        "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
    )
    program = [ARM_EMULATOR, "-L", "/usr/aarch64-linux-gnu", str(folder / "control_loop")]
    assert_example_equals_reference(program, tmp_path, isa, per_kind=10)
