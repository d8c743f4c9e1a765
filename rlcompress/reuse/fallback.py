"""The stack in plain torch, for machines without the native module, other devices and float64.

Exact as the native one is: every product is made in pieces of one fixed shape, always of the same
positions, so that its bits depend neither on what else has changed nor on what was computed before.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from rlcompress.reuse.changes import changed_pixels
from rlcompress.reuse.fallback_parts import BLOCKS, activated, packed, with_border
from rlcompress.reuse.geometry import dilate
from rlcompress.reuse.options import PlanOptions
from rlcompress.reuse.stages import Layout, Stage

PIECE = 64  # positions of one product


class _Slot:
    """What one environment's network computed last."""

    def __init__(self) -> None:
        self.frames: list[torch.Tensor] = []  # newest first
        self.changes: list[torch.Tensor] = []
        self.planes: list[torch.Tensor] = []  # the first layer's share of each lag
        self.values: list[torch.Tensor] = []  # per stage (h, w, c)
        self.sums: dict[int, torch.Tensor] = {}  # of each linear stage, piece by piece
        self.vectors: dict[int, torch.Tensor] = {}  # what linear stages behind others read
        self.masks: list[torch.Tensor] = []


class _Snapshot(NamedTuple):
    slot: _Slot
    plan: TorchPlan
    version: int


class TorchPlan:
    """Runs a layout slot by slot; ``load`` comes first and after every change of parameters."""

    isa = "torch"

    def __init__(self, layout: Layout, frame_shape: tuple[int, int, int], options: PlanOptions):
        self.layout = layout
        self.options = options
        self.frame_shape = frame_shape
        self.slots = [_Slot() for _ in range(options.slots)]
        self.weights: list[torch.Tensor | None] = []
        self.biases: list[torch.Tensor | None] = []
        self.counts = [0] * (len(layout.stages) + 1)
        self.rows = 1  # of the last batch
        self.version = 0  # of the parameters
        self.like = torch.zeros(())

    def load(self) -> None:
        """Read the modules' parameters; everything that was remembered is forgotten."""
        self.weights, self.biases = [], []
        for stage in self.layout.stages:
            module = stage.module
            if not isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Linear)):
                self.weights.append(None)
                self.biases.append(None)
                continue
            weight = module.weight.detach()
            bias = None if module.bias is None else module.bias.detach()
            self.like = weight.new_zeros(())
            self.weights.append(packed(stage, weight))
            self.biases.append(weight.new_zeros(weight.shape[0]) if bias is None else bias)
        self.version += 1
        self.reset(range(len(self.slots)))

    def reset(self, slots: Sequence[int]) -> None:
        """Forget what these slots remember."""
        for slot in slots:
            self.slots[slot] = _Slot()

    def run_one(self, frame: torch.Tensor) -> torch.Tensor:
        """Outputs (1, *out_shape) of slot 0's next frame, without a batch."""
        return self.run(frame.reshape(1, *self.frame_shape), [0], None)

    def run(
        self,
        frames: torch.Tensor,
        slots: Sequence[int],
        changed: torch.Tensor | None,
    ) -> torch.Tensor:
        """Outputs (B, *out_shape) of frames (B, C, H, W)."""
        self.counts, self.rows = [0] * len(self.counts), len(frames)
        with torch.no_grad():
            outputs = [
                self._one(self.slots[slot], frames[i], None if changed is None else changed[i])
                for i, slot in enumerate(slots)
            ]
        return torch.stack(outputs)

    def masks(self, slot: int) -> list[torch.Tensor]:
        """What was dirty in the slot's last frame: the pixels, then every stage's positions."""
        return self.slots[slot].masks

    def activation(self, stage: int, slot: int) -> torch.Tensor:
        """What a stage of the slot last came to, (C, H, W)."""
        return self.slots[slot].values[stage].permute(2, 0, 1)

    def known(self, slot: int) -> bool:
        """Whether the slot remembers a frame."""
        return bool(self.slots[slot].frames)

    def save(self, slot: int) -> object:
        """A copy of what the slot remembers."""
        return _Snapshot(copy.deepcopy(self.slots[slot]), self, self.version)

    def restore(self, slot: int, snapshot: object) -> bool:
        """Put a copy back; False where it is another plan's, or of other parameters."""
        if not isinstance(snapshot, _Snapshot) or snapshot.plan is not self:
            return False
        if snapshot.version != self.version:
            return False
        self.slots[slot] = copy.deepcopy(snapshot.slot)
        return True

    def _threshold(self, index: int) -> float:
        return self.options.frames.thresholds[index] if self.options.frames.thresholds else 0.0

    def _one(self, slot: _Slot, frame: torch.Tensor, changed: torch.Tensor | None) -> torch.Tensor:
        fresh = not slot.frames or not self.options.reuse
        mask = self._take_frame(slot, frame.to(self.like.device), changed)
        slot.masks, dirty = [mask], mask
        source = slot.frames[0].permute(1, 2, 0).to(self.like) / self.options.frames.divisor
        for index, stage in enumerate(self.layout.stages):
            if stage.kind == "linear":
                dirty = self._linear(slot, index, source, dirty, fresh)
            elif index == 0 and self.options.frames.lags > 1:
                dirty = self._lagged(slot, fresh)
            else:
                dirty = self._map(slot, index, source, dirty, fresh)
            source = slot.values[index]
        self.counts = [c + int(m.sum()) for c, m in zip(self.counts, slot.masks, strict=True)]
        return source.permute(2, 0, 1).reshape(self.layout.out_shape).clone()

    def _take_frame(
        self, slot: _Slot, frame: torch.Tensor, changed: torch.Tensor | None
    ) -> torch.Tensor:
        lags = self.options.frames.lags
        if not slot.frames:
            old = frame if self.options.frames.fill == "repeat" else torch.zeros_like(frame)
            slot.frames = [frame.clone(), *[old.clone() for _ in range(lags - 1)]]
            nothing = torch.zeros_like(frame[0], dtype=torch.bool)
            first = ~nothing if lags == 1 else changed_pixels(old, frame)
            slot.changes = [first, *[nothing] * (lags - 1)]
            return first
        last = slot.frames[0]
        if not self.options.reuse:
            mask = torch.ones_like(frame[0], dtype=torch.bool)
        elif changed is not None:
            mask = changed.to(frame.device)
        else:
            mask = changed_pixels(last, frame, self._threshold(0))
        kept = torch.where(mask, frame, last)
        slot.frames = [kept, *slot.frames][:lags]
        slot.changes = [mask, *slot.changes][:lags]
        return mask

    def _map(
        self, slot: _Slot, index: int, source: torch.Tensor, dirty: torch.Tensor, fresh: bool
    ) -> torch.Tensor:
        stage = self.layout.stages[index]
        todo = dilate(stage.window, dirty)
        todo = torch.ones_like(todo) if fresh else todo
        slot.masks.append(todo)
        new = self._compute(index, source, todo)
        return self._store(slot, index, new, todo, fresh)

    def _store(
        self, slot: _Slot, index: int, new: torch.Tensor, todo: torch.Tensor, fresh: bool
    ) -> torch.Tensor:
        """Keep the positions of ``todo`` that came out otherwise; says which."""
        if fresh:
            slot.values[index:] = [new]
            return torch.ones_like(todo)
        old = slot.values[index]
        moved = todo & ~((new - old).abs().amax(-1) <= self._threshold(index + 1))
        slot.values[index] = torch.where(moved[..., None], new, old)
        return moved

    def _compute(self, index: int, source: torch.Tensor, todo: torch.Tensor) -> torch.Tensor:
        """The stage's map (h, w, c), right wherever ``todo``."""
        stage = self.layout.stages[index]
        if stage.kind == "conv":
            weight, bias = self.weights[index], self.biases[index]
            assert weight is not None and bias is not None
            return activated(stage, self._products(stage, source, weight, todo) + bias)
        window, image = stage.window, source.permute(2, 0, 1)[None]
        if stage.kind == "max":
            out = F.max_pool2d(
                with_border(image, window.padding, float("-inf")),
                window.kernel, window.stride, 0, window.dilation)  # fmt: skip
        else:
            padded = with_border(image, window.padding, 0.0)
            out = F.avg_pool2d(padded, window.kernel, window.stride)
        return activated(stage, out[0].permute(1, 2, 0))

    def _products(
        self, stage: Stage, source: torch.Tensor, weight: torch.Tensor, todo: torch.Tensor
    ) -> torch.Tensor:
        """Sums without bias, piece by piece where anything in the piece is wanted."""
        window, (_, height, width) = stage.window, stage.out_shape
        image = (
            with_border(source.permute(2, 0, 1), window.padding, 0.0).permute(1, 2, 0).contiguous()
        )
        row, column, _ = image.stride()
        patches = image.as_strided(
            (height, width, *window.kernel, image.shape[2]),
            (row * window.stride[0], column * window.stride[1],
             row * window.dilation[0], column * window.dilation[1], 1))  # fmt: skip
        out = source.new_zeros((-(-height * width // PIECE) * PIECE, weight.shape[1]))
        flags = F.pad(todo.reshape(-1), (0, out.shape[0] - height * width)).reshape(-1, PIECE)
        for piece in flags.any(1).nonzero().flatten().tolist():
            at = torch.arange(piece * PIECE, (piece + 1) * PIECE, device=source.device)
            at = at.clamp_(max=height * width - 1)
            rows = patches[at // width, at % width].reshape(PIECE, -1)
            out[piece * PIECE : (piece + 1) * PIECE] = rows @ weight
        return out[: height * width].reshape(height, width, -1)

    def _lagged(self, slot: _Slot, fresh: bool) -> torch.Tensor:
        stage, lags = self.layout.stages[0], self.options.frames.lags
        weight, bias = self.weights[0], self.biases[0]
        assert weight is not None and bias is not None
        channels = self.frame_shape[0]
        shares = weight.reshape(-1, lags, channels, weight.shape[1])
        union = torch.zeros(stage.out_shape[1:], dtype=torch.bool, device=self.like.device)
        for lag in range(lags):
            todo = dilate(stage.window, slot.changes[lag])
            todo = torch.ones_like(todo) if fresh else todo
            share = shares[:, lags - 1 - lag].reshape(-1, weight.shape[1]).contiguous()
            source = slot.frames[lag].permute(1, 2, 0).to(self.like) / self.options.frames.divisor
            new = self._products(stage, source, share, todo)
            if len(slot.planes) <= lag:
                slot.planes.append(new)
            else:
                slot.planes[lag] = torch.where(todo[..., None], new, slot.planes[lag])
            union |= todo
        slot.masks.append(union)
        total = slot.planes[0] + bias
        for plane in slot.planes[1:]:
            total = total + plane
        return self._store(slot, 0, activated(stage, total), union, fresh)

    def _linear(
        self, slot: _Slot, index: int, source: torch.Tensor, dirty: torch.Tensor, fresh: bool
    ) -> torch.Tensor:
        stage = self.layout.stages[index]
        weight, bias = self.weights[index], self.biases[index]
        assert weight is not None and bias is not None
        flat, pieces = source.reshape(-1), weight.shape[0]
        todo = self._dirty_blocks(slot, index, flat, dirty, fresh)
        slot.masks.append(todo[None])
        flat = F.pad(flat, (0, pieces * weight.shape[1] - flat.numel()))
        flags = F.pad(todo, (0, pieces * BLOCKS - len(todo))).reshape(pieces, BLOCKS).any(1)
        if fresh:
            slot.sums[index] = weight.new_zeros((pieces, weight.shape[2]))
        for piece in flags.nonzero().flatten().tolist():
            part = flat[piece * weight.shape[1] : (piece + 1) * weight.shape[1]]
            slot.sums[index][piece] = part @ weight[piece]
        new = activated(stage, slot.sums[index].sum(0) + bias)[None, None]
        return self._store(slot, index, new, torch.ones_like(new[..., 0], dtype=torch.bool), fresh)

    def _dirty_blocks(
        self, slot: _Slot, index: int, flat: torch.Tensor, dirty: torch.Tensor, fresh: bool
    ) -> torch.Tensor:
        """Which blocks of its input a linear stage has to sum again."""
        count, width = self.layout.stages[index].blocks
        todo = torch.ones(count, dtype=torch.bool, device=flat.device)
        if count == dirty.numel():  # a map, position by position
            return todo if fresh else dirty.reshape(-1)
        blocks = F.pad(flat, (0, count * width - flat.numel())).reshape(count, width)
        before, slot.vectors[index] = slot.vectors.get(index), blocks
        return todo if fresh or before is None else (blocks != before).any(1)
