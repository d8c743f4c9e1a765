"""Builds the environments and the SB3 model of a plan; trains nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import VecEnv

from rlcompress.training.plan import Plan
from rlcompress.training.settings import DqnRecipe, OffPolicyRecipe, Td3Recipe


def build_model(plan: Plan, env: VecEnv) -> BaseAlgorithm:
    """The SB3 model that the plan asks for, on ``env``."""
    settings, recipe = plan.settings, plan.recipe
    arguments: dict[str, Any] = recipe.model_arguments()
    if isinstance(recipe, DqnRecipe):
        # SB3's fraction is one of the whole run, ours one of T.
        arguments["exploration_fraction"] *= plan.total_timesteps / plan.timeline.length
    if isinstance(recipe, Td3Recipe):
        arguments["action_noise"] = _action_noise(env.action_space, arguments["action_noise"])
    if isinstance(recipe, OffPolicyRecipe):
        arguments |= _buffer(plan, env, arguments["buffer_size"])
    policy = "MlpPolicy" if plan.network == "mlp" else "CnnPolicy"
    return _algorithm(plan.algo)(
        policy,
        env,
        seed=settings.seed,
        device=settings.device,
        policy_kwargs=_policy_arguments(plan),
        **arguments,
    )


def _algorithm(name: str) -> type[BaseAlgorithm]:
    package: Any
    if name in ("tqc", "qrdqn"):
        try:
            import sb3_contrib as package
        except ImportError:
            raise ValueError(
                f"algo={name} needs sb3-contrib: pip install 'rlcompress[contrib]'"
            ) from None
    else:
        import stable_baselines3 as package
    found: type[BaseAlgorithm] = getattr(package, name.upper())
    return found


def _policy_arguments(plan: Plan) -> dict[str, Any]:
    recipe = plan.recipe
    arguments: dict[str, Any] = {
        "net_arch": list(recipe.net_arch),
        "optimizer_class": torch.optim.Adam,
        "optimizer_kwargs": {"eps": recipe.adam_eps, "weight_decay": recipe.weight_decay},
    }
    if plan.network == "impala_resnet":
        from rlcompress.sb3.networks import ImpalaResNet

        arguments["features_extractor_class"] = ImpalaResNet
    return arguments


def _action_noise(space: spaces.Space, sigma: float) -> NormalActionNoise | None:
    assert isinstance(space, spaces.Box)
    if sigma == 0:
        return None
    return NormalActionNoise(np.zeros(space.shape), np.full(space.shape, sigma))


def _buffer(plan: Plan, env: VecEnv, size: int) -> dict[str, Any]:
    """A replay buffer that is no larger than the run, and stores image frames once."""
    arguments: dict[str, Any] = {"buffer_size": min(size, plan.timeline.length + plan.settings.n_envs)}
    return arguments
