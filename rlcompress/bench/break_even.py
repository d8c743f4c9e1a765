"""At which sparsity skipping zeros begins to pay, for every layer shape of some networks.

Each shape is timed alone, as the only large layer of a policy, in the engine: without a zero (the
dense int8 path) and at growing sparsities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rlcompress.artifact import (
    Action,
    CompressedPolicy,
    Conv,
    Dense,
    Flatten,
    Linear,
    Observation,
    TensorType,
)
from rlcompress.probe.measure import MeasureSpec, calls_for, time_calls
from rlcompress.probe.registry import Isa
from rlcompress.runtime.engine import Engine

SPARSITIES = (0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98)
GAIN = 0.95
"""A sparse layer pays where it takes less than this of the dense one's time."""


def break_even(
    policies: Iterable[CompressedPolicy], spec: MeasureSpec, isa: Isa, *, seed: int = 0
) -> list[dict[str, Any]]:
    """One row per layer shape: time without zeros, and the lowest sparsity that beats it."""
    rng = np.random.default_rng(seed)
    rows = []
    for shape, policy in _shapes(policies).items():
        empty = _p50_us([_policy(rng, *policy, None)], spec, isa)[0]
        sparsities = (0.0, *SPARSITIES)
        made = [_policy(rng, *policy, sparsity) for sparsity in sparsities]
        times = [max(time - empty, 0.0) for time in _p50_us(made, spec, isa)]
        dense = times[0]
        paying = [s for s, t in zip(sparsities, times, strict=True) if t < GAIN * dense]
        rows.append(
            {
                "layer": shape,
                "isa": isa,
                "dense_us": round(dense, 3),
                "at_0.9_us": round(times[sparsities.index(0.9)], 3),
                "break_even_sparsity": min(paying, default=None),
            }
        )
    return rows


def _shapes(
    policies: Iterable[CompressedPolicy],
) -> dict[str, tuple[Linear, TensorType]]:
    """Every integer layer's shape, with one layer that has it and what it reads."""
    found: dict[str, tuple[Linear, TensorType]] = {}
    for policy in policies:
        for op in policy.linears:
            source = policy.values[op.inputs[0]]
            if not op.integer:
                continue
            name = "x".join(map(str, op.weight.shape))
            if isinstance(op, Conv):
                name = f"conv {name} on {source.shape[0]}x{source.shape[1]}"
            found.setdefault(name, (op, source))
    return found


def _policy(
    rng: np.random.Generator, like: Linear, source: TensorType, sparsity: float | None
) -> CompressedPolicy:
    """A policy that reads bytes and runs one layer like ``like`` (None: no layer at all)."""
    shape = source.shape if len(source.shape) == 3 else (1, 1, source.size)
    observation = Observation(shape, image=True, scale=1 / 255)
    value = observation.value
    ops: list[Any] = []
    if len(source.shape) == 1:
        value = replace(value, shape=(value.size,))
        ops.append(Flatten("flatten", (0,), value))
    if sparsity is not None:
        weight = rng.integers(1, 128, like.weight.shape) * rng.choice((-1, 1), like.weight.shape)
        weight[rng.random(weight.shape) < sparsity] = 0
        output = TensorType(like.output.shape, "unsigned", 8, 0.05)
        multiplier = np.full(like.multiplier.shape, 1e-4, np.float32)
        layer = replace(
            like,
            name="layer",
            inputs=(len(ops),),
            output=output,
            weight=weight.astype(np.int8),
            multiplier=multiplier,
            bias=np.zeros(len(weight), np.int32),
            function="relu",
        )
        ops.append(layer)
        value = output
    if len(value.shape) == 3:
        value = replace(value, shape=(value.size,))
        ops.append(Flatten("flatten.last", (len(ops),), value))
    ops.append(_last(value, len(ops)))
    return CompressedPolicy(tuple(ops), observation, Action("argmax"))


def _last(value: TensorType, source: int) -> Dense:
    """The layer a policy ends with: one weight, so that it costs next to nothing."""
    weight = np.zeros((1, value.size), np.int8)
    weight[0, 0] = 1
    one, zero = np.ones(1, np.float32), np.zeros(1, np.int32)
    return Dense("last", (source,), TensorType((1,)), weight, one, zero)


def _p50_us(policies: Sequence[CompressedPolicy], spec: MeasureSpec, isa: Isa) -> list[float]:
    """Median time of a call of each, measured in turns."""
    engines = [Engine(policy, isa="auto" if isa == "native" else isa) for policy in policies]
    rng = np.random.default_rng(0)
    inputs = [[rng.integers(0, 256, policies[0].observation.shape).astype(np.uint8)]] * len(engines)
    counts = [calls_for(e, i, spec) for e, i in zip(engines, inputs, strict=True)]
    samples: list[list[np.ndarray]] = [[] for _ in engines]
    for _ in range(spec.rounds):
        for index, engine in enumerate(engines):
            samples[index].append(time_calls(engine, inputs[index], counts[index]))
    return [float(np.median(np.concatenate(taken))) / 1e3 for taken in samples]
