"""A convolution stack over recorded frames, differentiable at a cost in proportion to what changed.

Consecutive frames share most of their maps. Here every run (see ``runs``) is a row that is computed
once and differentiated once, however many steps it lasts: a position's value does not depend on the
step, so its gradient is that of its dense outputs summed over its steps. Parameters must stay the
same over all frames of a call, as they do between two updates. Acting is ``stack``'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from rlcompress.reuse.options import FrameOptions
from rlcompress.reuse.run_maps import map_gradients, map_values
from rlcompress.reuse.run_rows import DenseRuns
from rlcompress.reuse.runs import MapRuns, find_runs, has_native
from rlcompress.reuse.stages import Stage, read_modules

AnyFrames = npt.NDArray[Any]
Loss = Callable[[torch.Tensor, slice], torch.Tensor]
_PLAIN = FrameOptions()


class _Layers(NamedTuple):
    """A stack's maps, and what stands behind them from the first dense layer on."""

    maps: tuple[Stage, ...]
    head: tuple[Stage, ...]


class Replay:
    """Outputs of ``modules`` for recorded frames, with gradients of their parameters.

    ``modules`` are what ``ReuseStack`` takes, with a Flatten and at least one Linear behind the
    maps; ``frames`` is a stack's, without lags and thresholds. At most ``limit`` runs are held at a
    time (a run costs its channels in numbers).
    """

    def __init__(
        self,
        modules: nn.Sequential,
        input_shape: tuple[int, ...],
        *,
        frames: FrameOptions = _PLAIN,
        limit: int = 1_000_000,
        native: bool | None = None,
    ) -> None:
        if frames.lags > 1 or any(frames.thresholds):
            raise ValueError("frames must have no lags and no thresholds to be replayed")
        self.modules = modules
        self.input_shape = tuple(input_shape)
        self.options = frames
        self.limit = limit
        self.native = has_native() if native is None else native
        self._read()

    def __call__(self, frames: AnyFrames) -> torch.Tensor:
        """Outputs [steps, outputs] of frames [steps, *input_shape], however many runs they have."""
        layers = self._read()
        return torch.cat([self._outputs(layers, *part) for part, _ in self._parts(layers, frames)])

    def backward(self, frames: AnyFrames, loss: Loss) -> float:
        """Add the gradients of a loss that is a sum over steps to the parameters'.

        ``loss`` gets the outputs of some steps and which ones they are; it is called for one part
        of the frames after the other, so that no more than ``limit`` runs are held. Returns the
        whole loss.
        """
        layers, total = self._read(), 0.0
        for part, where in self._parts(layers, frames):
            one = loss(self._outputs(layers, *part), where)
            one.backward()  # type: ignore[no-untyped-call]
            total += one.item()
        return total

    def _read(self) -> _Layers:
        """What the modules are now."""
        stages = read_modules(self.modules, self.input_shape).stages
        kinds = [stage.kind for stage in stages]
        if "linear" not in kinds or kinds[0] == "linear":
            raise ValueError(
                "modules must be maps, a Flatten and at least one Linear to be replayed"
            )
        return _Layers(stages[: kinds.index("linear")], stages[kinds.index("linear") :])

    def _parts(
        self, layers: _Layers, frames: AnyFrames
    ) -> Iterator[tuple[tuple[AnyFrames, list[MapRuns]], slice]]:
        expected, dtype = self.input_shape, str(self.options.dtype).removeprefix("torch.")
        if frames.dtype != np.dtype(dtype) or frames.shape[1:] != expected or not len(frames):
            raise ValueError(
                f"frames must be {dtype} of [steps, {', '.join(map(str, expected))}] with at least "
                f"one step, got {frames.dtype} of {list(frames.shape)}"
            )
        rows = np.moveaxis(frames[:, :, None] if len(expected) == 2 else frames, 1, -1)
        rows = np.ascontiguousarray(rows)
        windows, start = [stage.window for stage in layers.maps], 0
        while start < len(rows):
            # Floats are told from one another by their bytes.
            count, runs = find_runs(
                rows[start:].view(np.uint8), windows, limit=self.limit, native=self.native
            )
            yield (rows[start : start + count], runs), slice(start, start + count)
            start += count

    def _outputs(self, layers: _Layers, frames: AnyFrames, runs: list[MapRuns]) -> torch.Tensor:
        first = layers.head[0]
        weight = _parameter(first, "weight")
        assert weight is not None
        tensors = [_parameter(stage, name) for stage in layers.maps for name in ("weight", "bias")]
        steps, channels = len(frames), frames.shape[3]
        pixels = frames.reshape(steps, -1, channels)[runs[0].begins, runs[0].positions]
        values = torch.from_numpy(pixels).to(weight) / self.options.divisor
        out: torch.Tensor = _RunLength.apply(  # type: ignore[no-untyped-call]
            (layers, runs, steps, self.native), values, weight, *tensors
        )
        bias = _parameter(first, "bias")
        out = _activated(out if bias is None else out + bias, first)
        for stage in layers.head[1:]:
            weight = _parameter(stage, "weight")
            if weight is not None:  # else an activation behind another one
                out = F.linear(out, weight, _parameter(stage, "bias"))
            out = _activated(out, stage)
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
        plan: tuple[_Layers, list[MapRuns], int, bool],
        pixels: torch.Tensor,
        weight: torch.Tensor,
        *tensors: torch.Tensor | None,
    ) -> torch.Tensor:
        layers, runs, steps, native = plan
        values = map_values(layers.maps, pixels, runs, tensors, native=native)
        by_position = _by_position(weight, layers.head[0])
        dense = DenseRuns.of(runs[-1], by_position, values[-1][1:], native=native)
        ctx.kept = plan, values, dense
        ctx.save_for_backward(weight, *tensors)  # notices parameters that were changed in between
        return dense.outputs(steps)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        _, *tensors = ctx.saved_tensors
        if ctx.kept is None:
            raise RuntimeError("gradients over runs can be taken once: replay the frames again")
        (layers, runs, _, native), values, dense = ctx.kept
        ctx.kept = None  # frees the maps as soon as they are used
        grad_values, grad_weight = dense.gradients(gradients[0].contiguous())
        grad_weight = grad_weight.permute(1, 2, 0).reshape(grad_weight.shape[1], -1)
        below = map_gradients(layers.maps, runs, values, tensors, grad_values, native=native)
        return None, None, grad_weight, *below
