"""The networks that are timed: SB3 models over bare spaces, pruned, quantised and frozen.

Weights are as SB3 initialises them unless a trained zip is given; masks are magnitude masks under
the asked allocation either way. No environment is run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlcompress.artifact import AnyArray, CompressedPolicy
from rlcompress.probe.subject import Subject, make_subject

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

CALIBRATION_VECTORS = 2000
CALIBRATION_IMAGES = 64

NETWORKS: dict[str, Callable[[int], BaseAlgorithm]] = {}
"""Untrained models by name, made from a seed."""


class Spaces(gymnasium.Env[AnyArray, Any]):
    """An environment that is nothing but its spaces."""

    def __init__(self, observations: spaces.Box, actions: spaces.Space[Any]) -> None:
        self.observation_space = observations
        self.action_space = actions

    def reset(self, **_: Any) -> tuple[AnyArray, dict[str, Any]]:
        """One observation, always the same."""
        space = self.observation_space
        assert isinstance(space, spaces.Box)
        return np.zeros(space.shape, space.dtype), {}

    def step(self, action: Any) -> tuple[AnyArray, float, bool, bool, dict[str, Any]]:
        """Nothing happens."""
        return self.reset()[0], 0.0, False, False, {}


@dataclass(frozen=True)
class Case:
    """One policy to time: a network at a sparsity, its weights pruned under an allocation.

    ``source`` is an SB3 zip to take the weights from (None: a built-in network by its name).
    """

    network: str
    sparsity: float
    allocation: str
    source: Path | None = None
    seed: int = 0

    @property
    def labels(self) -> dict[str, Any]:
        """What every row about this case says of it."""
        return {
            "network": self.network,
            "sparsity": self.sparsity,
            "allocation": self.allocation,
            "weights": "initial" if self.source is None else "trained",
        }


@dataclass(frozen=True)
class Made:
    """A case's artifact, the same with its dead units, and the pruned zip that both come from."""

    policy: CompressedPolicy
    whole: CompressedPolicy
    model: bytes


def make_case(
    case: Case, directory: Path, *, observations: AnyArray | None = None, compact: bool = False
) -> Subject:
    """Everything that backends need for a case; the pruned zip is kept in ``directory``.

    ``observations`` (consecutive ones of an environment) are calibrated and timed on; without them
    random ones serve. ``compact``: peers as well are given the artifact's network, without the
    units that pruning left dead.
    """
    made = make_policy(case, observations)
    model_path = directory / "model.zip"
    model_path.write_bytes(made.model)
    whole = None if compact else made.whole
    return make_subject(made.policy, whole=whole, model_path=model_path, stream=observations)


def make_policy(case: Case, observations: AnyArray | None = None) -> Made:
    """Build, prune, quantise after training and freeze."""
    from rlcompress.export.freeze import freeze
    from rlcompress.pruning import Pruner
    from rlcompress.sb3 import checkpoint
    from rlcompress.sb3.actors import actor_of
    from rlcompress.sb3.quantise import quantise_after_training_
    from rlcompress.spec import PruneSpec, QuantSpec

    model = checkpoint.load(case.source) if case.source else NETWORKS[case.network](case.seed)
    spec = PruneSpec(case.sparsity, allocation=case.allocation)
    pruner = Pruner(spec, actor_of(model).layers, seed=case.seed)
    pruner.update_(case.sparsity)
    pruned = checkpoint.save(model)
    seen = observations if observations is not None else _observations(model, case.seed)
    quantise_after_training_(model, QuantSpec(), seen)
    masks = pruner.masks.masks
    whole = freeze(model, seen, masks=masks, remove_dead=False)
    return Made(freeze(model, seen, masks=masks), whole, pruned)


def sparsity_of(policy: CompressedPolicy) -> float:
    """Fraction of zeros that a policy was pruned to, before dead units went.

    Where its metadata do not say, the fraction that it has now.
    """
    if "dense" in policy.meta:
        dense = policy.meta["dense"]
        return 1.0 - float(dense["kept"]) / float(dense["weights"])
    kept = sum(int(np.count_nonzero(op.weight)) for op in policy.linears)
    return 1.0 - kept / sum(op.weight.size for op in policy.linears)


def _observations(model: BaseAlgorithm, seed: int) -> AnyArray:
    """Observations in the environment's form: noise, of which only the range matters here."""
    rng = np.random.default_rng(seed)
    shape = model.observation_space.shape
    assert shape is not None
    if model.observation_space.dtype != np.uint8:
        return rng.normal(0, 1, (CALIBRATION_VECTORS, *shape)).astype(np.float32)
    last = (*shape[1:], shape[0]) if shape[0] < shape[-1] else shape
    return rng.integers(0, 256, (CALIBRATION_IMAGES, *last)).astype(np.uint8)


def _control(name: str, observations: int, actions: int) -> None:
    def build(seed: int) -> BaseAlgorithm:
        from stable_baselines3 import SAC

        env = Spaces(
            spaces.Box(-np.inf, np.inf, (observations,), np.float32),
            spaces.Box(-1.0, 1.0, (actions,), np.float32),
        )
        return SAC("MlpPolicy", env, buffer_size=1, seed=seed, device="cpu")

    NETWORKS[name] = build


def _images(name: str, network: str) -> None:
    def build(seed: int) -> BaseAlgorithm:
        from stable_baselines3 import DQN

        from rlcompress.sb3.networks import policy_for

        env = Spaces(spaces.Box(0, 255, (84, 84, 4), np.uint8), spaces.Discrete(6))
        policy, arguments = policy_for(network, env.observation_space)
        return DQN(policy, env, buffer_size=1, seed=seed, device="cpu", policy_kwargs=arguments)

    NETWORKS[name] = build


_control("hopper", 11, 3)
_control("swimmer", 8, 2)
_control("halfcheetah", 17, 6)
_control("walker2d", 17, 6)
_control("ant", 27, 8)
_control("humanoid", 376, 17)
_images("nature_cnn", "nature_cnn")
_images("impala_resnet", "impala_resnet")
