"""Populations of networks in integer operations of torch, for CUDA or any other device.

The same words, thresholds and sums as ``evaluator.Population``; samples of all networks at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from rlcompress.binary.network import IntArray, check_widths, count_weights, shapes_of
from rlcompress.binary.packing import Words, pack, words_of

_BLOCK = 2**24  # Words compared at a time.
_ODD = 0x5555555555555555
_PAIRS = 0x3333333333333333
_NIBBLES = 0x0F0F0F0F0F0F0F0F
_BYTES = 0x0101010101010101


def count_bits(words: torch.Tensor) -> torch.Tensor:
    """Set bits of each int64; shifts keep the sign, which the masks take away again."""
    x = words - ((words >> 1) & _ODD)
    x = (x & _PAIRS) + ((x >> 2) & _PAIRS)
    x = (x + (x >> 4)) & _NIBBLES
    return (x * _BYTES) >> 56


class TorchPopulation:
    """``count`` networks of ``widths`` on a device."""

    def __init__(self, widths: Sequence[int], count: int = 1, *, device: str = "cpu") -> None:
        self.widths = check_widths(widths)
        self.count = count
        self.device = torch.device(device)
        self._layers: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._places = torch.arange(64, device=self.device)

    def set_(self, weights: npt.ArrayLike, biases: npt.ArrayLike | None = None) -> None:
        """Take weights (count, weights) of 0 and 1 and biases (count, outputs); None: all 0."""
        flat = np.asarray(weights, np.uint8)
        outputs = sum(self.widths[1:])
        given = np.zeros((self.count, outputs), np.int64) if biases is None else np.asarray(biases)
        expected = (self.count, count_weights(self.widths))
        if flat.shape != expected or given.shape != (self.count, outputs):
            raise ValueError(
                f"weights must have shape {expected} and biases {(self.count, outputs)}, got "
                f"{flat.shape} and {given.shape}"
            )
        self._layers, at, place = [], 0, 0
        for rows, columns in shapes_of(self.widths):
            part = flat[:, at : at + rows * columns].reshape(self.count, rows, columns)
            offsets = given[:, place : place + rows].astype(np.int64) + columns
            self._layers.append((self._words(pack(part)), self._tensor(offsets)))
            at, place = at + rows * columns, place + rows

    def forward(self, x: Words) -> IntArray:
        """Outputs (count, n, outputs) of samples (n, words), through every network."""
        if x.dtype != np.uint64 or x.shape[1:] != (words_of(self.widths[0]),):
            raise ValueError(
                f"x must be uint64 (n, {words_of(self.widths[0])}), got {x.dtype} of {x.shape}"
            )
        words = self._words(x).expand(self.count, -1, -1)
        for weights, offsets in self._layers[:-1]:
            limits = (offsets + 1) >> 1
            words = self._pack(self._differing(words, weights) < limits[:, None, :])
        weights, offsets = self._layers[-1]
        sums = offsets[:, None, :] - 2 * self._differing(words, weights)
        found: IntArray = sums.to(torch.int32).cpu().numpy()
        return found

    def _differing(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """(count, n, outputs) of samples (count, n, words) and weights (count, outputs, words)."""
        step = max(1, _BLOCK // max(1, weights.numel()))
        parts = [
            count_bits(part[:, :, None, :] ^ weights[:, None, :, :]).sum(-1)
            for part in torch.split(x, step, dim=1)
        ]
        return torch.cat(parts, dim=1)

    def _pack(self, bits: torch.Tensor) -> torch.Tensor:
        width = bits.shape[-1]
        padded = torch.nn.functional.pad(bits, (0, words_of(width) * 64 - width))
        groups = padded.reshape(*bits.shape[:-1], -1, 64).to(torch.int64)
        return (groups << self._places).sum(-1)

    def _words(self, words: Words) -> torch.Tensor:
        return self._tensor(np.ascontiguousarray(words).view(np.int64))

    def _tensor(self, numbers: npt.NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(np.array(numbers)).to(self.device)
