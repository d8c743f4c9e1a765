"""Takes units with a constant output out of the sums that read them; removes no unit itself.

Exact, not nearly: the ops that come out give the same bits for every observation. A constant of
zero takes no part in any sum. Another constant moves into the bias of an integer layer without
padding (at a padded border it would be missing from the sum), and into the bias of a float layer
only where all that a unit reads is constant (otherwise the order of its sum would change).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rlcompress.artifact.records import (
    BIAS_LIMIT,
    Activation,
    Add,
    AnyArray,
    Conv,
    Dense,
    FloatArray,
    Linear,
    MaxPool,
    Op,
    PolicyData,
    TensorType,
)
from rlcompress.runtime.numerics import storage
from rlcompress.runtime.operations import activation, add, finish, ordered_sum

Flags = npt.NDArray[np.bool_]


def fold_constants(policy: PolicyData) -> tuple[Op, ...]:
    """The ops of ``policy``, reading no constant that could be folded away exactly."""
    types, ops = policy.values, []
    # One number per channel of each value: its constant content, nan where it varies.
    constants: list[FloatArray] = [np.full(types[0].shape[-1], np.nan, np.float32)]
    for op in policy.ops:
        given = [constants[i] for i in op.inputs]
        sources = [types[i] for i in op.inputs]
        folded = fold(op, given[0]) if isinstance(op, Linear) else op
        ops.append(folded)
        found = _constants(folded, given, sources)
        constants.append(np.where(np.isfinite(found), found, np.float32(np.nan)))
    return tuple(ops)


def fold(op: Dense | Conv, constants: FloatArray) -> Dense | Conv:
    """``op`` without the weights that read ``constants`` (nan: not constant), where exact."""
    weight = op.weight.copy()
    weight[..., constants == 0] = 0
    known = ~np.isnan(constants)
    bias = op.bias
    if not (isinstance(op, Conv) and op.padding != (0, 0)):
        if op.integer:
            rows, bias = _folded_integer(op, weight, constants)
        else:
            rows, bias = _folded_float(op, weight, constants)
        remaining = weight[rows]
        remaining[..., known] = 0
        weight[rows] = remaining
    return replace(op, weight=weight, bias=bias)


def _folded_integer(
    op: Linear, weight: AnyArray, constants: FloatArray
) -> tuple[Flags, npt.NDArray[np.int32]]:
    """Which rows can take their constants into the bias, and the biases then."""
    per_channel = weight.reshape(len(weight), -1, weight.shape[-1]).sum(axis=1, dtype=np.int64)
    bias = op.bias + per_channel @ np.nan_to_num(constants).astype(np.int64)
    rows = np.abs(bias) <= BIAS_LIMIT
    return rows, np.where(rows, bias, op.bias).astype(np.int32)


def _folded_float(
    op: Linear, weight: AnyArray, constants: FloatArray
) -> tuple[Flags, npt.NDArray[np.float32]]:
    """Which rows read nothing but constants, and the biases with those rows' whole sums."""
    rows = ~(weight[..., np.isnan(constants)] != 0).reshape(len(weight), -1).any(axis=1)
    matrix = weight.reshape(len(weight), -1)
    inputs = np.tile(np.nan_to_num(constants), matrix.shape[1] // len(constants))
    with np.errstate(over="ignore", invalid="ignore"):
        bias = ordered_sum(matrix)(inputs[None])[0] * op.multiplier + op.bias
        unread = np.float32(0) * op.multiplier + bias  # What a row without weights will compute.
    rows &= np.isfinite(bias) & (unread.view(np.uint32) == bias.view(np.uint32))
    return rows, np.where(rows, bias, op.bias)


def _constants(op: Op, given: Sequence[FloatArray], sources: Sequence[TensorType]) -> FloatArray:
    """What is constant in the output of ``op``, given what is constant in its inputs."""
    if isinstance(op, Linear):
        return _constant_units(op, sources[0])
    if isinstance(
        op, MaxPool
    ):  # Nothing is smaller than the padding, and no window is all padding.
        return given[0]
    if isinstance(op, Add | Activation):
        known = ~np.isnan(given).any(axis=0)
        held = [
            np.where(known, c, 0).astype(storage(t)) for c, t in zip(given, sources, strict=True)
        ]
        result = add(op, *held) if isinstance(op, Add) else activation(op, held[0], sources[0])
        return np.where(known, result, np.float32(np.nan)).astype(np.float32)
    return np.tile(given[0], sources[0].size // len(given[0]))


def _constant_units(op: Linear, source: TensorType) -> FloatArray:
    """Outputs of the units that give the same for every input that ``source`` can hold.

    Those without weights do, and with integers those whose smallest and largest accumulator give
    the same (a ReLU that never opens); tanh is left out of that, as it need not be monotone to the
    last bit.
    """
    matrix = op.matrix
    smallest = largest = np.zeros(len(matrix), np.int64)
    known = ~(matrix != 0).any(axis=1)
    if op.integer:
        low, high = source.limits
        at_low, at_high = matrix.astype(np.int64) * low, matrix.astype(np.int64) * high
        smallest = np.minimum(at_low, at_high).sum(axis=1)
        largest = np.maximum(at_low, at_high).sum(axis=1)
    dtype = np.int32 if op.integer else np.float32
    first, last = (finish(op, acc.astype(dtype)) for acc in (smallest, largest))
    if op.function != "tanh":
        known |= (first == last) & op.integer
    return np.where(known, first, np.float32(np.nan)).astype(np.float32)
