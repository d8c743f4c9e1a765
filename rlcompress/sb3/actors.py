"""Where each algorithm keeps its actor, target twin and optimizer; changes none of them.

One row of ``_TABLE`` per algorithm is all that a new algorithm needs. Rows hold names and paths
only, so that sb3-contrib need not be installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

Head = Literal["squash", "clip", "argmax"]

PRUNABLE = (nn.Linear, nn.Conv2d)
"""The kinds of layers that carry the weights of an actor."""

_SUPPORTED = "SAC, TD3, DDPG, DQN, PPO, A2C and sb3-contrib's TQC, QRDQN, TRPO"
_HOSTS = ("stable_baselines3.", "sb3_contrib.")


@dataclass(frozen=True)
class Actor:
    """The part of a model that deterministic inference runs, and what trains it.

    ``root`` holds the actor's modules (and, for on-policy algorithms, the critic's too); ``twin``
    is the target network of the same layout. ``layers`` are the ``nn.Linear`` and ``nn.Conv2d`` of
    ``stages`` in the order in which they are registered, named as in ``root.named_modules()``.
    ``unused`` are layers that are trained but never read by deterministic inference (``log_std``).
    ``head`` turns the raw output into an action: ``squash`` is tanh and unscale, ``clip`` clips to
    the action space, ``argmax`` picks an action after averaging over ``quantiles``.
    ``functional`` says that training takes the actor's gradients by ``torch.autograd.grad``.
    """

    algorithm: str
    root: nn.Module
    twin: nn.Module | None
    optimizer: torch.optim.Optimizer
    layers: dict[str, nn.Module]
    unused: dict[str, nn.Module]
    head: Head
    quantiles: int
    stages: tuple[str, ...]
    functional: bool = False

    def forward(self, prepared: torch.Tensor) -> torch.Tensor:
        """Raw output, before the head, for what SB3 hands to the features extractor."""
        return _run(self.root, self.stages, prepared)

    def twin_forward(self, prepared: torch.Tensor) -> torch.Tensor:
        """Like ``forward``, with the weights of the target network."""
        if self.twin is None:
            raise ValueError(f"{self.algorithm} has no target network of its actor")
        return _run(self.twin, self.stages, prepared)


@dataclass(frozen=True)
class _Row:
    """Where one algorithm keeps its actor; paths start at ``model.policy``, stages at the root."""

    root: str
    optimizer: str
    stages: tuple[str, ...]
    twin: str | None = None
    unused: tuple[str, ...] = ()
    ends_in_tanh: bool = False
    functional: bool = False


_GAUSSIAN = _Row(
    root="actor",
    optimizer="actor.optimizer",
    stages=("features_extractor", "latent_pi", "mu"),
    unused=("log_std",),
)
_DETERMINISTIC = _Row(
    root="actor",
    twin="actor_target",
    optimizer="actor.optimizer",
    stages=("features_extractor", "mu"),
    ends_in_tanh=True,
)
_ON_POLICY = _Row(
    root="",
    optimizer="optimizer",
    stages=("pi_features_extractor", "mlp_extractor.policy_net", "action_net"),
)
_TABLE = {
    "SAC": _GAUSSIAN,
    "TQC": _GAUSSIAN,
    "TD3": _DETERMINISTIC,
    "DDPG": _DETERMINISTIC,
    "DQN": _Row("q_net", "optimizer", ("features_extractor", "q_net"), twin="q_net_target"),
    "QRDQN": _Row(
        "quantile_net",
        "optimizer",
        ("features_extractor", "quantile_net"),
        twin="quantile_net_target",
    ),
    "PPO": _ON_POLICY,
    "A2C": _ON_POLICY,
    "TRPO": replace(_ON_POLICY, functional=True),
}

_INFERENCE = ("forward", "_predict", "get_action_dist_params", "get_distribution", "forward_actor")
"""Methods that a policy must have inherited for ``stages`` to say all that inference does."""


def actor_of(model: BaseAlgorithm) -> Actor:
    """Find the actor of ``model``; call again after modules were swapped.

    Raises:
        ValueError: where the algorithm, the policy or a space is not supported.
    """
    name, row = _row_of(model)
    _check_spaces(model)
    policy = getattr(model, "policy", None)
    if policy is None:
        raise ValueError(f"{name} has no policy yet; call model._setup_model() first")
    root = _resolve(policy, row.root, name)
    _check_policy(name, policy, root)
    stages = _expand(root, row, name)
    return Actor(
        algorithm=name,
        root=root,
        twin=None if row.twin is None else _resolve(policy, row.twin, name),
        optimizer=_attribute(policy, row.optimizer),
        layers=_layers(root, stages),
        unused=_layers(root, [part for part in row.unused if _is_module(root, part)]),
        head=_head(model),
        quantiles=int(getattr(root, "n_quantiles", 1)),
        stages=stages,
        functional=row.functional,
    )


def _row_of(model: BaseAlgorithm) -> tuple[str, _Row]:
    # Looked up by name along the bases: a user's subclass counts as its algorithm, and sb3-contrib
    # need not be imported to know its classes.
    for base in type(model).__mro__:
        if base.__name__ in _TABLE and base.__module__.startswith(_HOSTS):
            return base.__name__, _TABLE[base.__name__]
    name = type(model).__name__
    hint = ""
    if "Recurrent" in name:
        hint = (
            " (recurrent policies such as LSTM carry a state between steps, which is unsupported)"
        )
    elif "Maskable" in name:
        hint = " (invalid-action masks are unsupported; train with PPO)"
    raise ValueError(f"unsupported algorithm {name}{hint}; these work: {_SUPPORTED}")


def _check_spaces(model: BaseAlgorithm) -> None:
    observation, action = model.observation_space, model.action_space
    if not isinstance(observation, spaces.Box):
        hint = ", as HER needs," if isinstance(observation, spaces.Dict) else ""
        raise ValueError(
            f"unsupported observation space {type(observation).__name__}{hint}: only Box works "
            "(flatten it with gymnasium.wrappers.FlattenObservation)"
        )
    if not isinstance(action, (spaces.Box, spaces.Discrete)):
        raise ValueError(
            f"unsupported action space {type(action).__name__}: only Box and Discrete work"
        )


def _check_policy(name: str, policy: nn.Module, root: nn.Module) -> None:
    extractor = getattr(root, "mlp_extractor", None)
    for owner in (policy, root, extractor):
        for method in _INFERENCE:
            function = getattr(type(owner), method, None)
            module = getattr(function, "__module__", _HOSTS[0])
            if not module.startswith((*_HOSTS, "torch.")):
                raise ValueError(
                    f"unsupported {name} policy: {type(owner).__name__} overrides {method}(); "
                    "MlpPolicy and CnnPolicy work, with any features_extractor_class and net_arch"
                )


def _expand(root: nn.Module, row: _Row, name: str) -> tuple[str, ...]:
    """The row's stages under the names ``named_modules`` gives them, without the head's tanh."""
    known = {id(module): path for path, module in root.named_modules()}
    stages = [known[id(_resolve(root, stage, name))] for stage in row.stages]
    if row.ends_in_tanh:
        last = stages.pop()
        children = list(_resolve(root, last, name).named_children())
        if not children or not isinstance(children[-1][1], nn.Tanh):
            raise ValueError(f"unsupported {name} policy: {last} must end in nn.Tanh")
        stages += [f"{last}.{child}" for child, _ in children[:-1]]
    return tuple(stages)


def _layers(root: nn.Module, stages: Sequence[str]) -> dict[str, nn.Module]:
    return {
        path: module
        for stage in stages
        for path, module in root.get_submodule(stage).named_modules(prefix=stage)
        if isinstance(module, PRUNABLE)
    }


def _head(model: BaseAlgorithm) -> Head:
    if isinstance(model.action_space, spaces.Discrete):
        return "argmax"
    return "squash" if model.policy.squash_output else "clip"


def _run(root: nn.Module, stages: Sequence[str], value: torch.Tensor) -> torch.Tensor:
    for stage in stages:
        value = root.get_submodule(stage)(value)
    return value


def _resolve(root: nn.Module, path: str, name: str) -> nn.Module:
    if not _is_module(root, path):
        raise ValueError(
            f"unsupported {name} policy {type(root).__name__}: it has no module {path!r}; "
            "MlpPolicy and CnnPolicy work"
        )
    return root.get_submodule(path)


def _is_module(root: nn.Module, path: str) -> bool:
    try:
        return isinstance(_attribute(root, path), nn.Module)
    except AttributeError:
        return False


def _attribute(root: object, path: str) -> Any:
    value = root
    for part in filter(None, path.split(".")):
        value = getattr(value, part)
    return value
