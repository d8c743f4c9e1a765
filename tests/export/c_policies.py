"""Policies for tests of the C export: every kind at random, and actors of full size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rlcompress.artifact import (
    Action,
    AnyArray,
    CompressedPolicy,
    Dense,
    FloatArray,
    Observation,
    TensorType,
)
from rlcompress.export.c_layers import Optimise
from rlcompress.export.c_source import CSource, to_c
from rlcompress.export.dead_units import remove_dead_units
from rlcompress.runtime import with_golden
from tests.policies import KINDS, random_observations, random_policy

GOALS: tuple[Optimise, ...] = ("size", "speed")


def exported(count: int, seed: int = 0) -> tuple[list[CompressedPolicy], list[CSource]]:
    """``count`` random policies of each kind, and each once for size and once for speed."""
    policies, sources = [], []
    for policy in _policies(count, seed):
        for goal in GOALS:
            sources.append(to_c(policy, f"p{len(sources)}_{goal}", optimise=goal))
            policies.append(policy)
    return policies, sources


def _policies(count: int, seed: int) -> Iterator[CompressedPolicy]:
    for kind in KINDS:
        for index in range(count):
            rng = np.random.default_rng([seed, index, len(kind)])
            policy = random_policy(rng, kind)
            yield with_golden(policy, random_observations(rng, policy.observation, 3))


def difficult_observations(policy: CompressedPolicy, seed: int = 0) -> AnyArray:
    """Ordinary observations, zeros of both signs, and numbers so large that sums overflow."""
    rng = np.random.default_rng(seed)
    seen = random_observations(rng, policy.observation, 12)
    seen[0] = 0
    if policy.observation.image:
        seen[1] = 255
        return seen
    seen[1] = -0.0
    seen[2] *= 1e30
    seen[3] = np.sign(seen[3]) * np.float32(3e38)
    seen[4] *= 1e-40
    return seen


def hopper(sparsity: float, *, seed: int = 0, remove_dead: bool = True) -> CompressedPolicy:
    """A SAC actor for Hopper-v4 (11-256-256-3) with random masks."""
    rng = np.random.default_rng(seed)
    shapes = [(256, 11), (256, 256), (3, 256)]
    ops = []
    for index, (rows, columns) in enumerate(shapes):
        weight = np.zeros(rows * columns, np.int8)
        count = _erdos_renyi(shapes, sparsity)[index]
        chosen = rng.choice(weight.size, count, replace=False)
        values = np.rint(rng.normal(0, 40, count)).clip(-127, 127)
        weight[chosen] = np.where(values == 0, 1, values)
        last = index == len(shapes) - 1
        output = TensorType((rows,)) if last else TensorType((rows,), "unsigned", 8, 0.02)
        bias: AnyArray = rng.normal(0, 0.2, rows).astype(np.float32)
        if index:
            bias = np.rint(rng.normal(0, 1500, rows)).astype(np.int32)
        multiplier: FloatArray = np.full(1, 2e-3, np.float32)
        function = "none" if last else "relu"
        matrix = weight.reshape(rows, columns)
        ops.append(Dense(f"l{index}", (index,), output, matrix, multiplier, bias, function))
    low, high = -np.ones(3, np.float32), np.ones(3, np.float32)
    policy = CompressedPolicy(tuple(ops), Observation((11,)), Action("squash", (3,), low, high))
    seen = rng.normal(0, 1, (4, 11)).astype(np.float32)
    return with_golden(remove_dead_units(policy) if remove_dead else policy, seen)


def _erdos_renyi(shapes: list[tuple[int, int]], sparsity: float) -> list[int]:
    """Weights kept of each layer, in proportion to rows + columns; the second takes the rest."""
    kept = round((1 - sparsity) * sum(rows * columns for rows, columns in shapes))
    share = kept / sum(rows + columns for rows, columns in shapes)
    counts = [min(rows * columns, round(share * (rows + columns))) for rows, columns in shapes]
    counts[1] += kept - sum(counts)
    return counts
