"""Exported policies on other processors: aarch64 and Cortex-M, both emulated."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest

from rlcompress.artifact import (
    Action,
    CompressedPolicy,
    Observation,
)
from rlcompress.export import c_tables
from rlcompress.export.c_emulate import COMPILER, TARGETS, emulate
from rlcompress.export.c_size import code_size
from rlcompress.export.c_source import runtime_files, to_c
from rlcompress.runtime import with_golden
from tests.export.c_host import STRICT, Program, assert_equal, compiler
from tests.export.c_policies import GOALS, difficult_observations, exported, hopper
from tests.policies import KINDS, random_observations, random_policy
from tests.policy_builder import Builder, as_float32

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("flags", [("-std=c99", "-O2"), ("-std=gnu11", "-O3")])
def test_aarch64_is_bit_equal(flags, tmp_path):
    """gnu11 lets gcc fuse, and every aarch64 processor could."""
    policies, sources = exported(3, seed=1)
    command = [compiler("aarch64-linux-gnu-gcc"), "-static", *flags, *STRICT]
    program = Program(tmp_path, sources, command, [compiler("qemu-aarch64")])
    for index, policy in enumerate(policies):
        assert_equal(program, index, policy, difficult_observations(policy))


@pytest.mark.parametrize("core", TARGETS)
@pytest.mark.parametrize("kind", KINDS)
def test_cortex_m_is_bit_equal(kind, core):
    """The M4F computes floats in hardware, the M3 in the compiler's library."""
    compiler(COMPILER)
    compiler("qemu-system-arm")
    for seed, goal in enumerate(GOALS):
        policy = random_policy(np.random.default_rng(seed), kind)
        seen = difficult_observations(policy)
        if not policy.observation.image:
            seen[2:4] = 0  # Golden outputs must be finite.
        source = to_c(with_golden(policy, seen), "p", optimise=goal)
        found = emulate(source, core=core, level="-O3" if seed else None)
        assert (found.observations, found.wrong) == (12, 0)


def test_the_emulator_notices_what_is_wrong():
    compiler(COMPILER)
    compiler("qemu-system-arm")
    policy = hopper(0.98)
    golden = policy.golden
    assert golden is not None
    golden.outputs[2, 0] += np.float32(1)
    found = emulate(to_c(policy, "p"))
    assert (found.observations, found.wrong) == (4, 1)


def test_instructions_are_counted():
    """Layers of one shape with more weights: each costs a loop of 6 (integers) or 10 (floats)."""
    compiler(COMPILER)
    compiler("qemu-system-arm")
    counts = [emulate(to_c(hopper(s), "p", optimise="speed")).instructions for s in (0.9, 0.8)]
    more = 0.1 * (11 * 256 + 256 * 256 + 256 * 3)
    assert 5 * more < counts[1] - counts[0] < 12 * more


@pytest.mark.parametrize("goal", GOALS)
def test_hopper_on_a_cortex_m4f_fits_a_kilobyte_of_ram(goal):
    compiler(COMPILER)
    compiler("qemu-system-arm")
    source = to_c(hopper(0.98, remove_dead=False), "p", optimise=goal)
    found = emulate(source)
    assert found.wrong == 0
    assert source.scratch_bytes + found.stack_bytes <= 1024


@pytest.mark.parametrize("kind", ["mlp", "mlp_float", "conv", "residual_weight_only"])
def test_data_are_counted_as_the_compiler_lays_them_out(kind):
    compiler(COMPILER)
    for seed, goal in enumerate(GOALS):
        source = to_c(random_policy(np.random.default_rng(seed), kind), "p", optimise=goal)
        size = code_size(source)
        assert size is not None and size.target.startswith("Cortex-M4F")
        counted = sum(source.data_bytes.values())
        assert size.data_bytes == counted


def test_struct_sizes_of_a_32_bit_target(tmp_path):
    for file, text in runtime_files().items():
        (tmp_path / file).write_text(text)
    lines = ['#include "rlc.h"']
    for name in c_tables._STRUCTS:
        lines.append(f'_Static_assert(sizeof({name}) == {c_tables.struct_bytes(name)}, "{name}");')
    (tmp_path / "sizes.c").write_text("\n".join(lines))
    command = [compiler(COMPILER), *TARGETS["cortex-m4"], "-fsyntax-only", "sizes.c"]
    subprocess.run(command, cwd=tmp_path, check=True)


def test_nothing_of_libm_or_the_heap_is_needed(tmp_path):
    for file, text in runtime_files().items():
        (tmp_path / file).write_text(text)
    for file in ("rlc.c", "rlc_layers.c"):
        command = [compiler(COMPILER), *TARGETS["cortex-m4"], "-Os", "-c", file]
        subprocess.run(command, cwd=tmp_path, check=True)
        listed = subprocess.run(
            [compiler("arm-none-eabi-nm"), "-u", file.replace(".c", ".o")],
            cwd=tmp_path, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        needed = set(re.findall(r"U (\w+)", listed))
        assert {name for name in needed if not name.startswith("rlc_")} <= {"memset", "memcpy"}


def test_a_full_size_atari_network(tmp_path):
    """NatureCNN at 95 %, on this machine and on a Cortex-M4F with enough memory."""
    rng = np.random.default_rng(0)
    observation = Observation((84, 84, 4), True, False, as_float32(1 / 255))
    builder = Builder(rng, observation, sparsity=0.95)
    builder.conv(32, (8, 8), stride=(4, 4))
    builder.conv(64, (4, 4), stride=(2, 2))
    builder.conv(64, (3, 3))
    builder.flatten()
    builder.dense(512)
    builder.dense(6, "none", final=True)
    policy: CompressedPolicy = builder.policy(Action("argmax"))
    policy = with_golden(policy, random_observations(rng, observation, 3))
    sources = [to_c(policy, f"p_{goal}", optimise=goal) for goal in GOALS]
    program = Program(tmp_path, sources, [compiler("gcc"), "-O2", *STRICT])
    for index in range(len(GOALS)):
        assert_equal(program, index, policy, random_observations(rng, observation, 20))
    compiler(COMPILER)
    compiler("qemu-system-arm")
    found = emulate(sources[0])
    assert (found.observations, found.wrong) == (2, 0)
    assert found.instructions > sources[0].macs
