"""A second interpreter, one number at a time, written from the records' documentation alone.

It shares no arithmetic with ``rlcompress.runtime`` but ``tanh`` (which has tests of its own), so a
test that compares the two checks the reference's indexing, order of summation and rounding.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from rlcompress.artifact import CompressedPolicy
from rlcompress.artifact.records import (
    Activation,
    Add,
    Conv,
    Dense,
    Flatten,
    Linear,
    MaxPool,
    TensorType,
)
from rlcompress.runtime.numerics import tanh

f32 = np.float32


def scalar_values(policy: CompressedPolicy, value: np.ndarray[Any, Any]) -> list[np.ndarray]:
    """All values for one prepared observation."""
    types, values = policy.values, [value]
    for op in policy.ops:
        given = [values[i] for i in op.inputs]
        sources = [types[i] for i in op.inputs]
        if isinstance(op, Dense):
            out = _dense(op, given[0])
        elif isinstance(op, Conv):
            out = _conv(op, given[0])
        elif isinstance(op, MaxPool):
            out = _max_pool(op, given[0])
        elif isinstance(op, Flatten):
            out = list(_elements(given[0]))
        elif isinstance(op, Add):
            out = [_add(op, a, b) for a, b in zip(*map(_elements, given), strict=True)]
        else:
            assert isinstance(op, Activation)
            out = [_activation(op, x, sources[0]) for x in _elements(given[0])]
        kind = {"float": np.float32, "unsigned": np.uint8, "signed": np.int8}[op.output.kind]
        values.append(np.array(out, kind).reshape(op.output.shape))
    return values


def _elements(x: np.ndarray[Any, Any]) -> list[Any]:
    return [x[index] for index in itertools.product(*map(range, x.shape))]


def _dense(op: Dense, x: np.ndarray[Any, Any]) -> list[Any]:
    return [
        _unit(op, row, list(zip(x, op.weight[row], strict=True))) for row in range(len(op.bias))
    ]


def _conv(op: Conv, x: np.ndarray[Any, Any]) -> list[Any]:
    rows, columns, channels = x.shape
    _, kernel_rows, kernel_columns, _ = op.weight.shape
    out = []
    for y, z, unit in itertools.product(*map(range, op.output.shape)):
        terms = []
        for i, j, c in itertools.product(
            range(kernel_rows), range(kernel_columns), range(channels)
        ):
            row = y * op.stride[0] + i - op.padding[0]
            column = z * op.stride[1] + j - op.padding[1]
            if 0 <= row < rows and 0 <= column < columns:
                terms.append((x[row, column, c], op.weight[unit, i, j, c]))
        out.append(_unit(op, unit, terms))
    return out


def _unit(op: Linear, row: int, terms: list[tuple[Any, Any]]) -> Any:
    """One output from its (input, weight) pairs in column order."""
    multiplier = op.multiplier[row if op.multiplier.size > 1 else 0]
    if op.integer:
        total = sum(int(x) * int(w) for x, w in terms) + int(op.bias[row])
        assert -(2**31) <= total < 2**31
        real = f32(f32(total) * multiplier)
        if op.output.kind != "float" and op.function in ("none", "relu"):
            return _rounded(real, op.output)
    else:
        acc = f32(0)
        for x, w in terms:
            if w != 0:
                acc = f32(acc + f32(f32(x) * f32(w)))
        real = f32(f32(acc * multiplier) + op.bias[row])
    return _stored(_function(op, real), op.output)


def _function(op: Linear | Activation, real: Any) -> Any:
    if op.function == "relu":
        return real if real > 0 else f32(0)
    if op.function == "hard_tanh":
        bound = f32(op.bound)
        return -bound if real < -bound else bound if real > bound else real
    return tanh(real)[()] if op.function == "tanh" else real


def _stored(real: Any, output: TensorType) -> Any:
    if output.kind == "float":
        return real
    return _rounded(f32(real * f32(f32(1) / f32(output.scale))), output)


def _rounded(scaled: Any, output: TensorType) -> int:
    """Round half to even (what Python's ``round`` does), then clamp."""
    low, high = output.limits
    if math.isinf(scaled):
        return high if scaled > 0 else low
    return min(max(round(float(scaled)), low), high)


def _max_pool(op: MaxPool, x: np.ndarray[Any, Any]) -> list[Any]:
    rows, columns, _ = x.shape
    out = []
    for y, z, c in itertools.product(*map(range, op.output.shape)):
        best = -math.inf if op.output.kind == "float" else op.output.limits[0]
        for i, j in itertools.product(range(op.kernel[0]), range(op.kernel[1])):
            row = y * op.stride[0] + i - op.padding[0]
            column = z * op.stride[1] + j - op.padding[1]
            if 0 <= row < rows and 0 <= column < columns:
                best = max(best, x[row, column, c])
        out.append(best)
    return out


def _add(op: Add, a: Any, b: Any) -> Any:
    if op.output.kind == "float":
        return f32(a + b)
    first, second = (f32(m) for m in op.multipliers)
    return _rounded(f32(f32(f32(a) * first) + f32(f32(b) * second)), op.output)


def _activation(op: Activation, x: Any, source: TensorType) -> Any:
    if source.kind == "float":
        return _stored(_function(op, x), op.output)
    if op.function == "relu":
        return max(int(x), 0)
    return _stored(_function(op, f32(f32(x) * f32(source.scale))), op.output)
