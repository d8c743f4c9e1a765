"""The arithmetic of symmetric fake quantisation on tensors; knows nothing of modules or networks.

Everything is a plain function of its arguments. Rounding is to nearest, half to even, after one
float32 multiplication with the reciprocal of the scale, and gradients are straight-through.
Written as a few vectorised passes because torch's fused fake-quantisation kernels work element
by element and are an order of magnitude slower on a CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

MIN_SCALE = 2.0**-40
"""Scale of a layer or channel whose weights and bias are all zero."""

BIAS_MAGNITUDE = 2**24
"""No bias exceeds this many steps of its grid, far inside int32 and exact in float32."""


@dataclass(frozen=True)
class Grid:
    """The real numbers an activation may take: ``scale`` times an integer in ``low .. high``.

    Unsigned (what a ReLU leaves) is 0 .. 2^bits - 1, signed is +-(2^(bits-1) - 1). ``scale`` and
    ``inverse`` are exact in float32, as all runtimes use them.
    """

    scale: float
    inverse: float
    low: int
    high: int

    @classmethod
    def reaching(cls, top: float, *, bits: int, signed: bool) -> Grid:
        """The grid whose largest integer stands for ``top``."""
        high = weight_limit(bits) if signed else int(2**bits - 1)
        scale = torch.tensor(max(top / high, MIN_SCALE), dtype=torch.float32)
        return cls(float(scale), float(scale.reciprocal()), -high if signed else 0, high)

    @property
    def interval(self) -> tuple[float, float]:
        """Where gradients pass: all that rounds into the grid, and nothing below a ReLU."""
        low = (self.low - 0.5) * self.scale if self.low else 0.0
        return low, (self.high + 0.5) * self.scale


def weight_limit(bits: int) -> int:
    """Largest integer of the narrow, symmetric range +-(2^(bits-1) - 1) of weights."""
    return int(2 ** (bits - 1) - 1)


def weight_scale(
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    *,
    bits: int,
    per_channel: bool,
    input_scale: float | torch.Tensor | None = None,
) -> torch.Tensor:
    """Scale of one integer step of ``weight``: shape () or, per output channel, (outputs,).

    The largest weight becomes the largest integer. Where ``input_scale`` is given the bias lives
    on the grid ``input_scale * scale``; the scale is then no smaller than what keeps the bias
    within ``BIAS_MAGNITUDE`` steps. That matters only where weights are (nearly) all zero: such a
    layer or channel gets a scale on which its bias is exact to 2^-25, and zeros stay zeros.
    """
    weight = weight.detach()
    if per_channel:
        scale = weight.abs().flatten(1).amax(1) / weight_limit(bits)
    else:
        low, high = torch.aminmax(weight)
        scale = torch.maximum(-low, high) / weight_limit(bits)
    if bias is not None and input_scale is not None:
        magnitude = bias.detach().abs()
        floor = magnitude if per_channel else magnitude.amax()
        scale = torch.maximum(scale, floor * (1.0 / (input_scale * BIAS_MAGNITUDE)))
    return scale.clamp_min(MIN_SCALE)


def rounded_parameters(
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    scale: torch.Tensor,
    *,
    input_scale: float | torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """``weight`` rounded to multiples of ``scale``, ``bias`` to ``input_scale * scale``.

    ``scale`` has shape () or (outputs,). Where ``input_scale`` is None there is no such grid and
    the rounded bias is None. The results carry no gradients; ``straight_through`` adds them.
    """
    rounded = None
    if bias is not None and input_scale is not None:
        rounded = _round(bias, scale * input_scale)
    if scale.ndim:
        scale = scale.view(-1, *(1,) * (weight.ndim - 1))
    return _round(weight, scale), rounded


def straight_through(parameter: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
    """The value of ``rounded`` with a gradient that passes to ``parameter`` unchanged.

    That is the clipped one as well: a scale taken from the largest weight clips nothing.
    """
    if not torch.is_grad_enabled():
        return rounded
    passed: torch.Tensor = _StraightThrough.apply(parameter, rounded)  # type: ignore[no-untyped-call]
    return passed


def fake_quant_activation(x: torch.Tensor, grid: Grid) -> torch.Tensor:
    """``clamp(rint(x * inverse), low, high) * scale``.

    The gradient is that of clipping to the range: for an unsigned range this is ReLU with an
    upper end, so the function stands in for a ReLU.
    """
    if not torch.is_grad_enabled():
        return _quantise_plain(x, grid)
    quantised: torch.Tensor = _Quantise.apply(x, grid)  # type: ignore[no-untyped-call]
    return quantised


def _round(x: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    return torch.mul(x.detach(), step.reciprocal()).round_().mul_(step)


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, parameter: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
        # The same memory in a new tensor: what comes in may be used again.
        return rounded.detach()

    @staticmethod
    def backward(ctx: Any, *grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        return grad[0], None


def _quantise_plain(x: torch.Tensor, grid: Grid) -> torch.Tensor:
    return torch.mul(x, grid.inverse).round_().clamp_(grid.low, grid.high).mul_(grid.scale)


class _Quantise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, grid: Grid) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.grid = grid
        return _quantise_plain(x, grid)

    @staticmethod
    def backward(ctx: Any, *grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        (x,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(grad[0], x, *ctx.grid.interval), None
