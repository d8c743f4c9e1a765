"""Ops on single bits out of a program and its streams; ``reader.py`` owns all others."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np

from rlcompress.artifact import streams
from rlcompress.artifact.fields import Fields
from rlcompress.artifact.records import BIAS_LIMIT, BinaryDense, Code, Encode, Op, TensorType
from rlcompress.artifact.shapes import (
    EDGE_LIMIT,
    VALUE_LIMIT,
    check_size,
    check_weights,
    code_bits,
)
from rlcompress.artifact.streams import Source
from rlcompress.artifact.writer import even_edges


def read_encode(
    fields: Fields, name: str, inputs: tuple[int, ...], given: TensorType, source: Source
) -> Op:
    """An encoder, with bounded edges."""
    raw = fields.raw("edges")
    if not (isinstance(raw, list) and len(raw) == 3 and raw[0] in ("even", "each")):
        raise ValueError(f"edges must be [even or each, count, record], got {raw!r:.60}")
    layout, count, record = raw
    if type(count) is not int or not 1 <= count <= EDGE_LIMIT:
        raise ValueError(f"an input must have 1..{EDGE_LIMIT} edges, got {count!r:.40}")
    check_size("its edges", (given.size, count))
    code: Code = "thermometer"
    if fields.has("code"):
        chosen: Any = fields.text("code", get_args(Code))
        code = chosen
    output = TensorType((given.size * code_bits(code, count),), "binary", 1)
    if layout == "each":
        edges = streams.read_floats(record, given.size * count, source).reshape(-1, count)
    else:
        ends = streams.read_floats(record, given.size * 2, source).reshape(-1, 2)
        source.reserve(4 * given.size * count)
        edges = even_edges(ends[:, 0], ends[:, 1], count)
    return Encode(name, inputs, output, edges, code)


def read_binary(
    fields: Fields, name: str, inputs: tuple[int, ...], given: TensorType, source: Source
) -> Op:
    """A binary layer: an output of its own is bits where the record says so, else float."""
    outputs = fields.integer("outputs", low=1, high=VALUE_LIMIT)
    size = check_weights((outputs, given.size))
    output = TensorType((outputs,), "binary", 1) if fields.flag("fires") else TensorType((outputs,))
    record = fields.raw("weight")
    stored = streams.read_integers(record, -(-size // 8), source, low=0, high=255)
    source.reserve(2 * size)
    bits = np.unpackbits(stored.astype(np.uint8), bitorder="little")
    if bits[size:].any():
        raise ValueError("bits beyond the last weight must be 0")
    weight = bits[:size].astype(np.bool_).reshape(outputs, given.size)
    bias = np.zeros(outputs, np.int32)
    if fields.has("bias"):
        values = streams.read_integers(
            fields.raw("bias"), outputs, source, low=-BIAS_LIMIT, high=BIAS_LIMIT
        )
        bias = values.astype(np.int32)
    return BinaryDense(name, inputs, output, weight, bias)
