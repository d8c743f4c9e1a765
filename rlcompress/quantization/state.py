"""Reads and restores what quantisation keeps beside the parameters: ranges, and what was asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from rlcompress.quantization.layers import LayerQuantization, OutputQuantization
from rlcompress.quantization.quantizer import ActivationQuantizer
from rlcompress.spec import QuantSpec

State = Mapping[str, Mapping[str, Any]]


def layers_of(root: nn.Module) -> dict[str, tuple[nn.Linear | nn.Conv2d, LayerQuantization]]:
    """The quantised layers of a network with how they compute, by name."""
    found: dict[str, tuple[nn.Linear | nn.Conv2d, LayerQuantization]] = {}
    for name, module in root.named_modules():
        how = getattr(module, "quantization", None)
        if isinstance(how, LayerQuantization) and isinstance(module, (nn.Linear, nn.Conv2d)):
            found[name] = module, how
    return found


def quantizers_of(root: nn.Module) -> dict[str, ActivationQuantizer]:
    """The quantisers of a network's activations, by the name of the module that rounds."""
    found: dict[str, ActivationQuantizer] = {}
    for name, module in root.named_modules():
        how = getattr(module, "quantization", None)
        output = how.output if isinstance(how, LayerQuantization) else how
        if isinstance(output, OutputQuantization):
            found[name] = output.quantizer
    return found


def is_prepared(root: nn.Module) -> bool:
    """Whether the network's modules are quantised."""
    return bool(layers_of(root))


def spec_of(root: nn.Module) -> QuantSpec | None:
    """What the network was quantised with; None for a float network."""
    return next((how.spec for _, how in layers_of(root).values()), None)


def state_dict(root: nn.Module) -> dict[str, dict[str, Any]]:
    """State of every activation's quantiser; what lies in parameters is not repeated."""
    return {name: quantizer.state_dict() for name, quantizer in quantizers_of(root).items()}


def load_state_dict_(root: nn.Module, state: State) -> None:
    """Restore what ``state_dict`` gave, into a network prepared with the same spec.

    Raises:
        ValueError: where the names differ.
    """
    quantizers = quantizers_of(root)
    if set(quantizers) != set(state):
        raise ValueError(
            f"the quantisation state is of another network: it has {sorted(state)}, "
            f"expected {sorted(quantizers)}"
        )
    for name, quantizer in quantizers.items():
        quantizer.load_state_dict(state[name])


def weight_errors(root: nn.Module) -> dict[str, float]:
    """Relative error (root mean square) that rounding makes in each quantised layer's weights."""
    errors: dict[str, float] = {}
    for name, (layer, how) in layers_of(root).items():
        with torch.no_grad():
            rounded, _ = how.rounded(layer)
            size = float(layer.weight.norm())
            error = 0.0 if rounded is None else float((rounded - layer.weight).norm())
        errors[name] = error / size if size > 0.0 and math.isfinite(size) else 0.0
    return errors
