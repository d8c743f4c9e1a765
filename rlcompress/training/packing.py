"""Turns runs of transitions into the bytes of one file and back, without loss; writes no files.

Frames of games lose nearly all of their bytes to even the fastest compression. Vectors lose little,
but a next observation is mostly the observation of the next row, so half of them is zeros once that
is taken away.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from rlcompress.sb3.replay_state import Arrays

FOLLOWS = {"next_observations": "observations"}
"""Arrays of which row i is mostly row i + 1 of another."""

_PACKED, _ABOUT = ".zlib", ".shape"


def pack(arrays: Arrays) -> bytes:
    """The bytes of a file: safetensors, in which some arrays are compressed."""
    tensors: Arrays = {}
    for name, array in arrays.items():
        if name in FOLLOWS:
            _compress_(tensors, name, _differences(array, arrays[FOLLOWS[name]]))
        elif array.dtype == np.uint8:
            _compress_(tensors, name, np.ascontiguousarray(array))
        else:
            tensors[name] = np.ascontiguousarray(array)
    return bytes(safetensors.numpy.save(tensors))


def unpack(data: bytes) -> Arrays:
    """The arrays of ``pack``."""
    tensors = safetensors.numpy.load(data)
    arrays = {name: array for name, array in tensors.items() if not _is_part(name)}
    for name in [key.removesuffix(_PACKED) for key in tensors if key.endswith(_PACKED)]:
        found = np.frombuffer(zlib.decompress(tensors[name + _PACKED].tobytes()), np.uint8)
        arrays[name] = found.reshape(tensors[name + _ABOUT])
    for name in [name for name in FOLLOWS if name in arrays]:
        other = arrays[FOLLOWS[name]]
        plain = _differences(arrays[name], other)
        arrays[name] = plain.view(other.dtype).reshape(other.shape)
    return arrays


def _is_part(name: str) -> bool:
    return name.endswith((_PACKED, _ABOUT))


def _compress_(tensors: Arrays, name: str, array: NDArray[np.uint8]) -> None:
    tensors[name + _PACKED] = np.frombuffer(zlib.compress(array.data, 1), np.uint8)
    tensors[name + _ABOUT] = np.array(array.shape, np.int64)


def _differences(array: NDArray[Any], other: NDArray[Any]) -> NDArray[np.uint8]:
    """Rows of bytes, exclusive-or with the next row of ``other``; applied twice, the same again."""
    found: NDArray[np.uint8] = _rows(array).copy()
    np.bitwise_xor(found[:-1], _rows(other)[1:], out=found[:-1])
    return found


def _rows(array: NDArray[Any]) -> NDArray[np.uint8]:
    """The bytes of each row."""
    whole = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
    return whole.reshape(len(array), -1)
