"""The trained policy as it is asked: outputs for batches, actions in environments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecNormalize

from rlcompress.compress.matching import Likeness, Matching
from rlcompress.sb3.actors import Actor, actor_of
from rlcompress.sb3.observations import as_prepared, as_seen

_BLOCK = 4096
_IMAGE_BLOCK = 64


@dataclass(frozen=True)
class Teacher:
    """A model with its actor, how it is matched, and the statistics it was trained with.

    ``path`` is the zip, from which students are read.
    """

    path: Path
    model: BaseAlgorithm
    actor: Actor
    matching: Matching
    statistics: VecNormalize | None = None

    @classmethod
    def of(cls, path: Path, model: BaseAlgorithm, statistics: VecNormalize | None) -> Teacher:
        """The teacher in ``model``, which was read from ``path``."""
        actor = actor_of(model)
        model.policy.set_training_mode(False)
        model.policy.requires_grad_(False)
        return cls(path, model, actor, Matching.of(actor, model.action_space), statistics)

    @property
    def image(self) -> bool:
        """Whether observations are images."""
        return len(self.shape) == 3 and self.model.observation_space.dtype == np.uint8

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an observation as the policy is given it."""
        shape = self.model.observation_space.shape
        assert shape is not None
        return shape

    def seen(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Observations as the policy is given them, from the environment's own."""
        return as_seen(self.model, raw, self.statistics)

    @torch.no_grad()
    def values(self, seen: NDArray[Any]) -> torch.Tensor:
        """The teacher's outputs for a batch, quantiles averaged."""
        block = _IMAGE_BLOCK if self.image else _BLOCK
        parts = [
            self.matching.values(
                self.actor.forward(as_prepared(self.model, seen[start : start + block]))
            ).cpu()
            for start in range(0, len(seen), block)
        ]
        return torch.cat(parts)

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = True,
    ) -> tuple[Any, Any]:
        """Stable-Baselines3's own deterministic action for a batch of raw observations."""
        actions, _ = self.model.policy.predict(self.seen(observation), deterministic=True)
        return actions, state

    def compare(self, model: BaseAlgorithm, raw: NDArray[Any]) -> Likeness:
        """How alike another model's actions are on raw observations."""
        other = replace(self, model=model, actor=actor_of(model))
        seen = self.seen(np.asarray(raw))
        found, wanted = other.values(seen), self.values(seen)
        return self.matching.likeness(found, wanted)
