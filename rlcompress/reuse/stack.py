"""A convolution stack that recomputes only what changed since the last frame, exactly.

It owns the caches, when they are valid and what a caller may ask; plans do the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from rlcompress.reuse import native
from rlcompress.reuse.fallback import TorchPlan
from rlcompress.reuse.fused import fused_steps
from rlcompress.reuse.native import NativePlan
from rlcompress.reuse.options import FrameOptions, PlanOptions
from rlcompress.reuse.stages import Layout, children_of, read_modules, tensors_of

Frames = torch.Tensor | npt.NDArray[Any]
_EXACT = FrameOptions()


@dataclass(frozen=True)
class LayerWork:
    """How many positions of a layer the last call computed, of all that there are."""

    name: str
    dirty: int
    positions: int

    @property
    def fraction(self) -> float:
        """The share that was computed."""
        return self.dirty / self.positions


class ReuseStack:
    """Runs ``modules`` on frames and reuses, per slot, what the slot's last frame came to.

    ``stack(frames, slots=None, changed=None)`` takes frames (B, C, H, W) or one (C, H, W), tensors
    or arrays, and gives outputs (B, ...) without gradients. Row i belongs to ``slots[i]``, the i-th
    by default: one slot per environment. ``changed`` (B, H, W) says which pixels may differ from
    the slot's last frame, instead of a comparison; it has to name all of them.

    Results are the same bits with ``reuse=False``, which computes everything with the same kernels,
    and whatever the slot has seen before. Parameters and modules are watched: an optimiser's step,
    ``load_state_dict``, ``.to()`` or another layer in a layer's place empties the caches by itself;
    after a change in place through ``.data``, which torch does not count, call ``refresh()``.
    Hooks of modules are not called. Float32 on the processor is native code
    (``isa``: "auto", one of ``available_isas()``, or "torch"); float64 and other devices run in
    torch. Not to be called from several threads at once.
    """

    def __init__(
        self,
        modules: nn.Sequential,
        input_shape: tuple[int, ...],
        *,
        slots: int = 1,
        reuse: bool = True,
        isa: str = "auto",
        frames: FrameOptions = _EXACT,
    ) -> None:
        if slots < 1:
            raise ValueError(f"slots must be 1 or more, got {slots}")
        self.modules = modules
        self.input_shape = tuple(input_shape)
        self.options = PlanOptions(slots, reuse, isa, frames)
        rows = (1,) if len(self.input_shape) == 2 else ()
        self._frame_shape = (self.input_shape[0], *rows, *self.input_shape[1:])
        self._dtype = frames.dtype
        self.layout, kind = self._read()
        self._plan: NativePlan | TorchPlan = kind(self.layout, self._frame_shape, self.options)
        self._load()

    def __call__(
        self,
        frames: Frames,
        slots: Sequence[int] | None = None,
        changed: Frames | None = None,
    ) -> torch.Tensor:
        """Outputs of the frames, as the class says."""
        if self._outdated():
            self.refresh()
        given = frames if isinstance(frames, torch.Tensor) else torch.from_numpy(frames)
        if (
            slots is None
            and changed is None
            and given.shape == self.input_shape
            and given.dtype == self._dtype
        ):
            return self._plan.run_one(given)
        batch = self._batch(given)
        rows = range(len(batch)) if slots is None else self._slots(slots, len(batch))
        if slots is None and len(batch) > self.options.slots:
            raise ValueError(f"slots must be at least {len(batch)} for such a batch, got "
                             f"{self.options.slots}")  # fmt: skip
        mask = None if changed is None else self._mask(changed, len(batch))
        return self._plan.run(batch, rows, mask)

    def refresh(self) -> None:
        """Read modules and parameters again and forget everything that was computed with others."""
        layout, kind = self._read()
        if type(self._plan) is not kind or layout != self.layout:
            self.layout = layout
            self._plan = kind(layout, self._frame_shape, self.options)
        self._load()

    def reset(self, slots: Sequence[int] | None = None) -> None:
        """Forget what these slots, or all, remember: new episodes of a stack with lags need it."""
        rows = range(self.options.slots) if slots is None else self._slots(slots, None)
        self._plan.reset(rows)

    @property
    def isa(self) -> str:
        """What computes: an instruction set, or "torch"."""
        return self._plan.isa

    @property
    def work(self) -> list[LayerWork]:
        """What the last call computed: of the frame the changed pixels, then layer by layer."""
        shape = self._frame_shape
        names = ["frame", *(stage.name for stage in self.layout.stages)]
        sizes = [shape[1] * shape[2], *(stage.positions for stage in self.layout.stages)]
        counts, rows = self._plan.counts, self._plan.rows
        return [LayerWork(n, c, s * rows) for n, c, s in zip(names, counts, sizes, strict=True)]

    def masks(self, slot: int = 0) -> list[npt.NDArray[np.bool_]]:
        """What the slot's last frame made dirty: its pixels, then every layer's positions (h, w).

        A linear layer has one row: the blocks of its input that were summed again.
        """
        self._seen(slot)
        return [mask.cpu().numpy() for mask in self._plan.masks(slot)]

    def activation(self, layer: int, slot: int = 0) -> torch.Tensor:
        """A copy of what a layer of the slot last came to, (C, H, W)."""
        self._seen(slot)
        if not 0 <= layer < len(self.layout.stages):
            raise ValueError(f"layer must be in 0..{len(self.layout.stages) - 1}, got {layer}")
        return self._plan.activation(layer, slot).clone()

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.modules, self.input_shape, self.options)

    def save(self, slot: int = 0) -> object:
        """A copy of what a slot remembers: for going back to a state that was left."""
        self._slots([slot], None)
        return self._plan.save(slot)

    def restore(self, slot: int, snapshot: object) -> None:
        """Let a slot remember what ``save`` copied from any slot of this stack."""
        self._slots([slot], None)
        if not self._plan.restore(slot, snapshot):
            raise ValueError(
                "snapshot must come from this stack with these parameters, got another model's "
                "or an older one's; save again after parameters have changed"
            )

    def _outdated(self) -> bool:
        """Whether modules or parameters are no longer those that were loaded."""
        if fused_steps() != self._fused:
            return True
        for parts, children in self._children:
            if tuple(parts.values()) != children:
                return True
        for kept, name, parameter, version, address, _ in self._watched:
            now = kept.get(name)
            if now is not parameter:
                return True
            if now is not None and (now._version != version or now.data_ptr() != address):
                return True
        return False

    def _load(self) -> None:
        self._children = children_of(self.modules)
        self._fused = fused_steps()
        self._watched = [
            # The alias keeps the memory, so that its address cannot come back with other contents.
            (kept, name, p, 0, 0, None)
            if p is None
            else (kept, name, p, p._version, p.data_ptr(), p.detach())
            for kept, name, p in tensors_of(self.layout.stages)
        ]
        self._plan.load()

    def _read(self) -> tuple[Layout, type[NativePlan] | type[TorchPlan]]:
        """What the modules are now, and what can run them."""
        frames = self.options.frames
        layout = read_modules(self.modules, self.input_shape, frames.lags)
        if frames.thresholds and len(frames.thresholds) != len(layout.stages) + 1:
            raise ValueError(
                f"thresholds must be {len(layout.stages) + 1}, the pixels' and one per layer of "
                f"{[stage.name for stage in layout.stages]}, got {len(frames.thresholds)}"
            )
        return layout, self._plan_kind(layout)

    def _plan_kind(self, layout: Layout) -> type[NativePlan] | type[TorchPlan]:
        isa = self.options.isa
        if isa not in ("auto", *native.isas()):
            raise ValueError(f"isa must be 'auto' or one of {native.isas()}, got {isa!r}")
        parameters = [p for _, _, p in tensors_of(layout.stages) if p is not None]
        if any(p.is_inference() for p in parameters):
            raise ValueError(
                "parameters must count their changes, got some that were made in "
                "torch.inference_mode(); make the modules outside of it"
            )
        kinds = {(p.dtype, p.device.type) for p in parameters}
        if len(kinds) > 1:
            raise ValueError(
                f"parameters must have one dtype and device, got {sorted(map(str, kinds))}"
            )
        fits = kinds <= {(torch.float32, "cpu")}
        return NativePlan if native.AVAILABLE and fits and isa != "torch" else TorchPlan

    def _batch(self, frames: torch.Tensor) -> torch.Tensor:
        if frames.dtype != self.options.frames.dtype:
            raise ValueError(
                f"frames must stay {self.options.frames.dtype}, got {frames.dtype}; "
                "FrameOptions(dtype=...) says which"
            )
        if frames.shape == self.input_shape:
            return frames.reshape(1, *self._frame_shape)
        if frames.shape[1:] != self.input_shape:
            raise ValueError(
                f"frames must stay (B, {', '.join(map(str, self.input_shape))}) or one of them, "
                f"got {tuple(frames.shape)}"
            )
        if len(frames) == 0:
            raise ValueError("frames must hold at least one frame, got an empty batch")
        return frames.reshape(-1, *self._frame_shape)

    def _seen(self, slot: int) -> None:
        self._slots([slot], None)
        if not self._plan.known(slot):
            raise ValueError(f"slot {slot} must have seen a frame, got none since its last reset")

    def _slots(self, slots: Sequence[int], batch: int | None) -> list[int]:
        rows = [int(slot) for slot in slots]
        if batch is not None and len(rows) != batch:
            raise ValueError(f"slots must name one for each of {batch} frames, got {len(rows)}")
        if len(set(rows)) != len(rows) or any(not 0 <= r < self.options.slots for r in rows):
            raise ValueError(
                f"slots must be different and in 0..{self.options.slots - 1}, got {rows}"
            )
        return rows

    def _mask(self, changed: Frames, batch: int) -> torch.Tensor:
        mask = changed if isinstance(changed, torch.Tensor) else torch.from_numpy(changed)
        rows, columns = self._frame_shape[1:]
        if mask.dtype != torch.bool or mask.numel() != batch * rows * columns:
            raise ValueError(
                f"changed must be a bool mask ({batch}, {rows}, {columns}), got {mask.dtype} "
                f"{tuple(mask.shape)}"
            )
        return mask.reshape(batch, rows, columns).contiguous()


def _unpickled(
    modules: nn.Sequential, input_shape: tuple[int, ...], options: PlanOptions
) -> ReuseStack:
    return ReuseStack(modules, input_shape, slots=options.slots, reuse=options.reuse,
                      isa=options.isa, frames=options.frames)  # fmt: skip
