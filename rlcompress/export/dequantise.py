"""Takes the quantisation out of a policy: the same weights as real numbers, in float32 arithmetic.

What comes back is a policy as well, so that whatever runs or exports one serves both. It is what
float peers are measured and checked with; it owns no arithmetic of its own.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rlcompress.artifact import (
    Activation,
    Add,
    CompressedPolicy,
    FloatArray,
    Linear,
    Op,
    TensorType,
)


def dequantised(policy: CompressedPolicy) -> CompressedPolicy:
    """The float32 network whose quantisation ``policy`` is; zeros stay zeros.

    Image observations stay the bytes they are. Golden data is dropped, because the outputs are
    others (without the rounding of activations).

    Raises:
        ValueError: where an image itself is added to something, which has no float form.
    """
    kinds = [policy.observation.value]
    ops: list[Op] = []
    for op in policy.ops:
        done = _op(op, policy, kinds)
        ops.append(done)
        kinds.append(done.output)
    return replace(policy, ops=tuple(ops), golden=None)


def weight_scale(op: Linear, source: TensorType) -> FloatArray:
    """Real size of one step of ``op.weight``: one number, or one per output."""
    scale = np.asarray(op.multiplier, np.float64) / source.scale * _rescaling(op)
    return np.asarray(scale[0] if scale.size == 1 else scale, np.float32)


def real_weight(op: Linear, source: TensorType) -> FloatArray:
    """Weights as the real numbers they stand for, ``source`` being the input's type."""
    scale = np.broadcast_to(weight_scale(op, source), op.weight.shape[0])
    return np.asarray(op.weight * scale.reshape(-1, *[1] * (op.weight.ndim - 1)), np.float32)


def real_bias(op: Linear) -> FloatArray:
    """Biases as the real numbers they stand for."""
    if not op.integer:
        return np.asarray(op.bias, np.float32)
    return np.asarray(op.bias * np.asarray(op.multiplier, np.float64) * _rescaling(op), np.float32)


def _rescaling(op: Linear) -> float:
    """What the multiplier leads past real numbers with, straight to the output's integers."""
    straight = op.integer and op.output.kind != "float" and op.function in ("none", "relu")
    return op.output.scale if straight else 1.0


def _op(op: Op, policy: CompressedPolicy, kinds: list[TensorType]) -> Op:
    sources = [kinds[index] for index in op.inputs]
    if isinstance(op, Linear):
        # The value itself may have been quantised before and not be any more.
        was = policy.values[op.inputs[0]]
        weight = real_weight(op, was)
        multiplier = np.full(1, sources[0].scale, np.float32)
        return replace(
            op,
            output=TensorType(op.output.shape),
            weight=weight,
            multiplier=multiplier,
            bias=real_bias(op),
        )
    if all(source.kind == "float" for source in sources):
        if isinstance(op, Add):
            return replace(op, output=TensorType(op.output.shape), multipliers=(1.0, 1.0))
        return replace(op, output=TensorType(op.output.shape))
    if isinstance(op, Add):
        raise ValueError(
            f"{op.name}: an image observation is added to another value; put a layer before the "
            "addition"
        )
    if isinstance(op, Activation) and op.function != "relu":
        raise ValueError(f"{op.name}: {op.function} of an image observation has no float form")
    return op
