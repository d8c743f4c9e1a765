"""Hand-made policies of a few units; checks that removing dead units changed nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rlcompress.artifact import CompressedPolicy
from rlcompress.artifact.records import (
    Action,
    Conv,
    Dense,
    Function,
    Observation,
    Op,
    TensorType,
)
from rlcompress.export.dead_units import remove_dead_units
from rlcompress.runtime import Reference, with_golden
from tests.policies import random_observations

VECTOR = Observation((3,))


def unsigned(*shape: int) -> TensorType:
    return TensorType(shape, "unsigned", 8, 0.25)


def signed(*shape: int) -> TensorType:
    return TensorType(shape, "signed", 8, 0.25)


def dense(
    source: int,
    weight: Sequence[Sequence[float]],
    bias: Sequence[float],
    output: TensorType | None = None,
    function: Function = "none",
) -> Dense:
    """An integer layer, or a float one where the output is None and the source is 0."""
    integer = source != 0
    return Dense(
        f"dense.{source}",
        (source,),
        output or TensorType((len(bias),)),
        np.array(weight, np.int8),
        np.ones(1, np.float32),
        np.array(bias, np.int32 if integer else np.float32),
        function,
    )


def conv(
    source: int,
    output: TensorType,
    weight: Any,
    bias: Sequence[int],
    padding: tuple[int, int] = (0, 0),
) -> Conv:
    """An integer ReLU convolution (its output unsigned) or one without a function (signed)."""
    function: Function = "relu" if output.kind == "unsigned" else "none"
    fields = (np.asarray(weight, np.int8), np.ones(1, np.float32), np.array(bias, np.int32))
    return Conv(f"conv.{source}", (source,), output, *fields, function, padding=padding)


def policy_of(*ops: Op, observation: Observation = VECTOR) -> CompressedPolicy:
    policy = CompressedPolicy(ops, observation, Action("argmax"))
    policy.validate()
    return policy


def removed(policy: CompressedPolicy) -> CompressedPolicy:
    """``policy`` without dead units, having checked that nothing else happened to it."""
    observations = random_observations(np.random.default_rng(0), policy.observation, 16)
    golden = with_golden(policy, observations)
    lean = remove_dead_units(golden)
    lean.validate()
    assert golden.golden is not None
    assert Reference(lean).forward(observations).tobytes() == golden.golden.outputs.tobytes()
    assert lean.golden is golden.golden
    assert lean.meta["weights_kept"] == kept(policy)
    assert lean.meta["weights_kept_after_removal"] == kept(lean) <= kept(policy)
    assert lean.values[0] == policy.values[0]
    assert lean.values[-1] == policy.values[-1]
    assert same(remove_dead_units(lean), lean)
    return lean


def kept(policy: CompressedPolicy) -> int:
    return sum(int(np.count_nonzero(op.weight)) for op in policy.linears)


def same(one: CompressedPolicy, two: CompressedPolicy) -> bool:
    """Whether two policies have the same ops and meta."""

    def plain(op: Op) -> list[Any]:
        fields = vars(op).items()
        return [(k, v.tolist() if isinstance(v, np.ndarray) else v) for k, v in fields]

    return list(map(plain, one.ops)) == list(map(plain, two.ops)) and one.meta == two.meta
