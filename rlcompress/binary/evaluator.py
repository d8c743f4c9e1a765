"""Populations of networks of one shape, evaluated natively or in numpy; samples and trains none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rlcompress.binary.encoders import Encoder
from rlcompress.binary.network import (
    BinaryNetwork,
    IntArray,
    check_widths,
    count_weights,
    from_flat,
)
from rlcompress.binary.packing import PackedNetwork, Words, pack, words_of

NativeEncoder: Any = None
NativeNetworks: Any = None
try:
    from rlcompress.binary import _bits
    from rlcompress.binary._bits import available_isas, tasks

    NativeEncoder, NativeNetworks = _bits.NativeEncoder, _bits.NativeNetworks
except ImportError:  # Installed without a compiler.

    def available_isas() -> list[str]:
        """Instruction sets that ``isa=`` takes; there are none without native code."""
        return []

    def tasks() -> list[str]:
        """Environments whose episodes run natively; there are none without native code."""
        return []


__all__ = ["Population", "available_isas", "encode", "native_encoder", "tasks"]

_CODES = ("thermometer", "one_hot", "gray")


class Population:
    """``count`` networks of ``widths``, set by ``set_`` and then evaluated on packed samples.

    ``isa`` is ``auto``, one of ``available_isas()``, or ``numpy``. Calling a population runs one
    sample through its first network.
    """

    def __init__(self, widths: Sequence[int], count: int = 1, *, isa: str = "auto") -> None:
        self.widths = check_widths(widths)
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        self.count = count
        self.native: Any = None
        self._packed: list[PackedNetwork] = []
        if isa == "numpy" or (isa == "auto" and NativeNetworks is None):
            self.isa = "numpy"
            return
        if NativeNetworks is None:
            raise ValueError(
                f"isa must be auto or numpy where there is no native code, got {isa!r}"
            )
        self.native = NativeNetworks(list(self.widths), count, isa)
        self.isa = str(self.native.isa)

    @classmethod
    def of(cls, networks: Sequence[BinaryNetwork], *, isa: str = "auto") -> Population:
        """The population of these networks, which must have one shape."""
        widths = networks[0].widths
        if any(network.widths != widths for network in networks):
            raise ValueError("the networks of a population must have the same widths")
        population = cls(widths, len(networks), isa=isa)
        population.set_(
            np.stack([network.flat_weights for network in networks]),
            np.stack([network.flat_biases for network in networks]),
        )
        return population

    def set_(self, weights: npt.ArrayLike, biases: npt.ArrayLike | None = None) -> None:
        """Take weights (count, weights) of 0 and 1 and biases (count, outputs); None: all 0."""
        w = np.ascontiguousarray(weights, np.uint8)
        outputs = sum(self.widths[1:])
        b = np.zeros((self.count, outputs), np.int32) if biases is None else biases
        b = np.ascontiguousarray(b, np.int32)
        expected = (self.count, count_weights(self.widths))
        if w.shape != expected or b.shape != (self.count, outputs):
            raise ValueError(
                f"weights must have shape {expected} and biases {(self.count, outputs)}, got "
                f"{w.shape} and {b.shape}"
            )
        if self.native is not None:
            self.native.set_(w, b)
        else:
            self._packed = [
                PackedNetwork(from_flat(self.widths, row, bias))
                for row, bias in zip(w, b, strict=True)
            ]

    def forward(self, x: Words) -> IntArray:
        """Outputs (count, n, outputs) of samples (n, words), through every network."""
        x = self._checked(x, (len(x),))
        if self.native is None:
            return np.stack([network.forward(x) for network in self._packed])
        out = np.empty((self.count, len(x), self.widths[-1]), np.int32)
        self.native.forward(x, out)
        return out

    def forward_at(self, which: npt.ArrayLike, x: Words) -> IntArray:
        """Outputs (n, outputs) of samples (n, words), sample i through network ``which[i]``."""
        index = np.ascontiguousarray(which, np.int64)
        x = self._checked(x, (len(index),))
        if index.size and not (0 <= index.min() and index.max() < self.count):
            raise ValueError(f"which must hold networks in 0..{self.count - 1}")
        out = np.empty((len(index), self.widths[-1]), np.int32)
        if self.native is not None:
            self.native.forward_at(index, x, out)
            return out
        for one in np.unique(index):
            out[index == one] = self._packed[int(one)].forward(x[index == one])
        return out

    def __call__(self, x: Words) -> IntArray:
        """Outputs (outputs,) of one sample (words,) through the first network."""
        if self.native is not None:
            found: IntArray = self.native(x)
            return found
        outputs = self._packed[0].forward(self._checked(x[None], (1,)))
        return outputs.reshape(-1)

    def _checked(self, x: Words, leading: tuple[int, ...]) -> Words:
        """Words as native code reads them; bits beyond the width must be 0."""
        width = self.widths[0]
        expected = (*leading, words_of(width))
        if x.dtype != np.uint64 or x.shape != expected:
            raise ValueError(f"x must be uint64 of shape {expected}, got {x.dtype} of {x.shape}")
        if width % 64 and (x[..., -1] >> np.uint64(width % 64)).any():
            raise ValueError(f"bits of x beyond its width {width} must be 0: use pack()")
        return np.ascontiguousarray(x)


def native_encoder(encoder: Encoder) -> Any:
    """The encoder as native code reads it; None without native code."""
    if NativeEncoder is None:
        return None
    edges = np.ascontiguousarray(encoder.edges)
    return NativeEncoder(_CODES.index(encoder.code), *edges.shape, edges)


def encode(encoder: Encoder, observations: npt.ArrayLike, *, isa: str = "auto") -> Words:
    """Words (n, words) of observations (n, ...)."""
    found = None if isa == "numpy" else native_encoder(encoder)
    if found is None:
        return pack(encoder.encode(observations))
    numbers = np.ascontiguousarray(observations, np.float32)
    out = np.empty((len(numbers), words_of(encoder.bits)), np.uint64)
    found.encode(numbers, out, isa)
    return out
