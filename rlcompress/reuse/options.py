"""What a stack is asked to do with its frames; it checks values and holds no state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch


@dataclass(frozen=True)
class FrameOptions:
    """How frames are read.

    Args:
        lags: frames that the first convolution reads; each call brings the newest of them, and the
            first layer's share of every frame is kept for itself. The oldest frame's channels come
            first, as in Stable-Baselines3.
        fill: what lies before an environment's first frame: ``"zero"``, or ``"repeat"`` that frame.
        thresholds: the approximate mode: how far the pixels and then every layer's outputs may
            move before they count as changed. Empty: exact.
        divisor: pixels are divided by it (255 for networks that were trained so).
        dtype: of the frames, ``torch.uint8`` or ``torch.float32``.
    """

    lags: int = 1
    fill: Literal["zero", "repeat"] = "zero"
    thresholds: tuple[float, ...] = ()
    divisor: float = 1.0
    dtype: torch.dtype = torch.uint8

    def __post_init__(self) -> None:
        if not 1 <= self.lags <= 64:
            raise ValueError(f"lags must be in 1..64, got {self.lags}")
        if self.fill not in ("zero", "repeat"):
            raise ValueError(f"fill must be 'zero' or 'repeat', got {self.fill!r}")
        if any(not t >= 0 for t in self.thresholds):
            raise ValueError(f"thresholds must be 0 or more, got {self.thresholds}")
        if not self.divisor > 0:
            raise ValueError(f"divisor must be above 0, got {self.divisor}")
        if self.dtype not in (torch.uint8, torch.float32):
            raise ValueError(f"dtype must be torch.uint8 or torch.float32, got {self.dtype}")


@dataclass(frozen=True)
class PlanOptions:
    """What a plan is made for, the same for every kind of plan."""

    slots: int = 1
    reuse: bool = True
    isa: str = "auto"
    frames: FrameOptions = field(default_factory=FrameOptions)
