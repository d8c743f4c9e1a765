"""SB3 models of many shapes with weights worth freezing, and observations for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import nn

from rlcompress.sb3.actors import actor_of
from rlcompress.sb3.networks import ImpalaResNet
from rlcompress.sb3.quantise import quantise_after_training_
from rlcompress.spec import QuantSpec
from tests.sb3.models import make_model
from tests.sb3.odd_envs import OddEnv

IMAGE = spaces.Box(0, 255, (36, 40, 3), np.uint8)
IMPALA = {"features_extractor_class": ImpalaResNet, "net_arch": []}
SMALL_IMPALA = {
    **IMPALA,
    "features_extractor_kwargs": {"features_dim": 24, "channels": (4, 6), "padded": True},
}
VECTORS: dict[str, tuple[str, dict[str, Any]]] = {
    "SAC": ("SAC", {}),
    "SAC tanh": ("SAC", {"policy_kwargs": {"activation_fn": nn.Tanh}}),
    "SAC hard tanh": ("SAC", {"policy_kwargs": {"activation_fn": nn.Hardtanh}}),
    "SAC gSDE": ("SAC", {"use_sde": True}),
    "SAC linear": ("SAC", {"policy_kwargs": {"net_arch": []}}),
    "SAC odd": ("SAC", {"policy_kwargs": {"net_arch": [33, 7, 19]}}),
    "TD3": ("TD3", {}),
    "DDPG": ("DDPG", {}),
    "TQC": ("TQC", {}),
    "DQN": ("DQN", {}),
    "QRDQN": ("QRDQN", {}),
    "PPO tanh": ("PPO", {}),
    "PPO gSDE": ("PPO", {"use_sde": True}),
    "A2C": ("A2C", {}),
    "TRPO": ("TRPO", {}),
}
IMAGES: dict[str, dict[str, Any]] = {
    "NatureCNN": {"features_extractor_kwargs": {"features_dim": 32}},
    "IMPALA": SMALL_IMPALA,
    "IMPALA unpadded": {
        **IMPALA,
        "features_extractor_kwargs": {"features_dim": 16, "channels": (4, 5)},
    },
}


def randomise_(model: Any, seed: int) -> None:
    """Trained networks have biases and uneven channels; fresh ones of SB3 have neither."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in actor_of(model).layers.values():
            fan_in = layer.weight[0].numel()
            layer.weight.normal_(0.0, 1.6 / fan_in**0.5, generator=generator)
            spread = torch.empty(len(layer.weight)).uniform_(0.2, 1.5, generator=generator)
            layer.weight.mul_(spread.view(-1, *[1] * (layer.weight.ndim - 1)))
            layer.bias.normal_(0.0, 0.2, generator=generator)


def prune_(model: Any, sparsity: float, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in actor_of(model).layers.values():
            layer.weight.mul_(torch.rand(layer.weight.shape, generator=generator) >= sparsity)


def vector_model(name: str, seed: int = 0, **changes: Any) -> Any:
    algorithm, arguments = VECTORS[name]
    model = make_model(algorithm, **{**arguments, **changes})
    randomise_(model, seed)
    return model


def image_model(
    name: str, seed: int = 0, *, algorithm: str = "DQN", space: spaces.Box = IMAGE, **kwargs: Any
) -> Any:
    action = spaces.Discrete(5) if algorithm in ("DQN", "QRDQN", "PPO") else None
    action = action or spaces.Box(-2.0, 1.0, (2,), np.float32)
    env = OddEnv(space, action, length=4)
    policy_kwargs = {**IMAGES[name], **kwargs}
    arguments = {} if algorithm == "PPO" else {"buffer_size": 20}
    model = make_model(algorithm, env, "CnnPolicy", policy_kwargs=policy_kwargs, **arguments)
    randomise_(model, seed)
    return model


def observations_for(model: Any, count: int = 64, seed: int = 0) -> NDArray[Any]:
    """As the environment gives them."""
    rng = np.random.default_rng(seed)
    space = model.get_env().unwrapped.envs[0].observation_space
    if space.dtype == np.uint8:
        return rng.integers(0, 256, (count, *space.shape), np.uint8)
    return rng.normal(size=(count, *space.shape)).astype(np.float32)


def quantise_(model: Any, spec: QuantSpec, seed: int = 100) -> None:
    """After-training quantisation on observations that are not those of the comparison."""
    count = 16 if model.observation_space.dtype == np.uint8 else 256
    quantise_after_training_(model, spec, observations_for(model, count, seed))
