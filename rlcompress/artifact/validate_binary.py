"""Whether an op on single bits fits the values before it; ``validate_ops.py`` owns all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np

from rlcompress.artifact.checks import check_array, check_finite, check_within, require
from rlcompress.artifact.records import BIAS_LIMIT, BinaryDense, Code, Encode, Op, TensorType
from rlcompress.artifact.shapes import EDGE_LIMIT, check_weights, code_bits

_FLOAT_EXACT = 2**24


def check_binary_values(op: Op, values: Sequence[TensorType]) -> None:
    """Bits come from the ops that make them and go to the one that reads them."""
    reads = values[op.inputs[0]].kind == "binary" or values[op.inputs[-1]].kind == "binary"
    require(
        reads == isinstance(op, BinaryDense),
        "binary values are what a BinaryDense reads, and nothing else",
    )
    require(
        op.output.kind != "binary" or isinstance(op, Encode | BinaryDense),
        "a binary output is what only Encode and BinaryDense have",
    )


def check_encode(op: Encode, given: TensorType) -> None:
    """Raise ValueError unless an encoder may read ``given``."""
    require(
        given.kind == "float" and len(given.shape) == 1,
        f"its input must be float with one axis, got {given.kind} of shape {given.shape}",
    )
    require(op.code in get_args(Code), f"code must be one of {get_args(Code)}, got {op.code!r:.40}")
    require(
        isinstance(op.edges, np.ndarray) and op.edges.ndim == 2,
        "edges must be an array (inputs, edges of each)",
    )
    count = op.edges.shape[1]
    require(1 <= count <= EDGE_LIMIT, f"an input must have 1..{EDGE_LIMIT} edges, got {count}")
    check_array("edges", op.edges, "float32", (given.size, count))
    check_finite("edges", op.edges)
    require((np.diff(op.edges, axis=1) >= 0).all(), "edges must ascend for every input")
    require(op.output.kind == "binary", f"output must be binary, got {op.output.kind}")
    _check_shape(op.output, (given.size * code_bits(op.code, count),))


def check_binary(op: BinaryDense, given: TensorType) -> None:
    """Raise ValueError unless a binary layer may read ``given``."""
    require(isinstance(op.weight, np.ndarray) and op.weight.ndim == 2, "weight must have two axes")
    rows = op.weight.shape[0]
    check_weights((rows, given.size))
    check_array("weight", op.weight, "bool", (rows, given.size))
    _check_shape(op.output, (rows,))
    require(isinstance(op.bias, np.ndarray), "bias must be an array")
    check_array("bias", op.bias, "int32", (rows,))
    check_within("bias", op.bias, -BIAS_LIMIT, BIAS_LIMIT)
    require(
        op.output.kind in ("binary", "float"),
        f"output must be binary, or float for the sums themselves, got {op.output.kind}",
    )
    reach = given.size + int(np.abs(op.bias.astype(np.int64)).max())
    require(
        op.output.kind == "binary" or reach <= _FLOAT_EXACT,
        f"sums can reach {reach}, beyond the integers of float32",
    )


def _check_shape(output: TensorType, shape: tuple[int, ...]) -> None:
    require(
        tuple(output.shape) == shape, f"output shape must be {shape}, got {tuple(output.shape)}"
    )
