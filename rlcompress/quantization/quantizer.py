"""Owns the range of one activation: found by calibration, then tracked through training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from rlcompress.quantization.fake_quant import Grid, fake_quant_activation

_BINS = 2048
_INTERVAL = 100
_DECAY = 0.9
_LARGEST_SAMPLE = 2**20
# Ends of the range that are tried, as fractions of the largest value: 1 down to 1/16.
_FRACTIONS = torch.logspace(0, -4, 65, base=2.0, dtype=torch.float64)


class ActivationQuantizer:
    """Rounds an activation to ``bits`` bits; shared by an actor, its readers and its target twin.

    The range is the one of least squared error: for a tensor, its end is found by trying 65 of
    them on a histogram of magnitudes, so that few bits trade rare large values for resolution and
    8 bits keep nearly all of them. Calibration sets it on recorded observations. During training
    every 100th call with gradients fits it to the batch again and moves a tenth of the way there:
    it follows a network that still learns, is blind to single batches, and depends on nothing but
    the sequence of batches.

    It is no ``nn.Module`` so that several modules can hold it without a trace in ``state_dict``.
    """

    def __init__(self, *, bits: int, signed: bool) -> None:
        self.bits = bits
        self.signed = signed
        self.calibrating = False
        self.error = 0.0
        """Relative quantisation error (root mean square) when the range was last fitted."""
        self._top: float | None = None
        self._grid: Grid | None = None
        self._calls = 0

    @classmethod
    def fixed(cls, *, bits: int, scale: float) -> ActivationQuantizer:
        """The unsigned grid of what is integer by nature: pixels."""
        quantizer = cls(bits=bits, signed=False)
        quantizer._set(scale * (2**bits - 1))
        return quantizer

    @property
    def grid(self) -> Grid:
        """The current grid.

        Raises:
            ValueError: before calibration.
        """
        if self._grid is None:
            raise ValueError(
                "an activation has no range yet: call calibrate_ with recorded observations first"
            )
        return self._grid

    def __call__(self, x: torch.Tensor, *, observe: bool) -> torch.Tensor:
        """Fake-quantise ``x``; with ``observe`` the range may follow it."""
        if self.calibrating:
            self._set(self._fit(x) or 1.0)
        elif observe:
            self._calls += 1
            if self._calls % _INTERVAL == 0:
                self._track(x)
        return fake_quant_activation(x, self.grid)

    @property
    def due(self) -> bool:
        """Whether the next observed call moves the range."""
        return (self._calls + 1) % _INTERVAL == 0

    def count_(self) -> None:
        """Count an observed call that was computed elsewhere and is not due."""
        self._calls += 1

    def state_dict(self) -> dict[str, Any]:
        """Range, clock and last error: what a resumed run needs to go on bit for bit."""
        return {"top": self._top, "calls": self._calls, "error": self.error}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        self._calls, self.error = int(state["calls"]), float(state["error"])
        if state["top"] is not None:
            self._set(float(state["top"]))

    def _set(self, top: float) -> None:
        self._top = top
        self._grid = Grid.reaching(top, bits=self.bits, signed=self.signed)

    def _track(self, x: torch.Tensor) -> None:
        fitted = self._fit(x)
        top = fitted if self._top is None else self._top
        # A layer that is silent for one batch keeps its range.
        if fitted > 0.0:
            self._set(_DECAY * top + (1.0 - _DECAY) * fitted)

    def _fit(self, x: torch.Tensor) -> float:
        """End of the range with the least squared error on ``x``; 0 where nothing is active."""
        # On the CPU, where the histogram is deterministic.
        values = x.detach().flatten()[:: _stride(x.shape)].float().cpu()
        values = values.abs() if self.signed else values
        values = values[values > 0]
        largest = float(values.amax()) if values.numel() else 0.0
        if largest == 0.0 or not math.isfinite(largest):
            return 0.0
        counts = torch.histc(values, _BINS, 0.0, largest).double()
        centres = (torch.arange(_BINS, dtype=torch.float64) + 0.5) * (largest / _BINS)
        high = Grid.reaching(largest, bits=self.bits, signed=self.signed).high
        steps = _FRACTIONS[:, None] * (largest / high)
        rounded = (centres / steps).round_().clamp_(max=high).mul_(steps)
        errors = (rounded - centres).square_() @ counts
        best = int(errors.argmin())
        self.error = float((errors[best] / (centres.square() @ counts)).sqrt())
        return float(_FRACTIONS[best]) * largest


def _stride(shape: torch.Size) -> int:
    """How far apart sampled values lie, so that they come from all units and are not too many."""
    stride = math.ceil(shape.numel() / _LARGEST_SAMPLE)
    while stride > 1 and math.gcd(stride, shape[1:].numel()) > 1:
        stride += 1
    return max(stride, 1)
