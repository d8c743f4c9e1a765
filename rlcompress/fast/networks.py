"""Networks as functions of their weights: what each supported module computes; changes nothing.

The modules say which operations there are, ``Weights`` says with which numbers, so that one
function serves online and target networks, and gradients go where the caller wants them. A new
kind of module is one function here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from stable_baselines3.common.torch_layers import FlattenExtractor, NatureCNN
from torch import nn
from torch.nn import functional

from rlcompress.quantization.fake_quant import rounded_parameters, weight_scale
from rlcompress.quantization.layers import (
    LayerQuantization,
    OutputQuantization,
    QuantConv2d,
    QuantHardtanh,
    QuantLinear,
    QuantReLU,
    QuantResidualAdd,
    QuantTanh,
    ResidualAdd,
)
from rlcompress.quantization.quantizer import ActivationQuantizer
from rlcompress.sb3.networks import ImpalaResNet, ResidualBlock


class Unsupported(Exception):
    """Why a model cannot be trained here; SB3 then trains it."""


@dataclass(frozen=True)
class Weights:
    """The numbers that a network computes with.

    ``tensors`` stand for parameters, by the identity of the parameter in the module; ``grids`` are
    one row per activation's quantiser: scale, its inverse, and the ends of where gradients pass.
    """

    tensors: Mapping[int, torch.Tensor]
    grids: Mapping[int, torch.Tensor]

    def of(self, parameter: torch.Tensor | None) -> torch.Tensor | None:
        """What stands for a parameter."""
        return None if parameter is None else self.tensors[id(parameter)]

    def grid(self, quantizer: ActivationQuantizer) -> torch.Tensor:
        """Scale, inverse, low end and high end of a quantiser."""
        return self.grids[id(quantizer)]


Forward = Callable[[Any, torch.Tensor, Weights], torch.Tensor]
_FORWARD: dict[type[nn.Module], Forward] = {}


def run(module: nn.Module, x: torch.Tensor, weights: Weights) -> torch.Tensor:
    """What ``module`` computes of ``x`` with ``weights``."""
    return _FORWARD[type(module)](module, x, weights)


def check(module: nn.Module) -> None:
    """Raise Unsupported where ``run`` does not know a module, or hooks would be missed."""
    for name, part in module.named_modules():
        if type(part) not in _FORWARD and not isinstance(part, ResidualAdd):
            raise Unsupported(f"it has a layer {type(part).__name__} ({name})")
        check_unwatched(part, name)


def check_unwatched(module: nn.Module, name: str) -> None:
    """Raise Unsupported where a module has hooks, which ``run`` would miss."""
    if any((module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)):
        raise Unsupported(f"{name} has hooks")


def quantizers_read(module: nn.Module) -> list[ActivationQuantizer]:
    """The quantisers that a network's forward pass rounds with, or takes a scale from."""
    found: dict[int, ActivationQuantizer] = {}
    for part in module.modules():
        how = getattr(part, "quantization", None)
        if isinstance(how, LayerQuantization):
            output = None if how.output is None else how.output.quantizer
            found |= {id(q): q for q in (how.source, output) if q is not None}
        elif isinstance(how, OutputQuantization):
            found[id(how.quantizer)] = how.quantizer
    return list(found.values())


def grid_rows(quantizers: Sequence[ActivationQuantizer]) -> torch.Tensor:
    """The present grids, one row each."""
    rows = [[grid.scale, grid.inverse, *grid.interval] for grid in (q.grid for q in quantizers)]
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


def _knows(*kinds: type[nn.Module]) -> Callable[[Forward], Forward]:
    def register(function: Forward) -> Forward:
        _FORWARD.update(dict.fromkeys(kinds, function))
        return function

    return register


@_knows(nn.Sequential)
def _sequential(module: nn.Sequential, x: torch.Tensor, weights: Weights) -> torch.Tensor:
    for part in module:
        x = run(part, x, weights)
    return x


@_knows(nn.Linear)
def _linear(module: nn.Linear, x: torch.Tensor, weights: Weights) -> torch.Tensor:
    weight = weights.of(module.weight)
    assert weight is not None
    return functional.linear(x, weight, weights.of(module.bias))


@_knows(nn.Conv2d)
def _conv(module: nn.Conv2d, x: torch.Tensor, weights: Weights) -> torch.Tensor:
    weight = weights.of(module.weight)
    assert weight is not None and module.padding_mode == "zeros"
    result: torch.Tensor = module._conv_forward(x, weight, weights.of(module.bias))
    return result


@_knows(nn.ReLU, nn.Tanh, nn.Hardtanh, nn.MaxPool2d, nn.Identity, nn.Flatten, nn.LeakyReLU, nn.ELU)
def _as_it_is(module: nn.Module, x: torch.Tensor, weights: Weights) -> torch.Tensor:
    """A module without parameters or state; never in place: ``x`` may be an input."""
    if getattr(module, "inplace", False):
        return torch.relu(x) if isinstance(module, nn.ReLU) else module(x.clone())
    result: torch.Tensor = module(x)
    return result


@_knows(FlattenExtractor)
def _flatten(module: FlattenExtractor, x: torch.Tensor, weights: Weights) -> torch.Tensor:
    return x.flatten(1)


@_knows(NatureCNN)
def _nature(module: NatureCNN, x: torch.Tensor, weights: Weights) -> torch.Tensor:
    return run(module.linear, run(module.cnn, x, weights), weights)


@_knows(ImpalaResNet)
def _impala(module: ImpalaResNet, x: torch.Tensor, weights: Weights) -> torch.Tensor:
    for part in (module.stages, module.relu, module.flatten, module.dense, module.dense_relu):
        x = run(part, x, weights)
    return x


@_knows(ResidualBlock)
def _block(module: ResidualBlock, x: torch.Tensor, weights: Weights) -> torch.Tensor:
    branch = x
    for part in (module.relu1, module.conv1, module.relu2, module.conv2):
        branch = run(part, branch, weights)
    total = x + branch
    if isinstance(module.add, QuantResidualAdd):
        total = _rounded(total, module.add.quantization.quantizer, weights)
    return total


@_knows(QuantLinear)
def _quant_linear(module: QuantLinear, x: torch.Tensor, weights: Weights) -> torch.Tensor:
    weight, bias = _parameters(module, weights)
    return _finish(module, functional.linear(x, weight, bias), weights)


@_knows(QuantConv2d)
def _quant_conv(module: QuantConv2d, x: torch.Tensor, weights: Weights) -> torch.Tensor:
    weight, bias = _parameters(module, weights)
    return _finish(module, module._conv_forward(x, weight, bias), weights)


@_knows(QuantReLU)
def _quant_relu(module: QuantReLU, x: torch.Tensor, weights: Weights) -> torch.Tensor:
    return _rounded(x, module.quantization.quantizer, weights)


@_knows(QuantTanh)
def _quant_tanh(module: QuantTanh, x: torch.Tensor, weights: Weights) -> torch.Tensor:
    return _rounded(torch.tanh(x), module.quantization.quantizer, weights)


@_knows(QuantHardtanh)
def _quant_hardtanh(module: QuantHardtanh, x: torch.Tensor, weights: Weights) -> torch.Tensor:
    clipped = functional.hardtanh(x, module.min_val, module.max_val)
    return _rounded(clipped, module.quantization.quantizer, weights)


def _finish(module: QuantLinear | QuantConv2d, x: torch.Tensor, weights: Weights) -> torch.Tensor:
    output = module.quantization.output
    return x if output is None else _rounded(x, output.quantizer, weights)


def _parameters(
    module: QuantLinear | QuantConv2d, weights: Weights
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weight and bias, rounded where the layer rounds them, with gradients for the live ones."""
    how = module.quantization
    weight, bias = weights.of(module.weight), weights.of(module.bias)
    assert weight is not None
    if how.weight_bits is None:
        return weight, bias
    step = None if how.source is None else weights.grid(how.source)[0]
    scale = weight_scale(
        weight, bias, bits=how.weight_bits, per_channel=how.per_channel, input_scale=step
    )
    rounded, rounded_bias = rounded_parameters(weight, bias, scale, input_scale=step)
    if bias is None or rounded_bias is None:
        return _StraightThrough.apply(weight, rounded), bias  # type: ignore[no-untyped-call]
    return (
        _StraightThrough.apply(weight, rounded),  # type: ignore[no-untyped-call]
        _StraightThrough.apply(bias, rounded_bias),  # type: ignore[no-untyped-call]
    )


def _rounded(x: torch.Tensor, quantizer: ActivationQuantizer, weights: Weights) -> torch.Tensor:
    grid, limits = weights.grid(quantizer), quantizer.grid
    result: torch.Tensor = _Round.apply(x, grid, limits.low, limits.high)  # type: ignore[no-untyped-call]
    return result


class _StraightThrough(torch.autograd.Function):
    """The second tensor's value with a gradient for the first."""

    @staticmethod
    def forward(ctx: Any, parameter: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
        return rounded.detach()

    @staticmethod
    def backward(ctx: Any, *grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        return grad[0], None


class _Round(torch.autograd.Function):
    """``fake_quant_activation`` with its grid in tensors, which may change without a new graph."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, grid: torch.Tensor, low: int, high: int) -> torch.Tensor:
        ctx.save_for_backward(x, grid)
        return (x * grid[1]).round().clamp(low, high) * grid[0]

    @staticmethod
    def backward(ctx: Any, *grad: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        x, grid = ctx.saved_tensors
        inside = (x > grid[2]) & (x < grid[3])
        return torch.where(inside, grad[0], torch.zeros_like(grad[0])), None, None, None
