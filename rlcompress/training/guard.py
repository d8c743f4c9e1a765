"""Stops a run whose losses or weights are no longer finite; repairs nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback

from rlcompress.training.errors import TrainingStopped


class FiniteGuard(BaseCallback):
    """Looks at the logged losses before each rollout, and at every tensor each ``freq`` steps.

    Belongs before evaluation, so that a broken model is never kept as a good one.
    """

    def __init__(self, freq: int, kept: str) -> None:
        super().__init__()
        self._freq = freq
        self._next = freq
        self._kept = kept

    def _on_rollout_start(self) -> None:
        for name, value in self.logger.name_to_value.items():
            if (
                name.startswith("train/")
                and isinstance(value, (float, np.floating))
                and not math.isfinite(value)
            ):
                self._stop(f"{name.removeprefix('train/')} is {value}")

    def _on_step(self) -> bool:
        if self.num_timesteps >= self._next:
            self._next = self.num_timesteps + self._freq
            self.check()
        return True

    def state_dict(self) -> dict[str, Any]:
        """When tensors are looked at next."""
        return {"next": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict()``."""
        self._next = state["next"]

    def _on_training_end(self) -> None:
        self._on_rollout_start()
        self.check()

    def check(self) -> None:
        """Look at every tensor now.

        Raises:
            TrainingStopped: one holds a value that is not finite; the message names it.
        """
        for name, tensor in self.model.policy.state_dict().items():
            if not bool(torch.isfinite(tensor).all()):
                self._stop(f"{name} holds a value that is not finite")

    def _stop(self, what: str) -> None:
        raise TrainingStopped(
            f"{what} after {self.num_timesteps} steps; the last good models are in "
            f"{self._kept} (a smaller learning rate may help)"
        )
