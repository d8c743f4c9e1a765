"""Full-size policies of SB3 models in C, compiled here, for aarch64 and for Cortex-M4F."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stable_baselines3.common.base_class import BaseAlgorithm

from rlcompress.artifact import AnyArray, CompressedPolicy
from rlcompress.bench.format_policies import Recording, record
from rlcompress.bench.networks import NETWORKS
from rlcompress.export.c_emulate import COMPILER, emulate
from rlcompress.export.c_source import to_c
from rlcompress.export.freeze import freeze
from rlcompress.pruning import Pruner
from rlcompress.runtime import with_golden
from rlcompress.sb3.actors import actor_of
from rlcompress.sb3.quantise import quantise_after_training_
from rlcompress.spec import PruneSpec, QuantSpec
from tests.export.c_host import STRICT, Program, assert_equal, compiler

pytestmark = pytest.mark.slow

AGENTS = Path(__file__).parents[3] / "shared" / "agents"
ZIPS = [path.stem for path in sorted(AGENTS.glob("*.zip"))]
TARGETS = {
    "here": (("gcc", "-std=gnu11", "-O3", "-march=native"), ()),
    "aarch64": (("aarch64-linux-gnu-gcc", "-static", "-std=gnu11", "-O3"), ("qemu-aarch64",)),
}


def pruned(name: str, activation_bits: int | None) -> tuple[CompressedPolicy, AnyArray]:
    """A built-in network at 95 %, quantised after training, and observations."""
    model: BaseAlgorithm = NETWORKS[name](0)
    Pruner(PruneSpec(0.95), actor_of(model).layers, seed=0).update_(0.95)
    rng = np.random.default_rng(0)
    seen: AnyArray = rng.normal(0, 1, (64, 376)).astype(np.float32)
    if name != "humanoid":
        seen = rng.integers(0, 256, (8, 84, 84, 4)).astype(np.uint8)
    quantise_after_training_(model, QuantSpec(activation_bits=activation_bits), seen)
    return freeze(model, seen), seen


def check(policy: CompressedPolicy, seen: AnyArray, folder: Path, target: str) -> None:
    command, prefix = TARGETS[target]
    source = to_c(policy, "p")
    emulator = [compiler(word) for word in prefix]
    program = Program(folder, [source], [compiler(command[0]), *command[1:], *STRICT], emulator)
    assert_equal(program, 0, policy, seen)
    assert program.wrong_golden(0) == 0


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("activation_bits", [8, None], ids=["int8", "weight_only"])
@pytest.mark.parametrize("name", ["humanoid", "nature_cnn", "impala_resnet"])
def test_built_in_networks(name, activation_bits, target, tmp_path):
    policy, seen = pruned(name, activation_bits)
    check(policy, seen[:4], tmp_path, target)


@pytest.mark.parametrize("stem", ZIPS)
def test_agents_of_other_people(stem, tmp_path):
    """As they are and quantised; Tanh layers, VecNormalize and gSDE are among them."""
    for recorded in record(AGENTS / f"{stem}.zip", Recording(200)):
        seen = recorded.observations.astype(np.float32)
        for target in TARGETS:
            check(recorded.policy, seen, tmp_path / recorded.name / target, target)
        compiler(COMPILER)
        compiler("qemu-system-arm")
        found = emulate(to_c(with_golden(recorded.policy, seen[:16]), "p"))
        assert (found.observations, found.wrong) == (16, 0)
