"""Writes policies as engine images, the flat form that native code reads; runs nothing.

The format is described in ``csrc/image.h``, which reads it back and validates every number.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from rlcompress.artifact.policy import CompressedPolicy
from rlcompress.artifact.records import (
    Action,
    Activation,
    Add,
    AnyArray,
    BinaryDense,
    Conv,
    Dense,
    Encode,
    Linear,
    MaxPool,
    Observation,
    Op,
    TensorType,
)

VERSION = 1
_KINDS = ("float", "unsigned", "signed", "binary")
_CODES = ("thermometer", "one_hot", "gray")
_FUNCTIONS = ("none", "relu", "tanh", "hard_tanh")
_ACTIONS = ("squash", "clip", "argmax", "count")
_OPS = ("Dense", "Conv", "MaxPool", "Add", "Activation", "Flatten", "Encode", "BinaryDense")


def engine_image(policy: CompressedPolicy) -> bytes:
    """``policy`` as an engine image (golden data and metadata left out)."""
    parts = [b"RLCIMAGE", _u32(VERSION, len(policy.ops)), _observation(policy.observation)]
    parts.append(_action(policy.action))
    parts += [_op(op) for op in policy.ops]
    return b"".join(parts)


def _u32(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


def _f32(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def _floats(values: AnyArray) -> bytes:
    return np.asarray(values, "<f4").tobytes()


def _shape(shape: Sequence[int]) -> bytes:
    return _u32(len(shape), *shape)


def _observation(observation: Observation) -> bytes:
    normalised = observation.mean is not None and observation.inv_std is not None
    flags = observation.image + 2 * observation.channels_first + 4 * normalised
    head = _u32(flags) + _shape(observation.shape) + _f32(observation.scale, observation.clip)
    if observation.mean is None or observation.inv_std is None:
        return head
    return head + _floats(observation.mean) + _floats(observation.inv_std)


def _action(action: Action) -> bytes:
    low, high = (np.zeros(0) if limit is None else limit for limit in (action.low, action.high))
    head = _u32(_ACTIONS.index(action.kind)) + _shape(action.shape) + _u32(action.quantiles)
    return head + struct.pack("<qI", action.start, low.size) + _floats(low) + _floats(high)


def _op(op: Op) -> bytes:
    first, second = op.inputs[0], op.inputs[-1]
    head = _u32(_OPS.index(type(op).__name__), first, second) + _type(op.output)
    if isinstance(op, Dense | Conv):
        return head + _linear(op)
    if isinstance(op, MaxPool):
        return head + _u32(*op.kernel, *op.stride, *op.padding)
    if isinstance(op, Add):
        return head + _f32(*op.multipliers)
    if isinstance(op, Activation):
        return head + _u32(_FUNCTIONS.index(op.function)) + _f32(op.bound)
    if isinstance(op, Encode):
        return head + _u32(_CODES.index(op.code), *op.edges.shape) + _floats(op.edges)
    if isinstance(op, BinaryDense):
        packed = np.packbits(op.weight.reshape(-1), bitorder="little").tobytes()
        return head + _u32(*op.weight.shape) + op.bias.astype("<i4").tobytes() + _filled(packed)
    return head


def _type(kind: TensorType) -> bytes:
    return _u32(_KINDS.index(kind.kind), kind.bits) + _f32(kind.scale) + _shape(kind.shape)


def _linear(op: Linear) -> bytes:
    integer_weights = op.weight.dtype == np.int8
    axes = (
        op.weight.shape if op.weight.ndim == 4 else (op.weight.shape[0], 1, 1, op.weight.shape[1])
    )
    stride, padding = (op.stride, op.padding) if isinstance(op, Conv) else ((1, 1), (0, 0))
    head = _u32(_FUNCTIONS.index(op.function)) + _f32(op.bound)
    head += _u32(integer_weights + 2 * op.integer, *axes, *stride, *padding, op.multiplier.size)
    bias = op.bias.astype("<i4" if op.integer else "<f4").tobytes()
    weight = op.weight.reshape(-1)
    stored = weight[weight != 0]
    values = stored.astype("<i1" if integer_weights else "<f4").tobytes()
    bitmap = np.packbits(weight != 0, bitorder="little").tobytes()
    body = _floats(op.multiplier) + bias + _u32(stored.size) + _filled(bitmap)
    return head + body + _filled(values)


def _filled(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
