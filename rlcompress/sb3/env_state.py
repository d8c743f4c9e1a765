"""Reads and restores the state of vectorised environments in the middle of their episodes.

Only for environments whose whole state is known: MuJoCo, Atari and classic control of Gymnasium, in
wrappers of Gymnasium, Stable-Baselines3 and ours, and those that have ``state_dict`` and
``load_state_dict`` themselves. Any other is described as such, and its episodes restart.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import wrappers
from stable_baselines3.common import atari_wrappers
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecEnv,
    VecEnvWrapper,
    VecFrameStack,
    VecTransposeImage,
)

from rlcompress.sb3 import env_wrappers
from rlcompress.sb3.env_core_state import Unsaveable, core_state, restore_core_

Env = gymnasium.Env[Any, Any]
State = dict[str, Any]

_MONITOR = ("rewards", "needs_reset", "episode_returns", "episode_lengths", "episode_times")

WRAPPERS: Mapping[type, tuple[str, ...]] = {
    wrappers.TimeLimit: ("_elapsed_steps",),
    wrappers.OrderEnforcing: ("_has_reset",),
    Monitor: (*_MONITOR, "total_steps", "current_reset_info"),
    atari_wrappers.AtariWrapper: (),
    atari_wrappers.ClipRewardEnv: (),
    atari_wrappers.WarpFrame: (),
    atari_wrappers.FireResetEnv: (),
    atari_wrappers.NoopResetEnv: (),
    atari_wrappers.EpisodicLifeEnv: ("lives", "was_real_done"),
    atari_wrappers.MaxAndSkipEnv: ("_obs_buffer",),
    env_wrappers.CheckedEnv: ("steps",),
    env_wrappers.EpisodeSeeds: ("next_seed",),
    env_wrappers.FlatObservation: (),
}
"""Wrappers whose state is known, with the attributes that are it."""


def capture(vec_env: VecEnv) -> State:
    """The state of all environments; ``{"unsaved": why}`` where it cannot be had."""
    try:
        vector = [
            copy.deepcopy(layer.stacked_obs.stacked_obs)
            for layer in _vector_layers(vec_env)
            if isinstance(layer, VecFrameStack)
        ]
        return {"vector": vector, "envs": _env_states(vec_env)}
    except Unsaveable as error:
        return {"unsaved": str(error)}


def restore_(vec_env: VecEnv, state: State) -> None:
    """Bring freshly made environments to a state from ``capture`` that is not ``unsaved``."""
    stacks = [layer for layer in _vector_layers(vec_env) if isinstance(layer, VecFrameStack)]
    for stack, stacked in zip(stacks, state["vector"], strict=True):
        stack.stacked_obs.stacked_obs = stacked
    base = vec_env.unwrapped
    if isinstance(base, SubprocVecEnv):
        for number, saved in enumerate(state["envs"]):
            base.env_method("restore_state", saved, indices=[number])
    else:
        assert isinstance(base, DummyVecEnv)
        for env, saved in zip(base.envs, state["envs"], strict=True):
            restore_env_(env, saved)
    # Seeds given to the environments for their first reset, which is long past.
    vec_env._reset_seeds()


def generators(vec_env: VecEnv) -> list[gymnasium.Space[Any]]:
    """Every space of the environments once, in a fixed order: each holds a random generator."""
    layers: list[Any] = list(_vector_layers(vec_env))
    for env in getattr(vec_env.unwrapped, "envs", ()):
        layers += [*_layers(env), env.unwrapped]
    return _spaces(layers)


def spaces_of(env: Env) -> list[gymnasium.Space[Any]]:
    """Every space of one environment once, in a fixed order."""
    return _spaces([*_layers(env), env.unwrapped])


def _spaces(layers: list[Any]) -> list[gymnasium.Space[Any]]:
    found: dict[int, gymnasium.Space[Any]] = {}
    for layer in layers:
        for space in (layer.action_space, layer.observation_space):
            found.setdefault(id(space), space)
    return list(found.values())


def capture_env(env: Env) -> State:
    """The state of one environment with its wrappers.

    Raises:
        Unsaveable: where it is not known what that is.
    """
    layers = []
    for layer in _layers(env):
        if type(layer) not in WRAPPERS:
            raise Unsaveable(f"the state of the wrapper {type(layer).__name__} is not known")
        attributes = {name: getattr(layer, name) for name in WRAPPERS[type(layer)]}
        layers.append(copy.deepcopy(attributes))
    return {"layers": layers, "core": core_state(env.unwrapped)}


def restore_env_(env: Env, state: State) -> None:
    """Bring one freshly made environment to a state from ``capture_env``."""
    for layer, attributes in zip(_layers(env), state["layers"], strict=True):
        vars(layer).update(attributes)
    restore_core_(env.unwrapped, state["core"])


def _layers(env: Env) -> Iterator[gymnasium.Wrapper[Any, Any, Any, Any]]:
    while isinstance(env, gymnasium.Wrapper):
        yield env
        env = env.env


def _vector_layers(vec_env: VecEnv) -> Iterator[VecEnv]:
    layer = vec_env
    while isinstance(layer, VecEnvWrapper):
        yield layer
        layer = layer.venv
    yield layer


def _env_states(vec_env: VecEnv) -> list[State]:
    *above, base = _vector_layers(vec_env)
    for layer in above:
        if not isinstance(layer, (VecFrameStack, VecTransposeImage)):
            raise Unsaveable(f"{type(layer).__name__} cannot save its state")
    if isinstance(base, DummyVecEnv):
        return [capture_env(env) for env in base.envs]
    if not (isinstance(base, SubprocVecEnv) and base.has_attr("capture_state")):
        raise Unsaveable(f"{type(base).__name__} cannot save its state")
    found = base.env_method("capture_state")
    for state in found:
        if "unsaved" in state:
            raise Unsaveable(state["unsaved"])
    return found


def with_strides(array: np.ndarray[Any, Any]) -> State:
    """An array that keeps its memory layout when it is stored.

    Networks may sum in another order where channels lie elsewhere.
    """
    order = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    return {"array": np.ascontiguousarray(array.transpose(order)), "order": order}


def from_strides(state: State) -> np.ndarray[Any, Any]:
    """The array of ``with_strides``."""
    array: np.ndarray[Any, Any] = state["array"].transpose(np.argsort(state["order"]))
    return array
