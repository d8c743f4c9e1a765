"""Values of runs from map to map, and their gradients back down; finds no runs.

Row 0 of a map's values is what padding reads. Rows are taken some thousand at a time, so that what
they read stays in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F

from rlcompress.reuse.run_rows import gather, scatter_add_
from rlcompress.reuse.runs import MapRuns
from rlcompress.reuse.stages import Stage

Tensors = Sequence[torch.Tensor | None]

_NUMBERS = 2**18
"""How many numbers a part of the rows reads, about: a megabyte in single precision."""


def map_values(
    stages: Sequence[Stage],
    pixels: torch.Tensor,
    runs: Sequence[MapRuns],
    tensors: Tensors,
    *,
    native: bool,
) -> list[torch.Tensor]:
    """Values [1 + runs, channels] of the frames' runs and of each map's; row 0 is 0.

    ``pixels`` are those of the frames' runs, ``tensors`` weight and bias of each stage (None for a
    pooling).
    """
    values = [F.pad(pixels, (0, 0, 1, 0))]
    for k, stage in enumerate(stages):
        inputs = torch.from_numpy(runs[k + 1].inputs).to(pixels.device)
        below = values[-1].detach()
        out = pixels.new_zeros(1 + len(inputs), stage.out_shape[0])
        weight, bias = tensors[2 * k], tensors[2 * k + 1]
        flat = None if weight is None else _flat(weight.detach())
        for part in _parts(inputs, below.shape[1]):
            rows = gather(below, inputs[part], native=native)
            to = out[1:][part]
            if flat is None:
                to.copy_(_pooled(stage, rows, inputs[part]))
            elif bias is None:
                torch.mm(rows, flat, out=to)
            else:
                torch.addmm(bias.detach(), rows, flat, out=to)
            _activate_(to, stage)
        values.append(out)
    return values


def map_gradients(
    stages: Sequence[Stage],
    runs: Sequence[MapRuns],
    values: Sequence[torch.Tensor],
    tensors: Tensors,
    gradient: torch.Tensor,
    *,
    native: bool,
) -> list[torch.Tensor | None]:
    """Gradients of ``tensors``, given that of the last map's values [runs, channels]."""
    found: list[torch.Tensor | None] = []
    for k in reversed(range(len(stages))):
        stage, inputs = stages[k], torch.from_numpy(runs[k + 1].inputs).to(gradient.device)
        _through_activation_(gradient, values[k + 1][1:], stage)
        below = torch.zeros_like(values[k]) if k else None
        weight, bias = tensors[2 * k], tensors[2 * k + 1]
        if weight is None:
            found[:0] = None, None
            if below is not None:
                _unpool_(stage, values[k], inputs, gradient, below, native=native)
        else:
            flat = _flat(weight.detach())
            grad = torch.zeros_like(flat)
            for part in _parts(inputs, values[k].shape[1]):
                rows = gather(values[k], inputs[part], native=native)
                grad.addmm_(rows.t(), gradient[part])
                if below is not None:
                    scatter_add_(below, inputs[part], gradient[part] @ flat.t(), native=native)
            out, channels, *kernel = weight.shape
            grad = grad.view(-1, channels, out).permute(2, 1, 0).reshape(out, channels, *kernel)
            found[:0] = grad, None if bias is None else gradient.sum(0)
        if below is not None:
            gradient = below[1:]
    return found


def _flat(weight: torch.Tensor) -> torch.Tensor:
    """[out, in, *kernel] as [kernel * in, out]."""
    return weight.flatten(2).permute(2, 1, 0).reshape(-1, weight.shape[0])


def _parts(inputs: torch.Tensor, width: int) -> Iterator[slice]:
    step = max(64, _NUMBERS // (inputs.shape[1] * width))
    for start in range(0, len(inputs), step):
        yield slice(start, start + step)


def _activate_(x: torch.Tensor, stage: Stage) -> None:
    if stage.activation == "relu":
        x.relu_()
    elif stage.activation == "tanh":
        x.tanh_()


def _through_activation_(gradient: torch.Tensor, values: torch.Tensor, stage: Stage) -> None:
    if stage.activation == "relu":
        gradient.mul_(values > 0)
    elif stage.activation == "tanh":
        gradient.mul_(1 - values * values)


def _pooled(stage: Stage, rows: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    if stage.kind == "max":
        return _maxima(rows, inputs)[0]
    taps = rows.view(*inputs.shape, -1)
    return taps.sum(1) / inputs.shape[1]


def _maxima(rows: torch.Tensor, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Largest value of all taps, and the first tap that has it, as torch's own pooling counts."""
    taps = rows.view(*inputs.shape, -1).masked_fill((inputs == 0)[:, :, None], float("-inf"))
    best, which = taps[:, 0].clone(), torch.zeros_like(taps[:, 0], dtype=torch.long)
    for k in range(1, inputs.shape[1]):
        better = taps[:, k] > best
        which[better] = k
        best = torch.where(better, taps[:, k], best)
    return best, which


def _unpool_(
    stage: Stage,
    values: torch.Tensor,
    inputs: torch.Tensor,
    gradient: torch.Tensor,
    below: torch.Tensor,
    *,
    native: bool,
) -> None:
    """Add the gradient of a pooling's outputs to ``below``, that of what it reads."""
    taps = inputs.shape[1]
    for part in _parts(inputs, values.shape[1]):
        one = gradient[part][:, None, :]
        if stage.kind == "avg":
            rows = (one / taps).expand(-1, taps, -1).contiguous()
        else:
            read = gather(values, inputs[part], native=native)
            _, which = _maxima(read, inputs[part])
            rows = one.new_zeros(len(one), taps, one.shape[2])
            rows.scatter_(1, which[:, None, :], one)
        scatter_add_(below, inputs[part], rows, native=native)
    below[0] = 0
