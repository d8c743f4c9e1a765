"""Writes the tables of an encoder and the binary layers after it, one op of the C runtime."""

from __future__ import annotations

import numpy as np

from rlcompress.artifact import BinaryDense, CompressedPolicy, Encode
from rlcompress.artifact.writer import even_steps
from rlcompress.export.c_encode import narrowed
from rlcompress.export.c_memory import MemoryPlan
from rlcompress.export.c_tables import Tables

_CODES = ("thermometer", "one_hot", "gray")
_WIDTH_LIMIT = 2**16 - 1


def chain_from(policy: CompressedPolicy, first: int) -> tuple[BinaryDense, ...]:
    """The layers that follow the encoder at op ``first``, down to the sums.

    Raises:
        ValueError: where they are no chain, or too wide for the runtime's 16-bit numbers.
    """
    layers: list[BinaryDense] = []
    for place, op in enumerate(policy.ops[first + 1 :], first + 1):
        if not isinstance(op, BinaryDense) or tuple(op.inputs) != (place,):
            break
        layers.append(op)
        if op.output.kind == "float":
            break
    end = first + 1 + len(layers)
    bits_left = any(isinstance(op, BinaryDense) for op in policy.ops[end:])
    if not layers or layers[-1].output.kind != "float" or bits_left:
        raise ValueError("a C export needs binary layers that follow their encoder one by one")
    widths = [policy.ops[first].output.size, *(op.output.size for op in layers)]
    if max(widths) > _WIDTH_LIMIT:
        raise ValueError(
            f"a C export may have binary layers of {_WIDTH_LIMIT} bits, got {max(widths)}"
        )
    return tuple(layers)


def write_chain(
    tables: Tables,
    plan: MemoryPlan,
    first: int,
    encoder: Encode,
    layers: tuple[BinaryDense, ...],
) -> tuple[str, str]:
    """Define the tables of an encoder at op ``first`` with its ``layers``; kernel and address."""
    name = f"op{first}"
    steps = even_steps(encoder.edges)
    kept = encoder.edges if steps is None else np.stack([encoder.edges[:, 0], steps], axis=1)
    edges = tables.array(f"{name}_edges", np.ascontiguousarray(kept, np.float32), "edges")
    rows = [_row(tables, plan, first + k, op) for k, op in enumerate(layers, 1)]
    table = tables.structs("rlc_sign_layer", f"{name}_layers", rows)
    inputs, each = encoder.edges.shape
    members = [edges, table, plan.values[first + 1], inputs, each]
    members += [_CODES.index(encoder.code), int(steps is not None), len(layers), 0]
    return "rlc_run_signs", tables.struct("rlc_signs", name, members)


def _row(tables: Tables, plan: MemoryPlan, index: int, op: BinaryDense) -> list[object]:
    """A layer: rows of whole bytes, then the biases unless all are 0."""
    packed = np.packbits(op.weight, axis=1, bitorder="little").tobytes()
    bias = narrowed(op.bias)
    bias_bytes = bias.itemsize if op.bias.any() else 0
    data = packed + (bias.tobytes() if bias_bytes else b"")
    array = tables.array(f"op{index}_weights", np.frombuffer(data, np.uint8), "weights")
    tables.data_bytes.update(weights=len(packed) - len(data), biases=len(data) - len(packed))
    return [array, plan.values[index + 1], len(op.weight), bias_bytes, 0]
