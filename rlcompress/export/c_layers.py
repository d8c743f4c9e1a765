"""Writes the tables of each op for the C runtime; makes no streams and no memory plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from rlcompress.artifact import (
    Activation,
    Add,
    Conv,
    Dense,
    Function,
    Linear,
    MaxPool,
    Op,
    TensorType,
)
from rlcompress.export import c_encode
from rlcompress.export.c_memory import MemoryPlan
from rlcompress.export.c_tables import Tables, nested, real

Optimise = Literal["size", "speed"]

_KINDS = {"float": "RLC_FLOAT", "unsigned": "RLC_UNSIGNED", "signed": "RLC_SIGNED"}
_PLAIN_BELOW = 0.2  # Sparsity from which skipping zeros saves instructions (6 against 5 each).


def place(offset: int | None) -> str:
    """C text of where a value lies."""
    return "RLC_OBSERVATION" if offset is None else str(offset)


def write_op(
    tables: Tables,
    plan: MemoryPlan,
    index: int,
    op: Op,
    sources: Sequence[TensorType],
    optimise: Optimise,
) -> tuple[str, str]:
    """Define the tables of ``op``, which is no Flatten; returns its kernel and their address."""
    name = f"op{index}"
    if isinstance(op, Conv):
        return "rlc_run_conv", _conv(tables, name, op, sources[0], plan.sums[index])
    if isinstance(op, Dense):
        return _dense(tables, name, op, sources[0], optimise)
    if isinstance(op, MaxPool):
        members = [_window(sources[0], op.output, op), _store(op.output, 1.0)]
        return "rlc_run_pool", tables.struct("rlc_pool", name, members)
    if isinstance(op, Add):
        other = place(plan.values[op.inputs[1]])
        kinds = [_KINDS[source.kind] for source in sources]
        rest = [other, *map(real, op.multipliers), _store(op.output, 1.0), *kinds, "{0, 0}"]
        return "rlc_run_sum", tables.struct("rlc_sum", name, [op.output.size, *rest])
    assert isinstance(op, Activation)
    # The ReLU of integers keeps their scale, so nothing needs rescaling.
    keeps = op.function == "relu" or op.output.kind == "float"
    scale, inverse = (1.0, 1.0) if keeps else (sources[0].scale, op.output.inverse_scale)
    rest = [_KINDS[sources[0].kind], real(scale), f"rlc_{op.function}", real(op.bound)]
    rest.append(_store(op.output, inverse))
    return "rlc_run_activation", tables.struct("rlc_activation", name, [op.output.size, *rest])


def _dense(
    tables: Tables, name: str, op: Dense, source: TensorType, optimise: Optimise
) -> tuple[str, str]:
    found = c_encode.indices(op)
    if optimise == "size" or found is None:
        return "rlc_run_packed", tables.struct(
            "rlc_packed", name, _packed(tables, name, op, source)
        )
    layer = _layer(tables, name, op, source)
    biases = c_encode.narrowed(op.bias)
    bias_bytes = biases.itemsize
    bias = tables.array(f"{name}_bias", biases, "biases")
    weights, columns, counts = found
    if weights.size >= (1 - _PLAIN_BELOW) * op.weight.size:
        array = tables.array(f"{name}_weights", op.weight, "weights")
        return "rlc_run_plain", tables.struct("rlc_plain", name, [layer, array, bias, bias_bytes])
    arrays = [
        tables.array(f"{name}_weights", weights, "weights") if weights.size else "NULL",
        bias,
        tables.array(f"{name}_counts", counts, "weights"),
        tables.array(f"{name}_columns", columns, "weights") if weights.size else "NULL",
    ]
    members = [layer, *arrays, bias_bytes, counts.itemsize, columns.itemsize, 0]
    return "rlc_run_indexed", tables.struct("rlc_indexed", name, members)


def _conv(tables: Tables, name: str, op: Conv, source: TensorType, sums: int) -> str:
    packed = nested(_packed(tables, name, op, source))
    return tables.struct("rlc_conv", name, [packed, _window(source, op.output, op), sums])


def _packed(tables: Tables, name: str, op: Linear, source: TensorType) -> list[object]:
    stream = c_encode.packed(op)
    array = tables.array(f"{name}_stream", stream.data, "weights")
    tables.data_bytes.update(weights=-stream.bias_bytes, biases=stream.bias_bytes)
    bases = [f"0x{fields.base:X}UL" for fields in (stream.weights, stream.biases)]
    widths = [stream.gap_bits, stream.weights.width, stream.biases.width, 0]
    return [_layer(tables, name, op, source), array, *bases, *widths]


def _layer(tables: Tables, name: str, op: Linear, source: TensorType) -> str:
    multiplier = tables.array(f"{name}_multiplier", op.multiplier)
    straight = op.integer and op.output.kind != "float" and op.function in ("none", "relu")
    inverse = 1.0 if straight or op.output.kind == "float" else op.output.inverse_scale
    flags = [
        _KINDS[source.kind],
        "RLC_FLOAT" if op.weight.dtype == np.float32 else "RLC_SIGNED",
        int(op.integer),
        int(op.multiplier.size > 1),
    ]
    members = [*op.matrix.shape, multiplier, _function(op.function, op.output), real(op.bound)]
    return nested([*members, _store(op.output, inverse), *flags])


def _function(function: Function, output: TensorType) -> str:
    """The clamp of an unsigned type is a ReLU already."""
    clamped = function == "relu" and output.kind == "unsigned"
    return "NULL" if clamped or function == "none" else f"rlc_{function}"


def _store(output: TensorType, inverse_scale: float | np.float32) -> str:
    limits = (0, 0) if output.kind == "float" else output.limits
    return nested([real(inverse_scale), *map(real, limits), _KINDS[output.kind]])


def _window(source: TensorType, output: TensorType, op: Conv | MaxPool) -> str:
    kernel = op.kernel if isinstance(op, MaxPool) else op.weight.shape[1:3]
    return nested([*source.shape, *output.shape[:2], *kernel, *op.stride, *op.padding])
