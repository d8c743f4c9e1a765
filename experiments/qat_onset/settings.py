"""The ways to begin quantisation-aware training that are compared: each changes a loaded model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch import nn
from torch.ao.quantization import default_weight_fake_quant
from torch.nn import functional

from rlcompress import QATCallback, QuantSpec
from rlcompress.quantization.state import quantizers_of
from rlcompress.sb3.actors import actor_of

Setting = Callable[[Any], list[BaseCallback]]
"""Changes a model, and returns the callbacks that it learns with from here on."""


def nothing(model: Any) -> list[BaseCallback]:
    """Goes on in float32: what the others are compared with."""
    return []


def int8(model: Any) -> list[BaseCallback]:
    """Weights and activations, scales from the live weights, ranges that follow slowly."""
    return [QATCallback(QuantSpec(), begin=0)]


def weights_only(model: Any) -> list[BaseCallback]:
    """Weights alone, their scale from the live weights."""
    return [QATCallback(QuantSpec(activation_bits=None), begin=0)]


def frozen_ranges(model: Any) -> list[BaseCallback]:
    """As ``int8``, with the activations' ranges left as they were calibrated."""
    return [QATCallback(QuantSpec(), begin=0), _FrozenRanges()]


def slow(model: Any) -> list[BaseCallback]:
    """As ``int8``, with a tenth of the learning rate."""
    model.learning_rate *= 0.1
    model._setup_lr_schedule()
    return int8(model)


def without_replay(model: Any) -> list[BaseCallback]:
    """As ``int8``, with nothing to learn from but what is seen from here on."""
    model.replay_buffer.reset()
    return int8(model)


def new_optimizers(model: Any) -> list[BaseCallback]:
    """As ``int8``, with Adam's moments and step counts forgotten."""
    optimizers = (model.actor.optimizer, model.critic.optimizer, model.ent_coef_optimizer)
    for optimizer in optimizers:
        optimizer.state.clear()
    return int8(model)


def averaged(model: Any) -> list[BaseCallback]:
    """Weights alone, as torch rounds them: -128 to 127, scales from averaged extremes."""
    for layer in list(actor_of(model).root.modules()):
        if type(layer) is nn.Linear:
            layer.__class__ = _AveragedLinear
            layer.rounding = default_weight_fake_quant()
    return []


def averaged_without_replay(model: Any) -> list[BaseCallback]:
    """As ``averaged``, with nothing to learn from but what is seen from here on."""
    model.replay_buffer.reset()
    return averaged(model)


def nothing_without_replay(model: Any) -> list[BaseCallback]:
    """As ``none``, with nothing to learn from but what is seen from here on."""
    model.replay_buffer.reset()
    return []


SETTINGS: dict[str, Setting] = {
    "none": nothing,
    "int8": int8,
    "torch's averaged weights": averaged,
    "none, no replay": nothing_without_replay,
    "int8, no replay": without_replay,
    "torch's, no replay": averaged_without_replay,
    "weights only": weights_only,
    "int8, frozen ranges": frozen_ranges,
    "int8, new optimizers": new_optimizers,
    "int8, slow": slow,
}


TORCHS = ("torch's averaged weights", "torch's, no replay")
"""Settings whose layers only Stable-Baselines3's own updates can train."""


class _FrozenRanges(BaseCallback):
    """Keeps the ranges of activations from following the network."""

    def _on_step(self) -> bool:
        for quantizer in quantizers_of(actor_of(self.model).root).values():
            quantizer._track = _stay  # type: ignore[method-assign]
        return True


def _stay(x: torch.Tensor) -> None:
    """Leave a range as it is."""


class _AveragedLinear(nn.Linear):
    """A dense layer whose weight goes through torch's own averaging observer and rounding."""

    rounding: nn.Module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.rounding(self.weight), self.bias)
