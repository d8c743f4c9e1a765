"""What a checkpoint holds of a run between two rollouts, and how a fresh run gets it back.

There, after the gradient steps and before the next action, no rollout is half done: the whole state
is in the model, its buffers, its environments, the callbacks and the random generators.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger

from rlcompress.sb3 import env_state
from rlcompress.sb3.actors import actor_of
from rlcompress.sb3.pruning_callback import PruningCallback
from rlcompress.sb3.qat_callback import QATCallback

State = dict[str, Any]

ATTRIBUTES = (
    "num_timesteps",
    "_episode_num",
    "_n_updates",
    "_n_calls",
    "_current_progress_remaining",
    "_last_episode_starts",
    "exploration_rate",
    "ep_info_buffer",
    "ep_success_buffer",
    "action_noise",
)
"""Attributes in which SB3's algorithms keep their progress, beside parameters and buffers."""


class Stateful(Protocol):
    """What a callback needs to be saved with its run."""

    def state_dict(self) -> State:
        """Everything that resuming needs."""

    def load_state_dict(self, state: State) -> None:
        """Go on from ``state_dict()``."""


@dataclass
class Parts:
    """What has state while a run is under way; ``callbacks`` are further ones, by name."""

    model: BaseAlgorithm
    pruning: PruningCallback | None
    qat: QATCallback | None
    callbacks: dict[str, Stateful]

    def compression(self) -> dict[str, PruningCallback | QATCallback]:
        """The callbacks that change the model, in the order in which they are restored."""
        found = {"pruning": self.pruning, "qat": self.qat}
        return {name: callback for name, callback in found.items() if callback is not None}


def take(parts: Parts) -> State:
    """The state between two rollouts; tensors are the live ones, to be written at once."""
    model = parts.model
    env = model.get_env()
    assert env is not None and isinstance(model._last_obs, np.ndarray)
    return take_trained(parts) | {
        "last_obs": env_state.with_strides(model._last_obs),
        "environment": env_state.capture(env),
        "spaces": [_space_state(space) for space in _spaces(model)],
        "random": _generators(parts.model.device),
        "logger": _logger_state(model.logger),
    }


def take_trained(parts: Parts) -> State:
    """The state after training: what evaluating and exporting the policy needs."""
    model = parts.model
    found = {name: getattr(model, name) for name in ATTRIBUTES if hasattr(model, name)}
    return {
        "parameters": model.get_parameters(),
        "variables": {name: getattr(model, name) for name in _variables(model)},
        "gradients": {name: weight.grad for name, weight in _weights(model).items()},
        "attributes": found,
        "compression": {name: c.state_dict() for name, c in parts.compression().items()},
        "callbacks": {name: c.state_dict() for name, c in parts.callbacks.items()},
    }


def restore_trained_(parts: Parts, state: State) -> None:
    """Bring a fresh run to what ``take_trained`` saw."""
    model = parts.model
    for name, callback in parts.compression().items():
        saved = state["compression"].get(name)
        if saved is not None and _has_begun(saved):
            callback.load_state_dict(saved)
    if parts.qat is not None:
        parts.qat.reattach(model)
    # Masks first: applying them may turn a -0.0 in parameters that are already there into a 0.0.
    model.set_parameters(state["parameters"], exact_match=True, device=model.device)
    with torch.no_grad():
        for name, value in state["variables"].items():
            getattr(model, name).copy_(value)
    # Criteria may read the gradients of the last step.
    for name, weight in _weights(model).items():
        gradient = state["gradients"][name]
        weight.grad = None if gradient is None else gradient.to(weight.device)
    for name, value in state["attributes"].items():
        setattr(model, name, value)
    for name, other in parts.callbacks.items():
        other.load_state_dict(state["callbacks"][name])


def _has_begun(saved: State) -> bool:
    """Whether a callback's state holds more than a fresh one does.

    Runs pruned in different ways, or quantised or not, share a checkpoint from before that.
    """
    return bool(saved.get("updates") or saved.get("quantizers"))


def restore_(parts: Parts, state: State) -> str | None:
    """Bring a fresh run to what ``take`` saw, except for random generators and logger.

    Returns why the environments could not be restored, where they restart their episodes.
    """
    model = parts.model
    restore_trained_(parts, state)
    env = model.get_env()
    assert env is not None
    saved = state["environment"]
    if "unsaved" in saved:
        # Seeded by the step: it must neither repeat the first episodes nor differ each time.
        assert model.seed is not None
        drawn = np.random.SeedSequence([model.seed, model.num_timesteps]).generate_state(1)[0]
        env.seed(int(drawn) // 2)
        model._last_obs = env.reset()  # type: ignore[assignment]
        model._last_episode_starts = np.ones(env.num_envs, bool)
        return str(saved["unsaved"])
    env_state.restore_(env, saved)
    model._last_obs = env_state.from_strides(state["last_obs"])
    return None


def restore_moment_(parts: Parts, state: State) -> None:
    """Restore what merely starting to train changes: random generators and logger.

    Belongs where ``take`` was called, after every other callback.
    """
    logger = parts.model.logger
    for name, values in state["logger"].items():
        getattr(logger, name).update(values)
    for space, saved in zip(_spaces(parts.model), state["spaces"], strict=True):
        if saved is not None:
            space.np_random.bit_generator.state = saved
    found = state["random"]
    random.setstate(found["python"])
    np.random.set_state(found["numpy"])
    torch.set_rng_state(found["torch"])
    device = parts.model.device
    if found["cuda"] and device.type == "cuda":
        torch.cuda.set_rng_state(found["cuda"][0], device)


def _generators(device: torch.device) -> State:
    """Of the model's GPU alone: the next machine may have fewer."""
    cuda = device.type == "cuda"
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state(device)] if cuda else [],
    }


def _logger_state(logger: Logger) -> State:
    names = ("name_to_value", "name_to_count", "name_to_excluded")
    return {name: dict(getattr(logger, name)) for name in names}


def _spaces(model: BaseAlgorithm) -> list[Any]:
    env = model.get_env()
    assert env is not None
    spaces = [model.action_space, model.observation_space, *env_state.generators(env)]
    return list({id(space): space for space in spaces}.values())


def _space_state(space: Any) -> Any:
    generator = space._np_random
    return None if generator is None else generator.bit_generator.state


def _variables(model: BaseAlgorithm) -> list[str]:
    """Names of tensors that SB3 trains outside modules, such as the entropy coefficient."""
    names = model._get_torch_save_params()[1]
    return [name for name in names if isinstance(getattr(model, name, None), torch.Tensor)]


def _weights(model: BaseAlgorithm) -> dict[str, torch.nn.Parameter]:
    actor = actor_of(model)
    layers = {**actor.layers, **actor.unused}
    found: dict[str, torch.nn.Parameter] = {}
    for name, layer in layers.items():
        weight = layer.weight
        assert isinstance(weight, torch.nn.Parameter)
        found[name] = weight
    return found
