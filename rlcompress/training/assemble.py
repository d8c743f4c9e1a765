"""Builds the environments and the SB3 model of a plan; trains nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import VecEnv

from rlcompress.sb3.networks import policy_for
from rlcompress.sb3.replay import ReplayPlan, plan_replay
from rlcompress.training.plan import Plan
from rlcompress.training.settings import DqnRecipe, OffPolicyRecipe, Recipe, Td3Recipe


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
        arguments |= replay_plan(plan).model_arguments()
        if recipe.gradient_steps > 0:
            # SB3 counts steps of all environments together: as many updates per transition as one.
            arguments["gradient_steps"] = recipe.gradient_steps * settings.n_envs
    policy, policy_arguments = policy_for(
        plan.network, plan.env.observation_space, net_arch=list(recipe.net_arch)
    )
    return _algorithm(plan.algo)(
        policy,
        env,
        seed=settings.seed,
        device=settings.device,
        policy_kwargs=policy_arguments | _optimizer(recipe),
        **arguments,
    )


def replay_plan(plan: Plan) -> ReplayPlan:
    """The replay buffer of an off-policy run."""
    assert isinstance(plan.recipe, OffPolicyRecipe)
    return plan_replay(
        plan.env.observation_space,
        plan.env.action_space,
        buffer_size=plan.recipe.buffer_size,
        total_timesteps=plan.timeline.length,
        n_envs=plan.settings.n_envs,
        frame_stack=plan.env.frame_stack,
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


def _optimizer(recipe: Recipe) -> dict[str, Any]:
    return {
        "optimizer_class": torch.optim.Adam,
        "optimizer_kwargs": {"eps": recipe.adam_eps, "weight_decay": recipe.weight_decay},
    }


def _action_noise(space: spaces.Space[Any], sigma: float) -> NormalActionNoise | None:
    assert isinstance(space, spaces.Box)
    if sigma == 0:
        return None
    return NormalActionNoise(np.zeros(space.shape), np.full(space.shape, sigma))
