"""Integers of the last layer to actions: sign, argmax, thermometer; one rule for all runtimes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rlcompress.binary.network import IntArray


@dataclass(frozen=True)
class Decoder:
    """What the last layer's integers z mean.

    ``argmax``: the first of the largest, of ``outputs`` actions. ``count``: how many of a group of
    outputs are positive: of all of them for a discrete action (one output is the sign), of each
    ``levels`` for an element of a Box, which lies at low + count * ((high - low) / levels).
    """

    kind: str
    outputs: int
    start: int = 0
    shape: tuple[int, ...] = ()
    low: npt.NDArray[np.float32] | None = None
    high: npt.NDArray[np.float32] | None = None

    @property
    def discrete(self) -> bool:
        """Whether actions are integers."""
        return self.low is None

    def decode(self, z: IntArray) -> npt.NDArray[Any]:
        """Actions of outputs (n, outputs): int64 (n,), or float32 (n, *shape)."""
        if self.kind == "argmax":
            return np.asarray(np.argmax(z, axis=1) + self.start, np.int64)
        if self.low is None or self.high is None:
            return np.asarray((z > 0).sum(axis=1) + self.start, np.int64)
        size = self.low.size
        counts = (z > 0).reshape(len(z), size, -1).sum(-1).astype(np.float32)
        low, high = self.low.reshape(-1), self.high.reshape(-1)
        step = (high - low) / np.float32(self.outputs // size)
        return np.asarray(low + counts * step, np.float32).reshape(len(z), *self.shape)


def make_decoder(space: Any, *, kind: str = "auto", levels: int = 4) -> Decoder:
    """A decoder for a Gymnasium action space.

    ``auto`` is the sign for two actions, argmax for more, and a thermometer of ``levels`` outputs
    for each element of a Box.
    """
    if hasattr(space, "n") and getattr(space, "shape", None) == ():
        n, start = int(space.n), int(space.start)
        chosen = ("sign" if n == 2 else "argmax") if kind == "auto" else kind
        if chosen == "argmax":
            return Decoder("argmax", n, start)
        if chosen == "thermometer" or (chosen == "sign" and n == 2):
            return Decoder("count", n - 1, start)
        raise ValueError(
            f"decoder must be argmax or thermometer for {n} actions (sign for two), got {kind!r}"
        )
    if hasattr(space, "low") and np.isfinite(space.low).all() and np.isfinite(space.high).all():
        if kind not in ("auto", "thermometer") or levels < 1:
            raise ValueError(f"decoder must be thermometer for a Box, got {kind!r} of {levels}")
        low, high = (np.asarray(bound, np.float32).reshape(-1) for bound in (space.low, space.high))
        shape = tuple(int(axis) for axis in space.shape)
        return Decoder("count", low.size * levels, 0, shape, low, high)
    raise ValueError(f"binary policies act in Discrete and bounded Box spaces, got {space}")
