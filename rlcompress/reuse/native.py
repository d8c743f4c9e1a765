"""Hands a stack to native code: numbers and addresses out, tensors back; it decides nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from rlcompress.reuse.options import PlanOptions
from rlcompress.reuse.stages import Layout, Stage

try:
    from rlcompress.reuse._stack import NativePlan as _Native
    from rlcompress.reuse._stack import Snapshot, available_isas

    AVAILABLE = True
except ImportError:  # Installed without a compiler.
    AVAILABLE = False

KINDS = ("conv", "max", "avg", "linear")
ACTIVATIONS = ("none", "relu", "tanh")


class NativePlan:
    """A plan of ``fallback.TorchPlan``'s form for float32 parameters on the processor."""

    def __init__(
        self, layout: Layout, frame_shape: tuple[int, int, int], options: PlanOptions
    ) -> None:
        frames = options.frames
        self.layout = layout
        self.frame_shape = frame_shape
        self.rows = 1
        self._single = (1, *layout.out_shape)
        flags = [
            options.slots,
            options.reuse,
            frames.dtype == torch.uint8,
            frames.lags,
            frames.fill == "repeat",
        ]
        self._native = _Native(
            [_numbers(stage) for stage in layout.stages],
            list(frame_shape),
            [int(flag) for flag in flags],
            frames.divisor,
            list(frames.thresholds),
            options.isa,
        )
        self.isa = self._native.isa

    def load(self) -> None:
        """Read the modules' parameters; everything that was remembered is forgotten."""
        kept = []
        for stage in self.layout.stages:
            module = stage.module
            pair: list[torch.Tensor | None] = [None, None]
            if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Linear)):
                pair[0] = module.weight.detach().contiguous()
                pair[1] = None if module.bias is None else module.bias.detach().contiguous()
            kept += pair
        self._native.load([0 if tensor is None else tensor.data_ptr() for tensor in kept])

    def reset(self, slots: Sequence[int]) -> None:
        """Forget what these slots remember."""
        self._native.reset(list(slots))

    def run_one(self, frame: torch.Tensor) -> torch.Tensor:
        """Outputs (1, *out_shape) of slot 0's next frame, without a batch."""
        self.rows = 1
        if not (frame.is_cpu and frame.is_contiguous()):
            frame = frame.cpu().contiguous()
        out = torch.empty(self._single, dtype=torch.float32, device="cpu")
        self._native.run_one(frame.data_ptr(), 0, out.data_ptr())
        return out

    def run(
        self, frames: torch.Tensor, slots: Sequence[int], changed: torch.Tensor | None
    ) -> torch.Tensor:
        """Outputs (B, *out_shape) of contiguous frames (B, C, H, W)."""
        self.rows = rows = len(slots)
        frames = frames.cpu().contiguous()
        out = torch.empty((rows, *self.layout.out_shape), dtype=torch.float32, device="cpu")
        mask = None if changed is None else changed.cpu()
        address = 0 if mask is None else mask.data_ptr()
        self._native.run(frames.data_ptr(), list(slots), address, out.data_ptr())
        return out

    @property
    def counts(self) -> list[int]:
        """Pixels and positions that the last call computed, layer by layer."""
        return self._native.counts

    def masks(self, slot: int) -> list[torch.Tensor]:
        """What was dirty in the slot's last frame: the pixels, then every stage's positions."""
        shapes = [self.frame_shape[1:]]
        for stage in self.layout.stages:
            linear = stage.kind == "linear"
            shapes.append((1, stage.positions) if linear else stage.out_shape[1:])
        found = []
        for index, shape in enumerate(shapes):
            flags = bytearray(self._native.mask(index, slot))
            found.append(torch.frombuffer(flags, dtype=torch.bool).reshape(shape))
        return found

    def activation(self, stage: int, slot: int) -> torch.Tensor:
        """What a stage of the slot last came to, (C, H, W)."""
        out = torch.empty(self.layout.stages[stage].out_shape, dtype=torch.float32, device="cpu")
        self._native.activation(stage, slot, out.data_ptr())
        return out

    def known(self, slot: int) -> bool:
        """Whether the slot remembers a frame."""
        return self._native.known(slot)

    def save(self, slot: int) -> Snapshot:
        """A copy of what the slot remembers."""
        return self._native.save(slot)

    def restore(self, slot: int, snapshot: object) -> bool:
        """Put a copy back; False where it is another plan's, or of other parameters."""
        return isinstance(snapshot, Snapshot) and self._native.restore(slot, snapshot)


def isas() -> list[str]:
    """What can compute a stack here, the best first."""
    return [*(available_isas() if AVAILABLE else []), "torch"]


def _numbers(stage: Stage) -> list[int]:
    window = stage.window
    return [
        KINDS.index(stage.kind),
        ACTIVATIONS.index(stage.activation),
        *stage.in_shape,
        *stage.out_shape,
        *window.kernel,
        *window.stride,
        *window.padding,
        *window.dilation,
    ]
