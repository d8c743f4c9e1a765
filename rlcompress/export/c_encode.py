"""Turns the weights and biases of one layer into the arrays that the C runtime reads.

Three encodings: ``plain`` (every weight), ``indexed`` (a column number with each weight that is not
zero) and ``packed`` (a stream of bits). All are exact; they differ in size and in speed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlcompress.artifact import AnyArray, Linear

NO_GAPS = 255
"""``gap_bits`` of a stream that holds the zeros as well."""

_GAP_BITS = 24
"""Gaps have fewer low bits than this, which is what the runtime can take at a time."""

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fields:
    """Numbers as offsets of ``width`` bits from ``base``."""

    base: int
    width: int
    offsets: Integers


@dataclass(frozen=True)
class Stream:
    """A packed layer: its bytes and how they are to be read."""

    data: npt.NDArray[np.uint8]
    weights: Fields
    biases: Fields
    gap_bits: int

    @property
    def bias_bytes(self) -> int:
        """Bytes of the stream that are biases, rounded down."""
        return self.biases.width * self.biases.offsets.size // 8


def narrowed(bias: AnyArray) -> AnyArray:
    """Integers in the narrowest type that holds them all; floats as they are."""
    if bias.dtype == np.float32:
        return bias
    for dtype in (np.int8, np.int16):
        limits = np.iinfo(dtype)
        if bias.min() >= limits.min and bias.max() <= limits.max:
            return bias.astype(dtype)
    return bias


def indices(op: Linear) -> tuple[AnyArray, AnyArray, AnyArray] | None:
    """Weights that are not zero, their columns and their number in each row; None: too many."""
    matrix = op.matrix
    if matrix.shape[1] > 2**16 - 1:
        return None
    kept = matrix != 0
    columns, counts = np.nonzero(kept)[1], kept.sum(axis=1)
    return matrix[kept], _unsigned(columns), _unsigned(counts)


def _unsigned(numbers: AnyArray) -> AnyArray:
    return numbers.astype(np.uint8 if numbers.max(initial=0) < 2**8 else np.uint16)


def packed(op: Linear) -> Stream:
    """The smallest stream of a layer's biases and weights."""
    # Adding a zero makes +0 of -0, which would not be read as zero.
    flat = op.matrix.ravel() + np.zeros(1, op.weight.dtype)
    row_starts = np.arange(len(op.bias)) * op.matrix.shape[1]
    positions = np.flatnonzero(flat)
    gaps = np.diff(positions, prepend=-1, append=flat.size) - 1
    gap_bits = min(range(_GAP_BITS), key=lambda bits: _rice_bits(gaps, bits))
    sparse, dense, biases = _fields(flat[positions]), _fields(flat), _fields(op.bias)
    if flat.size * dense.width <= _rice_bits(gaps, gap_bits) + positions.size * sparse.width:
        items = _interleaved([_items(dense)], biases, row_starts)
        return Stream(_bits(items), dense, biases, NO_GAPS)
    unary = _item_rows(np.ones_like(gaps), 1, gaps >> gap_bits)
    low = _item_rows(gaps & (2**gap_bits - 1), gap_bits, 0)
    columns = [_items(sparse), unary[:, 1:], low[:, 1:]]
    items = _interleaved(columns, biases, np.searchsorted(positions, row_starts))
    items = np.concatenate([unary[:, :1], low[:, :1], items], axis=1)
    return Stream(_bits(items), sparse, biases, gap_bits)


def _rice_bits(gaps: AnyArray, low_bits: int) -> int:
    return int((gaps >> low_bits).sum()) + gaps.size * (1 + low_bits)


def _fields(values: AnyArray) -> Fields:
    """Integers as they are, floats as their bits rotated left by one: sign last, exponent first.

    So floats of like magnitude are near each other, whatever their sign.
    """
    if values.dtype == np.float32:
        raw = values.view(np.uint32)
        numbers = (raw << np.uint32(1) | raw >> np.uint32(31)).astype(np.int64)
    else:
        numbers = values.astype(np.int64)
    base = int(numbers.min()) if numbers.size else 0
    offsets = numbers - base
    return Fields(base % 2**32, int(offsets.max(initial=0)).bit_length(), offsets)


def _item_rows(values: Integers, width: int, zeros: Integers | int) -> Integers:
    """What goes into a stream, in columns: value, bits, zero bits before it."""
    return np.stack(np.broadcast_arrays(values, width, zeros)).astype(np.int64)


def _items(fields: Fields) -> Integers:
    return _item_rows(fields.offsets, fields.width, 0)


def _interleaved(columns: list[Integers], biases: Fields, first: Integers) -> Integers:
    """Item by item across ``columns``, each row's bias put before its first weight."""
    body = np.stack(columns, axis=2).reshape(3, -1)
    return np.insert(body, first * len(columns), _items(biases), axis=1)


def _bits(items: Integers) -> npt.NDArray[np.uint8]:
    """Items as bytes, the lowest bit first; at least one, as C knows no empty arrays."""
    values, widths, zeros = items
    ends = np.cumsum(zeros + widths)
    starts = ends - widths
    bits = np.zeros(max(1, int(ends[-1])), np.uint8)
    for bit in range(int(widths.max())):
        present = widths > bit
        bits[starts[present] + bit] = values[present] >> bit & 1
    return np.packbits(bits, bitorder="little")
