"""Exported policies give the reference's bits whatever they are compiled with."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

from rlcompress.artifact import Action, CompressedPolicy, Flatten, Observation, TensorType
from rlcompress.export.c_source import CSource, runtime_files, to_c
from rlcompress.runtime import with_golden
from tests.export.c_host import STRICT, Program, assert_equal, compiler
from tests.export.c_policies import difficult_observations, exported
from tests.policies import random_observations, random_policy

Exported = tuple[list[CompressedPolicy], list[CSource]]

COMPILERS = {
    "gcc": ("gcc", "-std=c99", "-O2", *STRICT),
    "gcc-native": ("gcc", "-std=gnu11", "-O3", "-march=native", *STRICT),
    "gcc-unoptimised": ("gcc", "-std=c99", "-O0", *STRICT),
    "g++": ("g++", "-std=c++17", "-xc++", "-Os", *STRICT),
    "clang": ("clang", "-std=c99", "-O2", *STRICT),
    "clang-native": ("clang", "-std=gnu11", "-O3", "-march=native", *STRICT),
    "clang++": ("clang++", "-std=c++17", "-xc++", "-O2", "-Wno-deprecated", *STRICT),
    "sanitizers": (
        *("gcc", "-std=c99", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
        *STRICT,
    ),
}


@pytest.fixture(scope="module")
def random_exports() -> Exported:
    return exported(2)


@pytest.mark.parametrize("name", COMPILERS)
def test_every_kind_of_policy_is_bit_equal(name, random_exports, tmp_path):
    command = COMPILERS[name]
    policies, sources = random_exports
    program = Program(tmp_path, sources, [compiler(command[0]), *command[1:]])
    for index, policy in enumerate(policies):
        assert_equal(program, index, policy, difficult_observations(policy))
        assert program.wrong_golden(index) == 0


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_no_multiplication_is_fused_with_an_addition(name, tmp_path):
    """Where flags and processor invite to it; a fused product would be rounded once too few."""
    for file, text in runtime_files().items():
        (tmp_path / file).write_text(text)
    if shutil.which("objdump") is None:
        pytest.skip("objdump is not installed")
    for file in ("rlc.c", "rlc_layers.c"):
        command = [compiler(name), "-std=gnu11", "-O3", "-mfma", "-c", file, "-o", f"{file}.o"]
        subprocess.run(command, cwd=tmp_path, check=True)
        code = subprocess.run(
            ["objdump", "-d", f"{file}.o"], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout
        assert "mulss" in code
        assert "fmadd" not in code and "fmsub" not in code and "fnmadd" not in code


@pytest.mark.parametrize("flag", ["-ffast-math", "-Ofast"])
def test_inexact_arithmetic_is_refused_at_compile_time(flag, tmp_path):
    for file, text in runtime_files().items():
        (tmp_path / file).write_text(text)
    command = [compiler("gcc"), flag, "-fsyntax-only", "rlc.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "rlc needs exact arithmetic" in done.stderr


def test_observations_that_are_not_finite_are_named(random_exports, tmp_path):
    policies, sources = random_exports
    chosen = [k for k, policy in enumerate(policies) if not policy.observation.image]
    assert chosen
    program = Program(tmp_path, sources, [compiler("gcc"), "-O1"])
    for index in chosen:
        policy = policies[index]
        seen = np.stack([difficult_observations(policy)[-1]] * 3)
        flat, last = seen.reshape(3, -1), seen[0].size - 1
        flat[0, last], flat[1, last // 2], flat[2, 0] = np.nan, np.inf, -np.inf
        found = program(index, policy, seen)
        assert found.status.tolist() == [last, last // 2, 0]
        assert not found.outputs.any() and not found.actions.any()


def test_all_bit_widths(tmp_path):
    policies, sources = [], []
    for bits in range(2, 9):
        rng = np.random.default_rng(bits)
        for kind in ("mlp", "mlp_tanh", "residual"):
            policy = random_policy(rng, kind, sparsity=0.5, bits=(bits, 10 - bits))
            seen = random_observations(rng, policy.observation, 2)
            policies.append(with_golden(policy, seen))
            sources.append(to_c(policies[-1], f"{kind}{bits}"))
    program = Program(tmp_path, sources, [compiler("gcc"), "-O1"])
    for index, policy in enumerate(policies):
        assert_equal(program, index, policy, difficult_observations(policy))


def test_tanh_over_all_its_range(tmp_path):
    """A policy that is nothing but its squashing head."""
    low, high = np.full(64, -1, np.float32), np.full(64, 1, np.float32)
    ops = (Flatten("flatten", (0,), TensorType((64,))),)
    policy = CompressedPolicy(
        ops, Observation((1, 1, 64)), Action("squash", (64,), low, high), meta={}
    )
    spread = np.geomspace(1e-42, 30, 64_000).astype(np.float32)
    seen = np.concatenate([spread, -spread, [np.float32(3e38)] * 64]).reshape(-1, 1, 1, 64)
    policy = with_golden(policy, seen[:4])
    program = Program(tmp_path, [to_c(policy, "p")], [compiler("gcc"), "-O3", "-march=native"])
    assert_equal(program, 0, policy, seen)
