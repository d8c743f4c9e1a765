"""Streams of numbers: integers and float32 arrays to the fewest bytes and back, with checks.

Owns how one array becomes bytes; what the arrays mean is ``codec.py`` and ``header.py``'s business.

Integers are stored as ``base + (high << bits | low)``: the ``bits`` low bits of every number packed
tightly, the rest (if any) as Huffman-coded bytes (raw deflate, Huffman only) or in unary. Next to
the bytes every stream has a *record*, a short JSON list that says how it was coded. A reader
believes neither: a ``Source`` hands out only bytes that exist and books every allocation against an
allowance that grows with the file.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from rlcompress.artifact.records import AnyArray, FloatArray

Record = list[Any]
Integers = npt.NDArray[np.int64]

MEMORY_FLOOR = 2**26
MEMORY_PER_BYTE = 2**12
"""A file of n bytes may decode to ``MEMORY_FLOOR + n * MEMORY_PER_BYTE`` bytes of arrays.

An int8 layer would have to be 99.99 % zeros, and larger than the floor, to need more.
"""

_MAX_BITS = 32
_RECORD_BYTES = 8  # What one more record costs in the header, roughly, once that is compressed.


class Source:
    """The bytes of a file's streams, read once from front to back."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._position = 0
        self._allowance = MEMORY_FLOOR + len(data) * MEMORY_PER_BYTE

    def take(self, length: int) -> bytes:
        """The next ``length`` bytes."""
        end = self._position + length
        if length < 0 or end > len(self._data):
            left = len(self._data) - self._position
            raise ValueError(f"a stream of {length} bytes is announced where {left} are left")
        self._position, start = end, self._position
        return bytes(self._data[start:end])

    def reserve(self, size_bytes: int) -> None:
        """Book an allocation before it is made."""
        if size_bytes > self._allowance:
            raise ValueError(
                f"the arrays announced need {size_bytes} bytes more, which is beyond what a file "
                f"of {len(self._data)} bytes can hold"
            )
        self._allowance -= size_bytes

    def finish(self) -> None:
        """Check that nothing is left over."""
        left = len(self._data) - self._position
        if left:
            raise ValueError(f"{left} bytes follow the last stream")


def write_integers(values: AnyArray) -> tuple[Record, bytes]:
    """Record and bytes of an integer array (range below 2^32), in the smallest coding."""
    wide = values.astype(np.int64).ravel()
    base = int(wide.min()) if wide.size else 0
    offsets = wide - base
    width = int(offsets.max()).bit_length() if wide.size else 0
    if width > _MAX_BITS:
        raise ValueError(f"integers must span less than 2^{_MAX_BITS}, got a span of {width} bits")
    best = ["pack", base, width], _pack(offsets, width)
    for coding, bits in _candidates(offsets, width):
        high = _WRITERS[coding](offsets >> bits)
        size = len(high) + _packed_size(offsets.size, bits)
        if size < len(best[1]):
            data = _pack(offsets & (2**bits - 1), bits) + high
            best = [coding, base, bits, len(high)], data
    return best


def _candidates(offsets: Integers, width: int) -> list[tuple[str, int]]:
    """Codings worth trying: Huffman bytes of the top bits, and Rice codes about the mean."""
    if not width:
        return []
    fewest = max(0, width - 8)
    found = [("huffman", bits) for bits in range(fewest, min(fewest + 3, width))]
    # A geometric distribution's best Rice parameter is close to log2(mean * ln 2).
    likely = max(0, int(np.log2(max(1.0, float(offsets.mean()) * 0.6931))))
    for bits in range(max(0, likely - 1), min(likely + 2, width)):
        # More than 16 bits of unary a number never pay, and would make a long array of bits.
        if int((offsets >> bits).sum()) <= 16 * offsets.size:
            found.append(("rice", bits))
    return found


def read_integers(record: object, count: int, source: Source, *, low: int, high: int) -> AnyArray:
    """The ``count`` integers of a stream, checked to lie in ``low .. high``, in some integer type.

    The type is as narrow as comes for free; large streams of bytes are never widened.
    """
    coding, base, bits, length = _parse(record)
    source.reserve(count)
    offsets: AnyArray = np.zeros(count, np.uint8)
    if bits:
        source.reserve(8 * count)
        offsets = _unpack(source.take(_packed_size(count, bits)), count, bits)
    if coding != "pack":
        data = source.take(length)
        if count > 8 * length:
            raise ValueError(f"a stream of {length} bytes cannot hold {count} numbers")
        upper = _READERS[coding](data, count)
        offsets = (upper.astype(np.int64) << bits) | offsets if bits else upper
    largest = int(offsets.max()) if count else 0
    if count and not (low <= base and base + largest <= high):
        raise ValueError(
            f"numbers must lie in {low}..{high}, a stream holds {base}..{base + largest}"
        )
    if not base:
        return offsets
    if offsets.dtype == np.uint8 and base >= -128 and base + largest <= 127:
        # The sum fits int8, so arithmetic modulo 256 gives it without a wider copy.
        shifted: AnyArray = offsets + np.uint8(base % 256)
        return shifted.view(np.int8)
    source.reserve(8 * count)
    return offsets.astype(np.int64) + base


def write_floats(values: FloatArray) -> tuple[Record, bytes]:
    """Record and bytes of a float32 array: as it is, or its four byte planes apart."""
    flat = np.ascontiguousarray(values, "<f4").ravel()
    planes = flat.view(np.uint8).reshape(-1, 4).T
    coded = [write_integers(plane) for plane in planes]
    data = b"".join(part for _, part in coded)
    if flat.size == 0 or len(data) + 4 * _RECORD_BYTES >= flat.nbytes:
        return ["raw"], flat.tobytes()
    return ["planes", *(record for record, _ in coded)], data


def read_floats(record: object, count: int, source: Source) -> FloatArray:
    """The ``count`` float32 numbers of a stream (of any value: NaN is for others to refuse)."""
    source.reserve(4 * count)
    if record == ["raw"]:
        return np.frombuffer(source.take(4 * count), "<f4").astype(np.float32)
    if not (isinstance(record, list) and len(record) == 5 and record[0] == "planes"):
        raise ValueError(
            f"a record of floats must be ['raw'] or ['planes', 4 records]{_shown(record)}"
        )
    planes = np.empty((count, 4), np.uint8)
    for index, part in enumerate(record[1:]):
        planes[:, index] = read_integers(part, count, source, low=0, high=255)
    return planes.view("<f4").astype(np.float32, copy=False).ravel()


def _parse(record: object) -> tuple[str, int, int, int]:
    """Coding, base, low bits and length of the rest, checked."""
    if isinstance(record, list) and record and record[0] in ("pack", *_READERS):
        numbers = record[1:] + [0] * (record[0] == "pack")
        if len(numbers) == 3 and all(type(number) is int for number in numbers):
            base, bits, length = numbers
            if abs(base) <= 2**_MAX_BITS and 0 <= bits <= _MAX_BITS and 0 <= length < 2**31:
                return record[0], base, bits, length
    raise ValueError(
        f"a record must be [coding, base, bits, bytes], coding one of "
        f"{', '.join(('pack', *_READERS))}{_shown(record)}"
    )


def _shown(record: object) -> str:
    return f", got {record!r:.60}"


def _packed_size(count: int, bits: int) -> int:
    return (count * bits + 7) // 8


def _pack(values: Integers, bits: int) -> bytes:
    """The lowest ``bits`` bits of every value, tightly, least significant first."""
    if bits in (8, 16, 32):
        return values.astype(f"<u{bits // 8}").tobytes()
    columns = [(values >> bit & 1).astype(np.uint8) for bit in range(bits)]
    if not columns:
        return b""
    return np.packbits(np.stack(columns, axis=1), bitorder="little").tobytes()


def _unpack(data: bytes, count: int, bits: int) -> AnyArray:
    if bits in (8, 16, 32):
        return np.frombuffer(data, f"<u{bits // 8}")
    unpacked = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    if unpacked[count * bits :].any():
        raise ValueError("bits beyond the end of a stream must be zero")
    columns = unpacked[: count * bits].reshape(count, bits)
    values = np.zeros(count, np.uint8 if bits <= 8 else np.int64)
    for bit in range(bits):
        values |= columns[:, bit].astype(values.dtype) << bit
    return values


def _write_huffman(values: Integers) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_HUFFMAN_ONLY)
    return compressor.compress(values.astype(np.uint8).tobytes()) + compressor.flush()


def _read_huffman(data: bytes, count: int) -> AnyArray:
    return np.frombuffer(inflate(data, count, exact=True), np.uint8)


def _write_unary(values: Integers) -> bytes:
    """Every value as that many zeros and a one."""
    ends = np.cumsum(values + 1) - 1
    bits = np.zeros(int(ends[-1]) + 1, np.uint8)
    bits[ends] = 1
    return np.packbits(bits, bitorder="little").tobytes()


def _read_unary(data: bytes, count: int) -> AnyArray:
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    ends = np.flatnonzero(bits.view(np.bool_))  # Several times faster than on bytes.
    if ends.size != count:
        raise ValueError(f"a unary stream of {count} numbers holds {ends.size}")
    gaps: AnyArray = np.diff(ends, prepend=-1) - 1
    return gaps


_WRITERS: dict[str, Callable[[Integers], bytes]] = {
    "huffman": _write_huffman,
    "rice": _write_unary,
}
_READERS: dict[str, Callable[[bytes, int], AnyArray]] = {
    "huffman": _read_huffman,
    "rice": _read_unary,
}


def inflate(data: bytes, limit: int, *, exact: bool, dictionary: bytes = b"") -> bytes:
    """Raw deflate data unpacked to at most (or ``exact``-ly) ``limit`` bytes."""
    decompressor = zlib.decompressobj(-15, dictionary)
    try:
        # One byte more than allowed, so that a stream which is too long shows itself.
        unpacked = decompressor.decompress(data, limit + 1)
    except zlib.error as error:
        raise ValueError(f"a compressed stream is damaged ({error})") from None
    if len(unpacked) > limit or (exact and len(unpacked) < limit):
        bound = "" if exact else "at most "
        raise ValueError(f"a compressed stream must hold {bound}{limit} bytes, and does not")
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError("a compressed stream does not end where it should")
    return unpacked
