"""How a model acts while it trains: SB3's numbers without the detours of ``predict``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import DQN, SAC


def sample_action(
    model: Any, learning_starts: int, action_noise: Any, n_envs: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The action for the environments and the one for the buffer, as ``_sample_action`` gives.

    Random numbers are drawn as SB3 draws them, in its order.
    """
    if model.num_timesteps < learning_starts:
        unscaled = np.array([model.action_space.sample() for _ in range(n_envs)])
    elif isinstance(model, DQN) and np.random.rand() < model.exploration_rate:
        unscaled = np.array([model.action_space.sample() for _ in range(n_envs)])
    else:
        unscaled = _chosen(model)
    if not isinstance(model.action_space, spaces.Box):
        return unscaled, unscaled
    scaled = model.policy.scale_action(unscaled)
    if action_noise is not None:
        scaled = np.clip(scaled + action_noise(), -1, 1)
    return model.policy.unscale_action(scaled), scaled


@torch.no_grad()
def _chosen(model: Any) -> NDArray[Any]:
    """What the policy answers to the last observations."""
    seen = torch.as_tensor(model._last_obs, device=model.device)
    if isinstance(model, SAC):
        mean, log_std, _ = model.actor.get_action_dist_params(seen)
        actions = torch.tanh(mean + torch.randn(mean.shape, device=mean.device) * log_std.exp())
    else:
        actions = model.policy._predict(seen, deterministic=True)
    found: NDArray[Any] = actions.cpu().numpy().reshape((-1, *model.action_space.shape))
    if isinstance(model.action_space, spaces.Box):
        found = model.policy.unscale_action(found)
    return found
