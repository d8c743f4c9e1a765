"""Weight encodings: a layer's weights as streams, in whichever of several layouts is smallest.

Owns where the non-zero weights lie and what they are; how numbers become bytes is ``streams.py``'s
business. In memory weights are dense arrays with zeros; encodings exist only in files.

``dense`` stores every weight. The sparse layouts store the positions of the non-zero weights and
then their values: ``bitmap`` one bit per weight, ``gaps`` the distance from one to the next over
the whole matrix, ``rows`` the number in each row and the distances within rows. A new layout is one
entry of ``LAYOUTS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlcompress.artifact import streams
from rlcompress.artifact.records import AnyArray
from rlcompress.artifact.streams import Integers, Record, Source

Shape = tuple[int, int]
Read = Callable[[int, int], AnyArray]
"""Reads the next stream: count and largest value allowed -> numbers from 0."""


@dataclass(frozen=True)
class Layout:
    """Turns sorted positions in a flattened (rows, columns) matrix into streams and back.

    ``write(positions, shape)`` gives ``streams`` arrays of non-negative integers; ``read(kept,
    shape, read)`` gives ``kept`` sorted, distinct positions inside the matrix, or a ValueError.
    """

    streams: int
    write: Callable[[Integers, Shape], list[AnyArray]]
    read: Callable[[int, Shape, Read], AnyArray]


def _write_bitmap(positions: Integers, shape: Shape) -> list[AnyArray]:
    mask = np.zeros(shape[0] * shape[1], np.uint8)
    mask[positions] = 1
    return [np.packbits(mask, bitorder="little")]


def _read_bitmap(kept: int, shape: Shape, read: Read) -> AnyArray:
    size = shape[0] * shape[1]
    mask = np.unpackbits(read((size + 7) // 8, 255).astype(np.uint8), bitorder="little")
    positions = np.flatnonzero(mask.view(np.bool_))
    if positions.size != kept or (kept and positions[-1] >= size):
        raise ValueError(f"a bitmap must mark {kept} of {size} weights, and does not")
    return positions


def _write_gaps(positions: Integers, shape: Shape) -> list[AnyArray]:
    return [np.diff(positions, prepend=-1) - 1]


def _read_gaps(kept: int, shape: Shape, read: Read) -> AnyArray:
    size = shape[0] * shape[1]
    positions = np.cumsum(read(kept, size), dtype=np.int64)
    positions += np.arange(kept)
    if kept and positions[-1] >= size:
        raise ValueError(f"gaps lead to weight {int(positions[-1])} of {size}")
    return positions


def _write_rows(positions: Integers, shape: Shape) -> list[AnyArray]:
    rows, columns = np.divmod(positions, shape[1])
    gaps = np.diff(columns, prepend=-1) - 1
    first = np.diff(rows, prepend=-1) > 0
    gaps[first] = columns[first]
    return [np.bincount(rows, minlength=shape[0]), gaps]


def _read_rows(kept: int, shape: Shape, read: Read) -> AnyArray:
    counts = read(shape[0], shape[1]).astype(np.int64)
    if int(counts.sum()) != kept:
        raise ValueError(f"rows must hold {kept} weights, they hold {int(counts.sum())}")
    steps = np.cumsum(read(kept, shape[1]), dtype=np.int64) + np.arange(1, kept + 1)
    before = np.concatenate([np.zeros(1, np.int64), steps])[np.cumsum(counts) - counts]
    columns = steps - 1 - np.repeat(before, counts)
    if kept and columns.max() >= shape[1]:
        raise ValueError(f"gaps lead to column {int(columns.max())} of {shape[1]}")
    positions: AnyArray = columns + np.repeat(np.arange(shape[0]) * shape[1], counts)
    return positions


FOLDED = "fold"
"""Marks int8 weights that are stored as twice their magnitude, with the sign as lowest bit."""

_FOLD_BYTES = 12  # What the mark costs in the program, roughly, once that is compressed.
_FOLD_SHARE = 32  # Unfolding takes time: large layers have to become 1/32 smaller by it.

LAYOUTS: dict[str, Layout] = {
    "bitmap": Layout(1, _write_bitmap, _read_bitmap),
    "gaps": Layout(1, _write_gaps, _read_gaps),
    "rows": Layout(2, _write_rows, _read_rows),
}
"""Sparse layouts by name; the smallest is chosen, the first of equals."""


def write_weights(matrix: AnyArray) -> tuple[Record, bytes]:
    """Record and bytes of an int8 or float32 (rows, columns) matrix in the smallest layout.

    The record is [layout, weights kept, records of the streams]; negative zeros become zeros.
    """
    flat = np.ascontiguousarray(matrix).ravel()
    flat = flat + np.zeros(1, flat.dtype)
    record, data = _write_values(flat)
    best: tuple[Record, bytes] = ["dense", int(np.count_nonzero(flat)), [record]], data
    positions = np.flatnonzero(flat)
    values = flat[positions]
    if values.dtype == np.int8:
        values = values - (values > 0)  # Zero does not occur, so what lies above it moves down.
    tail = _write_kept(values)
    for name, kind in LAYOUTS.items():
        parts = [streams.write_integers(part) for part in kind.write(positions, matrix.shape)]
        parts.append(tail)
        data = b"".join(part for _, part in parts)
        if len(data) < len(best[1]):
            best = [name, positions.size, [record for record, _ in parts]], data
    return best


def read_weights(record: object, shape: Shape, dtype: Any, source: Source) -> AnyArray:
    """The (rows, columns) matrix of a record; ``shape`` must be bounded by the caller."""
    name, kept, records = _parse(record, shape)
    size = shape[0] * shape[1]
    source.reserve(size * np.dtype(dtype).itemsize)
    if name == "dense":
        values = _read_values(records[0], size, dtype, source, shifted=False)
        if np.count_nonzero(values) != kept:
            raise ValueError(f"{kept} weights are announced, {np.count_nonzero(values)} are there")
        return values.reshape(shape)
    remaining = iter(records)

    def read(count: int, largest: int) -> AnyArray:
        return streams.read_integers(next(remaining), count, source, low=0, high=largest)

    source.reserve(16 * kept)
    positions = LAYOUTS[name].read(kept, shape, read)
    values = _read_kept(next(remaining), kept, dtype, source)
    if values.dtype == np.int8:
        values = values + (values >= 0)
    weights = np.zeros(size, dtype)
    weights[positions] = values
    return weights.reshape(shape)


def _parse(record: object, shape: Shape) -> tuple[str, int, list[Any]]:
    """Layout, weights kept and stream records, checked."""
    if isinstance(record, list) and len(record) == 3:
        name, kept, records = record
        counts = {"dense": 1} | {name: kind.streams + 1 for name, kind in LAYOUTS.items()}
        if not (isinstance(name, str) and name in counts):
            raise ValueError(
                f"weight encoding must be one of {', '.join(counts)}, got {name!r:.40}"
            )
        if type(kept) is not int or not 0 <= kept <= shape[0] * shape[1]:
            raise ValueError(f"weights kept must be in 0..{shape[0] * shape[1]}, got {kept!r:.40}")
        if isinstance(records, list) and len(records) == counts[name]:
            return name, kept, records
    raise ValueError(f"weights must be [encoding, kept, records], got {record!r:.60}")


def _write_values(values: AnyArray) -> tuple[Record, bytes]:
    if values.dtype == np.int8:
        return streams.write_integers(values)
    return streams.write_floats(values)


def _write_kept(values: AnyArray) -> tuple[Record, bytes]:
    """Weights that are not zero, zero taken out of their range.

    Where pruning left only large magnitudes, numbers are narrower with the sign as lowest bit.
    """
    plain = _write_values(values)
    if values.dtype != np.int8:
        return plain
    wide = values.astype(np.int16)
    record, data = streams.write_integers(np.where(wide < 0, -2 * wide - 1, 2 * wide))
    least = max(_FOLD_BYTES, len(plain[1]) // _FOLD_SHARE)
    return ([FOLDED, record], data) if len(data) + least < len(plain[1]) else plain


def _read_kept(record: object, count: int, dtype: Any, source: Source) -> AnyArray:
    if not (np.dtype(dtype) == np.int8 and isinstance(record, list) and record[:1] == [FOLDED]):
        return _read_values(record, count, dtype, source, shifted=True)
    if len(record) != 2:
        raise ValueError(f"folded weights must be [{FOLDED!r}, record], got {record!r:.60}")
    source.reserve(8 * count)
    numbers = streams.read_integers(record[1], count, source, low=0, high=253).astype(np.int16)
    return np.where(numbers % 2, -(numbers // 2) - 1, numbers // 2).astype(np.int8)


def _read_values(
    record: object, count: int, dtype: Any, source: Source, *, shifted: bool
) -> AnyArray:
    if np.dtype(dtype) == np.int8:
        high = 126 if shifted else 127
        values = streams.read_integers(record, count, source, low=-127, high=high)
        return values.astype(np.int8, copy=False)
    return streams.read_floats(record, count, source)


def entropy_bytes(weight: AnyArray) -> float:
    """What no encoding of independent weights can beat: entropy of the mask plus of the values.

    The mask's is that of its density alone. The values' is that of their empirical distribution;
    of float32 weights, the sum over their four bytes. Binary weights are all kept.
    """
    flat = weight.ravel()
    if flat.dtype == np.bool_:
        return flat.size * _entropy(np.bincount(flat, minlength=2) / max(1, flat.size)) / 8
    values = flat[flat != 0]
    density = values.size / flat.size if flat.size else 0.0
    bits = flat.size * _entropy(np.array([density, 1.0 - density]))
    for plane in np.ascontiguousarray(values).view(np.uint8).reshape(-1, values.itemsize).T:
        bits += values.size * _entropy(np.bincount(plane) / max(1, values.size))
    return bits / 8


def _entropy(probabilities: AnyArray) -> float:
    positive = probabilities[probabilities > 0]
    return float(-(positive * np.log2(positive)).sum())
