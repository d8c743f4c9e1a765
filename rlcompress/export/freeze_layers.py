"""Reads the numbers of one torch layer as a compressed policy holds them, in torch's layout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from rlcompress.artifact import AnyArray, FloatArray, Function, TensorType
from rlcompress.quantization.graph import LINEAR, Node
from rlcompress.quantization.layers import LayerQuantization


@dataclass(frozen=True)
class LayerNumbers:
    """The numbers of one layer in torch's layout.

    ``step`` is the real size of one accumulator step: input scale x weight scale, in float64, one
    number or one per output. ``bias`` is int32 on that grid for integer arithmetic, else float32.
    """

    weight: AnyArray
    step: AnyArray
    bias: AnyArray

    def multiplier_for(self, output: TensorType, function: Function) -> FloatArray:
        """What the accumulator is multiplied with, towards ``output``."""
        straight = self.bias.dtype == np.int32 and function in ("none", "relu")
        step = self.step / output.scale if straight else self.step
        multiplier: FloatArray = np.float32(step).reshape(-1)
        return multiplier


def layer_numbers(node: Node, source: TensorType) -> LayerNumbers:
    """Weight, bias and step of a layer that reads a value of type ``source``.

    Integers are read off the very tensors that the fake-quantised layer computes with.
    """
    layer = node.module
    assert isinstance(layer, LINEAR)
    for name, parameter in layer.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise ValueError(f"{node.name}.{name} is not finite; the training has diverged")
    how = getattr(layer, "quantization", None)
    with torch.no_grad():
        scale = how.scale(layer) if isinstance(how, LayerQuantization) else None
        if scale is None or not isinstance(how, LayerQuantization):
            step = np.float64(source.scale)
            return LayerNumbers(_array(layer.weight), step, _float_bias(layer))
        weight, bias = how.rounded(layer)
        assert weight is not None, "there is a scale"
        per_row = scale.view(-1, *[1] * (weight.ndim - 1)) if scale.ndim else scale
        integers = _array(weight / per_row).round().astype(np.int8)
        step = np.float64(source.scale) * np.float64(_array(scale))
        if how.source is None:
            return LayerNumbers(integers, step, _float_bias(layer))
        if bias is None:
            return LayerNumbers(integers, step, np.zeros(len(integers), np.int32))
        on_grid = _array(bias / (scale * how.source.grid.scale)).round()
        return LayerNumbers(integers, step, on_grid.astype(np.int32))


def _float_bias(layer: nn.Linear | nn.Conv2d) -> FloatArray:
    if layer.bias is None:
        return np.zeros(layer.weight.shape[0], np.float32)
    return _array(layer.bias)


def _array(tensor: torch.Tensor) -> FloatArray:
    found: FloatArray = tensor.detach().cpu().numpy().astype(np.float32)
    return found
