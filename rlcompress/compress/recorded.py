"""Observations with what the teacher says to each: the training set, which only grows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


class Recorded:
    """Observations in the form that the policy is given, and the teacher's outputs.

    Up to ``limit`` of them; then new ones take the places of the oldest. ``written`` counts all
    that ever came, so that what is new since then is known without looking.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any, outputs: int, *, limit: int) -> None:
        self.limit = limit
        self.written = 0
        self._observations: NDArray[Any] = np.empty((0, *shape), dtype)
        self._outputs: NDArray[np.float32] = np.empty((0, outputs), np.float32)

    def __len__(self) -> int:
        return min(self.written, self.limit)

    @property
    def observation_bytes(self) -> int:
        """Bytes of one observation."""
        return int(np.prod(self._observations.shape[1:])) * self._observations.itemsize

    def add(self, observations: NDArray[Any], outputs: torch.Tensor) -> None:
        """Append a batch."""
        rows = np.arange(self.written, self.written + len(observations)) % self.limit
        self._reserve(min(self.written + len(observations), self.limit))
        self._observations[rows] = observations
        self._outputs[rows] = outputs.cpu().numpy()
        self.written += len(observations)

    def batch(self, rows: NDArray[np.int64]) -> tuple[NDArray[Any], torch.Tensor]:
        """Observations and the teacher's outputs of some rows."""
        return self._observations[rows], torch.from_numpy(self._outputs[rows])

    def newest(self, count: int) -> tuple[NDArray[Any], torch.Tensor]:
        """The last ``count`` that came."""
        count = min(count, len(self))
        return self.batch(np.arange(self.written - count, self.written) % self.limit)

    def take(self, first: int, stop: int) -> dict[str, NDArray[Any]]:
        """Copies of numbers ``first`` to ``stop``, counted as by ``written``, to be stored."""
        rows = np.arange(first, stop) % self.limit
        return {"observations": self._observations[rows], "outputs": self._outputs[rows]}

    def put(self, first: int, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write back what ``take`` gave for numbers from ``first`` on; oldest first."""
        self.written = first
        self.add(arrays["observations"], torch.from_numpy(np.array(arrays["outputs"])))

    def _reserve(self, size: int) -> None:
        have = len(self._observations)
        if size <= have:
            return
        # Doubled, so that many small batches are not copied each time.
        size = min(max(size, 2 * have), self.limit)
        for name in ("_observations", "_outputs"):
            old = getattr(self, name)
            new = np.empty((size, *old.shape[1:]), old.dtype)
            new[:have] = old
            setattr(self, name, new)
