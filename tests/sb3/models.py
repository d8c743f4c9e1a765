"""Small models of every supported algorithm; shared by the tests of what works on all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm

_OFF_POLICY = {"learning_starts": 20, "batch_size": 16, "buffer_size": 1000}
_VALUE_BASED = {**_OFF_POLICY, "target_update_interval": 30, "exploration_fraction": 0.5}
_ROLLOUT = {"n_steps": 16, "batch_size": 16}

# algorithm -> (environment, keyword arguments)
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "SAC": ("Pendulum-v1", _OFF_POLICY),
    "TQC": ("Pendulum-v1", _OFF_POLICY),
    "TD3": ("Pendulum-v1", _OFF_POLICY),
    "DDPG": ("Pendulum-v1", _OFF_POLICY),
    "DQN": ("CartPole-v1", _VALUE_BASED),
    "QRDQN": ("CartPole-v1", _VALUE_BASED),
    "PPO": ("Pendulum-v1", _ROLLOUT),
    "A2C": ("CartPole-v1", {}),
    "TRPO": ("CartPole-v1", {**_ROLLOUT, "n_critic_updates": 2}),
}
ALGORITHMS = list(CASES)


def algorithm(name: str) -> Callable[..., BaseAlgorithm]:
    """The class called ``name``; skips the test where it needs sb3-contrib and that is missing."""
    own = {"SAC": SAC, "TD3": TD3, "DDPG": DDPG, "DQN": DQN, "PPO": PPO, "A2C": A2C}
    if name in own:
        return own[name]
    found: Callable[..., BaseAlgorithm] = getattr(pytest.importorskip("sb3_contrib"), name)
    return found


def make_model(name: str, env: Any = None, policy: str = "MlpPolicy", **changes: Any) -> Any:
    """A small model of algorithm ``name``; ``changes`` override its keyword arguments."""
    default_env, arguments = CASES[name]
    policy_kwargs = {"net_arch": [16, 16], **changes.pop("policy_kwargs", {})}
    if name in {"QRDQN", "TQC"}:
        policy_kwargs.setdefault("n_quantiles", 5)
    arguments = {"seed": 0, "device": "cpu", **arguments, **changes}
    return algorithm(name)(policy, env or default_env, policy_kwargs=policy_kwargs, **arguments)
