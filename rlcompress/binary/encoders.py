"""Observations to bits: what an encoder is, and where its edges come from; packs nothing natively.

An edge is a float32, and a number has c edges strictly below it. ``thermometer`` sets bits 0 .. c-1
of an input's bits, ``one_hot`` bit c, ``gray`` those of c ^ (c >> 1); ``sign`` is a thermometer
with the one edge 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from rlcompress.binary.network import BoolArray

FloatArray = npt.NDArray[np.float32]
Code = Literal["thermometer", "one_hot", "gray"]

EDGE_LIMIT = 1024
"""Most edges of one input."""


@dataclass(frozen=True)
class Encoder:
    """``edges`` (inputs, edges of each) ascend; the bits of an input lie side by side."""

    edges: FloatArray
    code: Code = "thermometer"

    def __post_init__(self) -> None:
        if self.code not in get_args(Code):
            raise ValueError(f"code must be one of {', '.join(get_args(Code))}, got {self.code!r}")
        edges = self.edges
        if edges.dtype != np.float32 or edges.ndim != 2 or not 1 <= edges.shape[1] <= EDGE_LIMIT:
            raise ValueError(
                f"edges must be float32 (inputs, 1..{EDGE_LIMIT}), got {edges.dtype} of shape "
                f"{edges.shape}"
            )
        if not np.isfinite(edges).all() or (np.diff(edges, axis=1) < 0).any():
            raise ValueError("edges must be finite and ascend for every input")

    @property
    def inputs(self) -> int:
        """Numbers of an observation."""
        return int(self.edges.shape[0])

    @property
    def bits_each(self) -> int:
        """Bits of one input."""
        return bits_of(self.code, self.edges.shape[1])

    @property
    def bits(self) -> int:
        """Bits of an observation."""
        return self.inputs * self.bits_each

    def encode(self, observations: npt.ArrayLike) -> BoolArray:
        """Bits (n, bits) of observations (n, ...), by the definition."""
        numbers = np.asarray(observations, np.float32)
        numbers = numbers.reshape(len(numbers), self.inputs)
        below = (numbers[:, :, None] > self.edges).sum(-1)
        places = np.arange(self.bits_each)
        if self.code == "thermometer":
            bits = places < below[:, :, None]
        elif self.code == "one_hot":
            bits = places == below[:, :, None]
        else:
            bits = ((below ^ below >> 1)[:, :, None] >> places & 1).astype(np.bool_)
        found: BoolArray = bits.reshape(len(numbers), self.bits)
        return found


def bits_of(code: str, edges: int) -> int:
    """Bits that ``edges`` edges become."""
    if code == "one_hot":
        return edges + 1
    return edges.bit_length() if code == "gray" else edges


def even_edges(low: npt.ArrayLike, high: npt.ArrayLike, edges: int) -> FloatArray:
    """Evenly spaced edges from ``low`` to ``high``.

    They are first + k * step in float32, so that two numbers say all of them.
    """
    first = np.asarray(low, np.float32).reshape(-1, 1)
    last = np.asarray(high, np.float32).reshape(-1, 1)
    if edges == 1:
        return np.asarray((first + last) * np.float32(0.5), np.float32)
    step = (last - first) / np.float32(edges - 1)
    return np.asarray(first + np.arange(edges, dtype=np.float32) * step, np.float32)


def make_encoder(
    kind: str, low: Sequence[float], high: Sequence[float], *, edges: int = 16
) -> Encoder:
    """An encoder by name with even edges between bounds.

    ``sign`` ignores the bounds. One-hot codes have a bit more than edges, Gray codes few.
    """
    if kind == "sign":
        return Encoder(np.zeros((len(low), 1), np.float32))
    if kind not in get_args(Code):
        known = ", ".join([*get_args(Code), "sign"])
        raise ValueError(f"encoder must be one of {known}, got {kind!r}")
    bounds = np.array([low, high], np.float32)
    if not np.isfinite(bounds).all() or (bounds[0] >= bounds[1]).any():
        raise ValueError(
            f"bounds must be finite with low < high for every input, got {list(low)} and "
            f"{list(high)}; give encoder.low and encoder.high, or take encoder.edges_from=quantiles"
        )
    return Encoder(even_edges(low, high, edges), kind)  # type: ignore[arg-type]


class RunningQuantiles:
    """Edges from what is observed: quantiles of a sample of all observations so far.

    Every observation has the same chance of being among the ``capacity`` that are kept.
    """

    def __init__(self, inputs: int, *, capacity: int = 4096, seed: int = 0) -> None:
        self._kept = np.zeros((capacity, inputs), np.float32)
        self._rng = np.random.default_rng(seed)
        self.seen = 0

    def update(self, observations: npt.ArrayLike) -> None:
        """Take in observations (n, ...)."""
        rows = np.asarray(observations, np.float32).reshape(-1, self._kept.shape[1])
        for row in rows:
            place = self.seen
            if place >= len(self._kept):
                place = int(self._rng.integers(self.seen + 1))
            if place < len(self._kept):
                self._kept[place] = row
            self.seen += 1

    def edges(self, edges: int) -> FloatArray:
        """``edges`` edges per input that cut what was seen into equal parts."""
        if not self.seen:
            raise ValueError("quantiles need at least one observation: call update() first")
        kept = self._kept[: self.seen]
        wanted = (np.arange(edges) + 1) / (edges + 1)
        found: FloatArray = np.quantile(kept, wanted, axis=0).T.astype(np.float32)
        return np.ascontiguousarray(found)
