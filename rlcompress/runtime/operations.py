"""What each op of a policy computes, in numpy and exactly; knows nothing of whole policies.

``compile_op`` turns a record into a function from input batches to the output batch. What is slow
to derive from a record (weights in the type in which they are summed) is derived there, once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from rlcompress.artifact.records import (
    Activation,
    Add,
    AnyArray,
    BinaryDense,
    Conv,
    Dense,
    Encode,
    FloatArray,
    Linear,
    MaxPool,
    Op,
    TensorType,
)
from rlcompress.runtime.numerics import activate, quantise, storage, to_integers

Run = Callable[..., AnyArray]
"""From the batches that an op reads to the batch that it writes."""

IntArray = npt.NDArray[np.int32]
Sum = Callable[[AnyArray], AnyArray]
"""From rows of inputs (positions, columns) to accumulators (positions, outputs)."""

_FLOAT32_EXACT = 2**24
_FLOAT64_EXACT = 2**53
_BLOCK = 2**15  # Accumulators summed at a time, so that they stay in the cache.


def compile_op(op: Op, inputs: Sequence[TensorType]) -> Run:
    """A function that runs ``op`` on batches of the given types."""
    if isinstance(op, Linear):
        return _compile_linear(op, inputs[0])
    if isinstance(op, MaxPool):
        return lambda x: max_pool(op, x)
    if isinstance(op, Add):
        return lambda a, b: add(op, a, b)
    if isinstance(op, Activation):
        return lambda x: activation(op, x, inputs[0])
    if isinstance(op, Encode):
        return lambda x: encode(op, x)
    if isinstance(op, BinaryDense):
        return lambda x: binary_dense(op, x)
    return lambda x: x.reshape(len(x), -1)


def _compile_linear(op: Dense | Conv, source: TensorType) -> Run:
    total = exact_sum(op.matrix, source) if op.integer else ordered_sum(op.matrix)

    def run(x: AnyArray) -> AnyArray:
        rows = patches(op, x) if isinstance(op, Conv) else x
        with np.errstate(over="ignore", invalid="ignore"):
            return finish(op, total(rows)).reshape(len(x), *op.output.shape)

    return run


def exact_sum(matrix: AnyArray, source: TensorType) -> Sum:
    """Sums of products of integers, exact in any order, as int32.

    They are formed by a floating-point matrix product, which is exact because no partial sum of a
    row can leave the integers that the type holds.
    """
    low, high = source.limits
    weight_sums = np.abs(matrix.astype(np.int64)).sum(axis=1)
    reach = int(weight_sums.max(initial=0)) * max(-low, high)
    assert reach < _FLOAT64_EXACT, "int8 weights times 8-bit values of any realistic layer"
    dtype = np.float32 if reach < _FLOAT32_EXACT else np.float64
    weights = np.ascontiguousarray(matrix.T, dtype)

    def total(x: AnyArray) -> IntArray:
        return (x.astype(dtype) @ weights).astype(np.int32)

    return total


def ordered_sum(matrix: AnyArray) -> Sum:
    """Float32 sums of x * f32(w) over each row's stored weights, in ascending column order.

    Step k adds the k-th weight that is not zero of every row that has so many; rows are sorted by
    that number, so they are a prefix. Weights that are zero take no part (0 * inf would be nan).
    """
    counts = np.count_nonzero(matrix, axis=1)
    order = np.argsort(-counts, kind="stable")
    shape = (int(counts.max(initial=0)), len(matrix))
    columns, weights = np.zeros(shape, np.intp), np.zeros(shape, np.float32)
    for place, row in enumerate(order):
        (stored,) = np.nonzero(matrix[row])
        columns[: len(stored), place] = stored
        weights[: len(stored), place] = matrix[row, stored]
    steps = [int(np.count_nonzero(counts > k)) for k in range(shape[0])]

    def total(x: AnyArray) -> FloatArray:
        result = np.zeros((len(x), len(matrix)), np.float32)
        block = max(1, _BLOCK // len(matrix))
        for start in range(0, len(x), block):
            by_column = np.ascontiguousarray(x[start : start + block].T, np.float32)
            sums = np.zeros((len(matrix), by_column.shape[1]), np.float32)
            for k, rows in enumerate(steps):
                products = by_column[columns[k, :rows]]
                products *= weights[k, :rows, None]
                sums[:rows] += products
            result[start : start + block, order] = sums.T
        return result

    return total


def finish(op: Linear, acc: AnyArray) -> AnyArray:
    """Output of a layer from its accumulators: bias, multiplier, activation, quantisation."""
    output = op.output
    if not op.integer:
        return quantise(activate(op.function, acc * op.multiplier + op.bias, op.bound), output)
    scaled = (acc + op.bias).astype(np.float32) * op.multiplier
    if output.kind != "float" and op.function in ("none", "relu"):
        return to_integers(scaled, output)  # The multiplier holds 1 / the output's scale.
    return quantise(activate(op.function, scaled, op.bound), output)


def patches(op: Conv, x: AnyArray) -> AnyArray:
    """What each output position reads: (positions, kernel rows * kernel columns * channels)."""
    _, kernel_height, kernel_width, channels = op.weight.shape
    padded = _pad(x, op.padding, 0)
    windows = _windows(padded, (kernel_height, kernel_width), op.stride)
    return windows.reshape(-1, kernel_height * kernel_width * channels)


def max_pool(op: MaxPool, x: AnyArray) -> AnyArray:
    """Largest element of each window and channel; ``x > largest ? x : largest`` in row order."""
    lowest = -np.inf if op.output.kind == "float" else op.output.limits[0]
    windows = _windows(_pad(x, op.padding, lowest), op.kernel, op.stride)
    largest = np.full((len(x), *op.output.shape), lowest, x.dtype)
    for row in range(op.kernel[0]):
        for column in range(op.kernel[1]):
            candidate = windows[:, :, :, row, column]
            largest = np.where(candidate > largest, candidate, largest)
    return largest


def add(op: Add, a: AnyArray, b: AnyArray) -> AnyArray:
    """Residual addition; quantised values are rescaled, each product rounded, before the sum."""
    with np.errstate(over="ignore", invalid="ignore"):
        if op.output.kind == "float":
            total: AnyArray = a + b
            return total
        first, second = (np.float32(m) for m in op.multipliers)
        scaled = a.astype(np.float32) * first + b.astype(np.float32) * second
        return to_integers(scaled, op.output)


def activation(op: Activation, x: AnyArray, source: TensorType) -> AnyArray:
    """A stand-alone activation; the ReLU of integers keeps integers and scale."""
    if op.function == "relu" and source.kind != "float":
        positive: AnyArray = np.maximum(x, 0).astype(storage(op.output))
        return positive
    with np.errstate(over="ignore", invalid="ignore"):
        real = x if source.kind == "float" else x.astype(np.float32) * np.float32(source.scale)
        return quantise(activate(op.function, real, op.bound), op.output)


def encode(op: Encode, x: AnyArray) -> AnyArray:
    """Bits (n, bits) of numbers (n, inputs), one byte for each."""
    below = (x[:, :, None] > op.edges).sum(-1)
    places = np.arange(op.output.size // len(op.edges))
    if op.code == "thermometer":
        bits = places < below[:, :, None]
    elif op.code == "one_hot":
        bits = places == below[:, :, None]
    else:
        bits = (below ^ (below >> 1))[:, :, None] >> places & 1
    found: AnyArray = bits.astype(np.uint8).reshape(len(x), -1)
    return found


def binary_dense(op: BinaryDense, x: AnyArray) -> AnyArray:
    """Sums of products of +-1, exact in float64, and whether they are above 0."""
    signs, weights = 2.0 * x - 1.0, 2.0 * op.weight - 1.0
    z: AnyArray = signs @ weights.T + op.bias
    return (z > 0).astype(np.uint8) if op.output.kind == "binary" else z.astype(np.float32)


def _pad(x: AnyArray, padding: tuple[int, int], value: float) -> AnyArray:
    if padding == (0, 0):
        return x
    (vertical, horizontal), none = padding, (0, 0)
    border = (none, (vertical, vertical), (horizontal, horizontal), none)
    return np.pad(x, border, constant_values=value)


def _windows(x: AnyArray, kernel: tuple[int, int], stride: tuple[int, int]) -> AnyArray:
    """View (n, output rows, output columns, kernel rows, kernel columns, channels)."""
    all_windows = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(1, 2))
    view: AnyArray = all_windows[:, :: stride[0], :: stride[1]].transpose(0, 1, 2, 4, 5, 3)
    return view
