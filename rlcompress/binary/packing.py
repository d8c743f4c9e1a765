"""Bits in words of 64 and the network on words in numpy, the stand-in for native code."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rlcompress.binary.network import BinaryNetwork, BoolArray, IntArray

Words = npt.NDArray[np.uint64]

_BLOCK = 2**22  # Words compared at a time.
_BYTE_COUNTS = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)


def words_of(width: int) -> int:
    """Words that hold so many bits."""
    return -(-width // 64)


def pack(bits: npt.ArrayLike) -> Words:
    """Bits (..., n) as words (..., n / 64): bit i is bit i % 64 of word i // 64, the rest 0."""
    given = np.asarray(bits, np.bool_)
    width = given.shape[-1]
    padded = np.zeros((*given.shape[:-1], words_of(width) * 64), np.bool_)
    padded[..., :width] = given
    packed = np.packbits(padded, axis=-1, bitorder="little")
    return np.ascontiguousarray(packed).view("<u8").astype(np.uint64, copy=False)


def unpack(words: Words, width: int) -> BoolArray:
    """The first ``width`` bits of words (..., n)."""
    as_bytes = np.ascontiguousarray(words.astype("<u8", copy=False)).view(np.uint8)
    bits = np.unpackbits(as_bytes, axis=-1, bitorder="little")
    return bits[..., :width].astype(np.bool_)


def count_bits(words: Words) -> npt.NDArray[np.uint8]:
    """Set bits of each word."""
    if hasattr(np, "bitwise_count"):  # numpy 2
        counts: npt.NDArray[np.uint8] = np.bitwise_count(words)
        return counts
    by_byte = _BYTE_COUNTS[np.ascontiguousarray(words).view(np.uint8)]
    summed: npt.NDArray[np.uint8] = by_byte.reshape(*words.shape, 8).sum(-1, dtype=np.uint8)
    return summed


class PackedNetwork:
    """One network as words and thresholds."""

    def __init__(self, network: BinaryNetwork) -> None:
        self._layers = [
            (pack(layer.weight), layer.thresholds, layer.weight.shape[1] + layer.bias)
            for layer in network.layers
        ]

    def forward(self, x: Words) -> IntArray:
        """Outputs (n, outputs) of samples (n, words)."""
        for weights, thresholds, _ in self._layers[:-1]:
            x = pack(_differing(x, weights) < thresholds)
        weights, _, offsets = self._layers[-1]
        sums: IntArray = (offsets - 2 * _differing(x, weights)).astype(np.int32)
        return sums


def _differing(x: Words, weights: Words) -> npt.NDArray[np.int64]:
    """How many bits of each sample (n, words) differ from each neuron's (outputs, words)."""
    counts = np.zeros((len(x), len(weights)), np.int64)
    step = max(1, _BLOCK // max(1, weights.size))
    for start in range(0, len(x), step):
        part = x[start : start + step]
        differ = part[:, None, :] ^ weights[None, :, :]
        counts[start : start + step] = count_bits(differ).sum(-1, dtype=np.int64)
    return counts
