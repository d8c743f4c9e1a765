"""Whether one op fits the values before it and its own arithmetic; knows nothing of whole policies.

Messages say what was expected and what is there; the caller adds which op it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np

from rlcompress.artifact.checks import (
    SCALE_RANGE,
    check_array,
    check_finite,
    check_integers,
    check_number,
    check_scale,
    check_within,
    is_integer,
    require,
)
from rlcompress.artifact.records import (
    BIAS_LIMIT,
    Activation,
    Add,
    BinaryDense,
    Conv,
    Dense,
    Encode,
    Flatten,
    Function,
    Kind,
    Linear,
    MaxPool,
    Op,
    TensorType,
)
from rlcompress.artifact.shapes import WINDOW_LIMIT, check_size, check_weights, window_shape
from rlcompress.artifact.validate_binary import check_binary, check_binary_values, check_encode

_ACCUMULATOR_LIMIT = 2**31 - 1
_NAME_LIMIT = 200


def check_op(op: Op, values: Sequence[TensorType]) -> None:
    """Raise ValueError unless ``op`` may follow ``values``, the types of all values before it."""
    check = _CHECKS.get(type(op))
    if check is None:
        known = ", ".join(kind.__name__ for kind in _CHECKS)
        raise ValueError(f"{type(op).__name__} is not an op; known are {known}")
    require(
        isinstance(op.name, str) and 0 < len(op.name) <= _NAME_LIMIT and op.name.isprintable(),
        f"name must be 1 to {_NAME_LIMIT} printable characters, got {op.name!r:.60}",
    )
    check_integers("inputs", op.inputs, count=2 if type(op) is Add else 1, low=0)
    require(
        max(op.inputs) < len(values),
        f"inputs must be values before it (0..{len(values) - 1}), got {op.inputs}",
    )
    check_type("output", op.output)
    check_binary_values(op, values)
    check(op, *(values[index] for index in op.inputs))


def check_type(what: str, value: TensorType) -> None:
    """A well-formed tensor type."""
    require(isinstance(value, TensorType), f"{what} must be a TensorType, got {value!r:.60}")
    check_integers(f"{what} shape", value.shape, low=1)
    check_size(what, value.shape)
    require(
        value.kind in get_args(Kind),
        f"{what} kind must be one of {', '.join(get_args(Kind))}, got {value.kind!r:.40}",
    )
    low, high = (1, 1) if value.kind == "binary" else (2, 8)
    require(
        is_integer(value.bits) and low <= value.bits <= high,
        f"{what} bits must be in {low}..{high}, got {value.bits!r:.40}",
    )
    check_scale(f"{what} scale", value.scale)
    if value.kind in ("float", "binary"):
        require(
            value.scale == 1.0, f"{what} scale of a {value.kind} must be 1.0, got {value.scale}"
        )


def _check_dense(op: Dense, given: TensorType) -> None:
    rows = _check_weight(op, 2)
    require(
        len(given.shape) == 1,
        f"its input must have one axis, got shape {given.shape}; put a Flatten before it",
    )
    require(
        op.weight.shape[1] == given.size,
        f"weight must have {given.size} columns, one per input, got {op.weight.shape[1]}",
    )
    _check_shape(op.output, (rows,))
    check_weights(op.weight.shape)
    _check_arithmetic(op, given)


def _check_conv(op: Conv, given: TensorType) -> None:
    rows = _check_weight(op, 4)
    _check_window(op)
    kernel = (op.weight.shape[1], op.weight.shape[2])
    shape = window_shape(given.shape, rows, kernel, op.stride, op.padding)
    require(
        op.weight.shape[3] == given.shape[2],
        f"weight must be (outputs, height, width, {given.shape[2]} channels), "
        f"got {op.weight.shape}",
    )
    _check_shape(op.output, shape)
    check_weights(op.weight.shape, shape[0] * shape[1])
    _check_arithmetic(op, given)


def _check_weight(op: Linear, axes: int) -> int:
    """Type and axes of the weight; the number of outputs."""
    require(
        isinstance(op.weight, np.ndarray) and str(op.weight.dtype) in ("int8", "float32"),
        f"weight must be an int8 or float32 array, got {_dtype(op.weight)}",
    )
    require(
        op.weight.ndim == axes and op.weight.size > 0,
        f"weight must have {axes} axes and not be empty, got shape {op.weight.shape}",
    )
    return int(op.weight.shape[0])


def _check_arithmetic(op: Linear, given: TensorType) -> None:
    """Numbers of a layer whose shapes are right."""
    rows = op.weight.shape[0]
    if op.weight.dtype == np.int8:
        check_within("weight", op.weight, -127, 127)
    else:
        check_finite("weight", op.weight)
    require(isinstance(op.multiplier, np.ndarray), "multiplier must be an array")
    check_array(
        "multiplier", op.multiplier, "float32", (1,) if op.multiplier.size == 1 else (rows,)
    )
    check_within("multiplier", op.multiplier, *SCALE_RANGE)
    _check_function(op)
    if op.output.kind != "float":
        kind = "unsigned" if op.function == "relu" else "signed"
        require(
            op.output.kind == kind,
            f"a quantised output after {op.function!r} must be {kind}, got {op.output.kind}",
        )
    require(
        isinstance(op.bias, np.ndarray) and str(op.bias.dtype) in ("int32", "float32"),
        f"bias must be an int32 or float32 array, got {_dtype(op.bias)}",
    )
    check_array("bias", op.bias, str(op.bias.dtype), (rows,))
    if op.integer:
        _check_accumulator(op, given)
    else:
        check_finite("bias", op.bias)


def _check_accumulator(op: Linear, given: TensorType) -> None:
    """No int32 sum can overflow, whatever the observation."""
    require(
        op.weight.dtype == np.int8 and given.kind != "float",
        f"an int32 bias needs int8 weights and a quantised input, got {op.weight.dtype} weights "
        f"and a {given.kind} input; use a float32 bias",
    )
    check_within("bias", op.bias, -BIAS_LIMIT, BIAS_LIMIT)
    largest = max(abs(limit) for limit in given.limits)
    bias = np.abs(op.bias.astype(np.int64))
    if op.matrix.shape[1] * 127 * largest + int(bias.max()) <= _ACCUMULATOR_LIMIT:
        return
    reach = np.abs(op.matrix).sum(axis=1, dtype=np.int64) * largest + bias
    row = int(reach.argmax())
    require(
        reach[row] <= _ACCUMULATOR_LIMIT,
        f"output {row} can reach {int(reach[row])}, beyond the int32 accumulator; "
        "use fewer bits or more zeros",
    )


def _check_max_pool(op: MaxPool, given: TensorType) -> None:
    check_integers("kernel", op.kernel, count=2, low=1)
    _check_window(op)
    shape = window_shape(given.shape, given.shape[-1], op.kernel, op.stride, op.padding)
    require(
        2 * op.padding[0] <= op.kernel[0] and 2 * op.padding[1] <= op.kernel[1],
        f"padding must be at most half the kernel {op.kernel}, got {op.padding}",
    )
    _check_shape(op.output, shape)
    check_weights((*op.kernel, shape[2]), shape[0] * shape[1])
    _check_same_type(op, given)


def _check_window(op: Conv | MaxPool) -> None:
    check_integers("stride", op.stride, count=2, low=1)
    check_integers("padding", op.padding, count=2, low=0)
    require(
        max(*op.stride, *op.padding) < WINDOW_LIMIT,
        f"stride and padding must be below {WINDOW_LIMIT}, got {op.stride} and {op.padding}",
    )


def _check_add(op: Add, first: TensorType, second: TensorType) -> None:
    require(
        tuple(first.shape) == tuple(second.shape),
        f"its inputs must have one shape, got {first.shape} and {second.shape}",
    )
    _check_shape(op.output, first.shape)
    floats = [value.kind == "float" for value in (first, second, op.output)]
    require(
        all(floats) or not any(floats),
        "its inputs and output must be all float or all quantised, got "
        f"{first.kind}, {second.kind} and {op.output.kind}",
    )
    require(
        isinstance(op.multipliers, tuple) and len(op.multipliers) == 2,
        f"multipliers must be a tuple of two, got {op.multipliers!r:.60}",
    )
    for multiplier in op.multipliers:
        check_scale("multipliers", multiplier)
    if all(floats):
        require(
            tuple(op.multipliers) == (1.0, 1.0),
            f"multipliers of a float sum must be (1.0, 1.0), got {op.multipliers}",
        )


def _check_activation(op: Activation, given: TensorType) -> None:
    require(op.function != "none", "function must be relu, tanh or hard_tanh, got 'none'")
    _check_function(op)
    _check_shape(op.output, given.shape)
    if given.kind == "float" or op.output.kind == "float":
        require(
            given.kind == op.output.kind,
            f"its input and output must both be float or both quantised, got {given.kind} "
            f"and {op.output.kind}",
        )
    elif op.function == "relu":
        require(
            op.output.kind == "unsigned"
            and op.output.scale == given.scale
            and op.output.limits[1] >= given.limits[1],
            f"relu must give unsigned integers of scale {given.scale} up to at least "
            f"{given.limits[1]}, got {_described(op.output)}",
        )
    else:
        require(
            op.output.kind == "signed",
            f"a quantised output of {op.function} must be signed, got {op.output.kind}",
        )


def _check_flatten(op: Flatten, given: TensorType) -> None:
    _check_shape(op.output, (given.size,))
    _check_same_type(op, given)


def _check_function(op: Linear | Activation) -> None:
    require(
        op.function in get_args(Function),
        f"function must be one of {', '.join(get_args(Function))}, got {op.function!r:.40}",
    )
    check_number("bound", op.bound, *SCALE_RANGE)


def _check_shape(output: TensorType, shape: tuple[int, ...]) -> None:
    require(
        tuple(output.shape) == tuple(shape),
        f"output shape must be {tuple(shape)}, got {output.shape}",
    )


def _check_same_type(op: MaxPool | Flatten, given: TensorType) -> None:
    require(
        op.output == replace(given, shape=op.output.shape),
        f"output must be of its input's type, {_described(given)}, got {_described(op.output)}",
    )


def _dtype(array: object) -> str:
    return str(getattr(array, "dtype", type(array).__name__))


def _described(value: TensorType) -> str:
    return f"{value.kind} of {value.bits} bits, scale {value.scale}"


_CHECKS: dict[type, Callable[..., Any]] = {
    Dense: _check_dense,
    Conv: _check_conv,
    MaxPool: _check_max_pool,
    Add: _check_add,
    Activation: _check_activation,
    Flatten: _check_flatten,
    Encode: check_encode,
    BinaryDense: check_binary,
}
