"""A convolution stack over recorded frames, differentiable at a cost in proportion to what changed.

Consecutive frames share most of their maps. Here every run (see ``runs``) is a row that is computed
once and differentiated once, however many steps it lasts: a position's value does not depend on the
step, so its gradient is that of its dense outputs summed over its steps. Parameters must stay the
same over all frames of a call, as they do between two updates. Acting is ``stack``'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from rlcompress.reuse.run_maps import map_gradients, map_values
from rlcompress.reuse.run_rows import DenseRuns
from rlcompress.reuse.runs import Frames, MapRuns, find_runs, has_native
from rlcompress.reuse.stages import Stage, read_modules

Loss = Callable[[torch.Tensor, slice], torch.Tensor]


class Replay:
    """Outputs of ``modules`` for recorded frames, with gradients of their parameters.

    ``modules`` are what ``ReuseStack`` takes, with a Flatten and at least one Linear behind the
    maps. At most ``limit`` runs are held at a time (a run costs its channels in numbers).
    """

    def __init__(
        self,
        modules: nn.Sequential,
        input_shape: tuple[int, int, int],
        *,
        limit: int = 1_000_000,
        native: bool | None = None,
    ) -> None:
        self.stages = read_modules(modules, input_shape).stages
        self.input_shape = input_shape
        self.limit = limit
        self.native = has_native() if native is None else native
        kinds = [stage.kind for stage in self.stages]
        if "linear" not in kinds or kinds[0] == "linear":
            raise ValueError(
                "modules must be maps, a Flatten and at least one Linear to be replayed"
            )
        self.maps = self.stages[: kinds.index("linear")]
        self.head = self.stages[kinds.index("linear") :]

    def __call__(self, frames: Frames) -> torch.Tensor:
        """Outputs [steps, outputs] of frames [steps, C, H, W], however many runs they have."""
        parts = [self._outputs(part, runs) for part, runs, _ in self._parts(frames)]
        return torch.cat(parts)

    def backward(self, frames: Frames, loss: Loss) -> float:
        """Add the gradients of a loss that is a sum over steps to the parameters'.

        ``loss`` gets the outputs of some steps and which ones they are; it is called for one part
        of the frames after the other, so that no more than ``limit`` runs are held. Returns the
        whole loss.
        """
        total = 0.0
        for part, runs, where in self._parts(frames):
            one = loss(self._outputs(part, runs), where)
            one.backward()  # type: ignore[no-untyped-call]
            total += one.item()
        return total

    def _parts(self, frames: Frames) -> Iterator[tuple[Frames, list[MapRuns], slice]]:
        expected = self.input_shape
        if frames.dtype != np.uint8 or frames.shape[1:] != expected or not len(frames):
            raise ValueError(
                f"frames must be uint8 of [steps, {', '.join(map(str, expected))}] with at least "
                f"one step, got {frames.dtype} of {list(frames.shape)}"
            )
        rows = np.ascontiguousarray(frames.transpose(0, 2, 3, 1))
        windows = [stage.window for stage in self.maps]
        start = 0
        while start < len(rows):
            count, runs = find_runs(rows[start:], windows, limit=self.limit, native=self.native)
            yield rows[start : start + count], runs, slice(start, start + count)
            start += count

    def _outputs(self, frames: Frames, runs: list[MapRuns]) -> torch.Tensor:
        first = self.head[0]
        weight = _parameter(first, "weight")
        assert weight is not None
        tensors = [_parameter(stage, name) for stage in self.maps for name in ("weight", "bias")]
        out: torch.Tensor = _RunLength.apply(  # type: ignore[no-untyped-call]
            self, frames, runs, weight, *tensors
        )
        bias = _parameter(first, "bias")
        out = _activated(out if bias is None else out + bias, first)
        for stage in self.head[1:]:
            weight = _parameter(stage, "weight")
            assert weight is not None
            out = _activated(F.linear(out, weight, _parameter(stage, "bias")), stage)
        return out


def _parameter(stage: Stage, name: str) -> torch.Tensor | None:
    found = getattr(stage.module, name, None)
    assert found is None or isinstance(found, torch.Tensor)
    return found


def _activated(x: torch.Tensor, stage: Stage) -> torch.Tensor:
    return x.relu() if stage.activation == "relu" else x.tanh() if stage.activation == "tanh" else x


def _by_position(weight: torch.Tensor, stage: Stage) -> torch.Tensor:
    """[outputs, C * H * W] as [H * W, outputs, C]."""
    channels, height, width = stage.in_shape
    return weight.view(-1, channels, height * width).permute(2, 0, 1)


class _RunLength(torch.autograd.Function):
    """From frames to what the first dense layer makes of the last map, without its bias."""

    @staticmethod
    def forward(
        ctx: Any,
        replay: Replay,
        frames: Frames,
        runs: list[MapRuns],
        weight: torch.Tensor,
        *tensors: torch.Tensor | None,
    ) -> torch.Tensor:
        native = replay.native
        values = map_values(replay.maps, frames, runs, tensors, like=weight, native=native)
        by_position = _by_position(weight, replay.head[0])
        dense = DenseRuns.of(runs[-1], by_position, values[-1][1:], native=native)
        ctx.kept = replay, runs, values, dense
        ctx.save_for_backward(*tensors)  # notices parameters that were changed in between
        return dense.outputs(len(frames))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        replay, runs, values, dense = ctx.kept
        del ctx.kept  # frees the maps as soon as they are used
        grad_values, grad_weight = dense.gradients(gradients[0].contiguous())
        channels = replay.head[0].in_shape[0]
        grad_weight = grad_weight.permute(1, 2, 0).reshape(grad_weight.shape[1], -1)
        assert grad_values.shape[1] == channels
        below = map_gradients(
            replay.maps, runs, values, ctx.saved_tensors, grad_values, native=replay.native
        )
        return None, None, None, grad_weight, *below
