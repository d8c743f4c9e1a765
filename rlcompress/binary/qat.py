"""The other road to one bit: a DQN of Stable-Baselines3 whose weights become signs while it learns.

The network is the one that evolution strategies search: an encoder, binary layers, integer sums.
Forward passes use signs, gradients go straight through them to the float weights behind.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import DQN
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from rlcompress.binary.decoders import Decoder
from rlcompress.binary.encoders import Encoder
from rlcompress.binary.network import BinaryLayer, BinaryNetwork
from rlcompress.binary.policy import BinaryPolicy


class EncodedFeatures(BaseFeaturesExtractor):
    """Bits of an encoder as +-1; learns nothing. Thermometers only."""

    def __init__(self, observation_space: gym.spaces.Box, encoder: Encoder) -> None:
        if encoder.code != "thermometer":
            raise ValueError(f"encoder must be a thermometer, got {encoder.code!r}")
        super().__init__(observation_space, encoder.bits)
        self.encoder = encoder
        self.register_buffer("edges", torch.from_numpy(encoder.edges), persistent=False)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Bits (n, bits) of observations (n, inputs)."""
        edges = self.get_buffer("edges")
        above = observations[:, :, None] > edges
        return (2.0 * above.float() - 1.0).flatten(1)


def _signs(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x > 0, 1.0, -1.0)


class _Straight(torch.autograd.Function):
    """One tensor's values with another's gradient, to the bit: a + (b - a) would be rounded."""

    @staticmethod
    def forward(ctx: Any, source: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradients[0], None


def _straight(source: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = _Straight.apply(source, values)  # type: ignore[no-untyped-call]
    return found


class BinaryLinear(nn.Module):
    """A dense layer of signs around the parameters of a float one: alpha (sign(W) x + round(b)).

    Alpha is the mean magnitude of W. Bias parameters are in units of alpha.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs of the binary layer; gradients are those of the float one."""
        alpha = self.weight.detach().abs().mean()
        weight = _straight(self.weight / alpha, _signs(self.weight))
        bias = _straight(self.bias / alpha, torch.round(self.bias / alpha))
        # Sums of whole numbers, so that 0 is 0 and does not fire.
        return alpha * nn.functional.linear(x, weight, bias)

    def frozen(self) -> BinaryLayer:
        """The layer in bits and integers."""
        weight = self.weight.detach().cpu()
        bias = torch.round(self.bias.detach().cpu() / weight.abs().mean())
        return BinaryLayer((weight > 0).numpy(), bias.numpy().astype(np.int32))


class Sign(nn.Module):
    """+1 above 0 and -1 elsewhere; the gradient of a clamp to +-1."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Signs (n, width)."""
        clamped = x.clamp(-1.0, 1.0)
        return _straight(clamped, _signs(x))


def make_dqn(env_id: str, encoder: Encoder, hidden: tuple[int, ...], **options: Any) -> DQN:
    """A float DQN on encoded observations, with clamps where signs will be."""
    policy = {
        "features_extractor_class": EncodedFeatures,
        "features_extractor_kwargs": {"encoder": encoder},
        "net_arch": list(hidden),
        "activation_fn": nn.Hardtanh,
    }
    return DQN("MlpPolicy", gym.make(env_id), policy_kwargs=policy, **options)


def binarise_(model: DQN) -> None:
    """Turn every layer of both Q-networks into signs, around the same parameters."""
    for network in (model.q_net, model.q_net_target):
        layers = network.q_net
        for place, layer in enumerate(layers):
            if isinstance(layer, nn.Linear):
                layers[place] = BinaryLinear(layer)
            else:
                layers[place] = Sign()


def freeze_dqn(model: DQN) -> BinaryPolicy:
    """The binary policy of a model after ``binarise_``; its largest output is the action."""
    features = model.q_net.features_extractor
    if not isinstance(features, EncodedFeatures):
        raise ValueError("this model has no encoder: make it with make_dqn")
    found = [layer for layer in model.q_net.q_net if isinstance(layer, BinaryLinear)]
    if not found:
        raise ValueError("this model is not binary: call binarise_ and train it further")
    layers = [layer.frozen() for layer in found]
    space = model.action_space
    assert isinstance(space, gym.spaces.Discrete)
    shape = model.observation_space.shape
    assert shape is not None
    decoder = Decoder("argmax", int(space.n), int(space.start))
    return BinaryPolicy(tuple(shape), features.encoder, BinaryNetwork(tuple(layers)), decoder)
