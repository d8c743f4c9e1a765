"""The modules that compute in fake-quantised numbers; where they go is decided in ``prepare``.

A module becomes quantised by changing its class: the object, its parameters, its hooks and every
reference to it (in a ``Sequential``, an optimizer, a pruner) stay what they were, and so does its
``state_dict``. What quantisation adds are plain attributes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from rlcompress.quantization.fake_quant import (
    rounded_parameters,
    straight_through,
    weight_scale,
)
from rlcompress.quantization.quantizer import ActivationQuantizer
from rlcompress.spec import QuantSpec

_SAMPLE = 2**14  # Weights that are summed to notice a change.


class ResidualAdd(nn.Module):
    """The sum of two values of one shape, as a module so that it can be traced and quantised."""

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return ``first + second``."""
        return first + second


@dataclass(frozen=True)
class OutputQuantization:
    """How a module rounds what it returns: with which quantiser, and whether it moves the range.

    A target twin reads the range of its online network but never moves it.
    """

    quantizer: ActivationQuantizer
    observes: bool

    def __call__(self, x: torch.Tensor, module: nn.Module) -> torch.Tensor:
        """Fake-quantise ``x``, which ``module`` computed."""
        observe = self.observes and module.training and torch.is_grad_enabled()
        return self.quantizer(x, observe=observe)


@dataclass(frozen=True)
class LayerQuantization:
    """How a dense or convolutional layer computes.

    ``weight_bits`` None leaves weights and bias in float32 (a skipped layer). ``source`` quantises
    the layer's input; None means a float input, and a float bias. ``output`` is None where the
    following activation does the rounding or the result stays float. ``spec`` is what was asked.
    """

    spec: QuantSpec
    weight_bits: int | None
    per_channel: bool
    source: ActivationQuantizer | None
    output: OutputQuantization | None

    def scale(self, layer: nn.Linear | nn.Conv2d) -> torch.Tensor | None:
        """Scale of the live weights, () or (outputs,); None where they stay float."""
        if self.weight_bits is None:
            return None
        return weight_scale(
            layer.weight,
            layer.bias,
            bits=self.weight_bits,
            per_channel=self.per_channel,
            input_scale=None if self.source is None else self.source.grid.scale,
        )

    def rounded(
        self, layer: nn.Linear | nn.Conv2d
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Weight and bias as the layer computes with them; None for one that stays as it is."""
        scale = self.scale(layer)
        if scale is None:
            return None, None
        input_scale = None if self.source is None else self.source.grid.scale
        return rounded_parameters(layer.weight, layer.bias, scale, input_scale=input_scale)

    def fingerprint(self, layer: nn.Linear | nn.Conv2d) -> tuple[object, ...]:
        """What the rounded parameters depend on: they are the same while this is.

        Version counters miss what is written through ``.data`` (SB3's target updates) or by a fused
        optimizer, both of which change all weights; so a sample of the weights is summed too.
        """
        found: list[object] = [None if self.source is None else self.source.grid]
        for parameter in (layer.weight, layer.bias):
            if parameter is not None:
                sample = parameter.detach()
                if sample.numel() > _SAMPLE:
                    sample = sample.flatten()[:: sample.numel() // _SAMPLE]
                found += [parameter.data_ptr(), parameter._version, float(sample.sum())]
        return tuple(found)

    def finish(self, x: torch.Tensor, layer: nn.Module) -> torch.Tensor:
        """Round the layer's result where that is its task."""
        return x if self.output is None else self.output(x, layer)


def _parameters(
    layer: nn.Linear | nn.Conv2d, how: LayerQuantization
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What the layer computes with, with gradients for its own parameters.

    Between two steps of the optimizer a layer runs several times: for a batch, for the next
    observations, in the environment. It is rounded at the first of them, which a large layer costs
    more than one environment step. On an accelerator asking whether to would cost more than that.
    """
    if how.weight_bits is None:
        return layer.weight, layer.bias
    if layer.weight.device.type != "cpu":
        weight, bias = how.rounded(layer)
    else:
        fingerprint = how.fingerprint(layer)
        remembered = layer.__dict__.get("_remembered")
        if remembered is None or remembered[0] != fingerprint:
            remembered = fingerprint, how.rounded(layer)
            layer.__dict__["_remembered"] = remembered
        weight, bias = remembered[1]
    assert weight is not None, "only layers with weight_bits None stay as they are"
    if layer.bias is None or bias is None:
        return straight_through(layer.weight, weight), layer.bias
    return straight_through(layer.weight, weight), straight_through(layer.bias, bias)


class QuantLinear(nn.Linear):
    """A dense layer with fake-quantised weights."""

    quantization: LayerQuantization

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Apply the layer in quantised numbers."""
        weight, bias = _parameters(self, self.quantization)
        return self.quantization.finish(functional.linear(input, weight, bias), self)


class QuantConv2d(nn.Conv2d):
    """A convolution with fake-quantised weights."""

    quantization: LayerQuantization

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Apply the layer in quantised numbers."""
        weight, bias = _parameters(self, self.quantization)
        return self.quantization.finish(self._conv_forward(input, weight, bias), self)


class QuantReLU(nn.ReLU):
    """A ReLU whose result is unsigned integers; rounding into an unsigned range is a ReLU."""

    quantization: OutputQuantization

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Clamp and round in one."""
        return self.quantization(input, self)


class QuantTanh(nn.Tanh):
    """A tanh whose result is signed integers."""

    quantization: OutputQuantization

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Round the tanh."""
        return self.quantization(super().forward(input), self)


class QuantHardtanh(nn.Hardtanh):
    """A symmetric hard tanh whose result is signed integers."""

    quantization: OutputQuantization

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Round the clipped input."""
        return self.quantization(super().forward(input), self)


class QuantResidualAdd(ResidualAdd):
    """A residual addition whose result is integers."""

    quantization: OutputQuantization

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Round the sum."""
        return self.quantization(super().forward(first, second), self)


LAYERS = (QuantLinear, QuantConv2d)
QUANTISED: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: QuantLinear,
    nn.Conv2d: QuantConv2d,
    nn.ReLU: QuantReLU,
    nn.Tanh: QuantTanh,
    nn.Hardtanh: QuantHardtanh,
    ResidualAdd: QuantResidualAdd,
}
"""What a float module turns into."""
