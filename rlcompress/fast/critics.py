"""The parts of SAC's and TD3's updates that they share: critics; nothing of their policies."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.preprocessing import preprocess_obs

from rlcompress.fast.networks import Unsupported, Weights, run
from rlcompress.fast.optimizer import Block, block_of


def prepared(network: Any, observations: torch.Tensor) -> torch.Tensor:
    """Observations as SB3 hands them to the features extractor."""
    found = preprocess_obs(
        observations, network.observation_space, normalize_images=network.normalize_images
    )
    assert isinstance(found, torch.Tensor)
    return found


def values(
    critic: ContinuousCritic,
    observations: torch.Tensor,
    actions: torch.Tensor,
    weights: Weights,
    *,
    first_only: bool = False,
) -> list[torch.Tensor]:
    """What each critic (or the first) says of actions; (batch, 1) each."""
    features = run(critic.features_extractor, prepared(critic, observations), weights)
    both = torch.cat([features, actions], dim=1)
    networks = critic.q_networks[:1] if first_only else critic.q_networks
    return [run(network, both, weights) for network in networks]


def squared_errors(found: list[torch.Tensor], wanted: torch.Tensor) -> torch.Tensor:
    """Sum over the critics of their mean squared errors."""
    errors = [torch.nn.functional.mse_loss(value, wanted) for value in found]
    return torch.stack(errors).sum() if len(errors) > 1 else errors[0]


def critic_block(critic: Any) -> Block:
    """The block of the critics.

    Raises:
        Unsupported: where actor and critics share a features extractor, or the critics compute
            something of their own.
    """
    for name in ("forward", "q1_forward"):
        if not getattr(type(critic), name).__module__.startswith("stable_baselines3."):
            raise Unsupported(f"{type(critic).__name__} has a {name}() of its own")
    if critic.share_features_extractor:
        raise Unsupported("actor and critics share a features extractor")
    return block_of(critic.optimizer, list(critic.parameters()))
