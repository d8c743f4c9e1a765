"""Stops a run whose losses or weights are no longer finite; repairs nothing."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
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
                self._stop(f"{name.removeprefix('train/')} is {value}{self._where()}")

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

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Name the tensor where a distribution refuses an actor before any loss shows it."""
        try:
            yield
        except ValueError:
            self.check()
            raise

    def check(self) -> None:
        """Look at every tensor now.

        Raises:
            TrainingStopped: one holds a value that is not finite; the message names it.
        """
        for name, tensor in self.model.policy.state_dict().items():
            if not _finite(tensor):
                self._stop(f"{name} holds a value that is not finite")

    def _where(self) -> str:
        """What else is not finite: weights, or gradients where all weights still are."""
        policy = self.model.policy
        weights = [name for name, tensor in policy.state_dict().items() if not _finite(tensor)]
        if weights:
            return f"; not finite as well: {_listed(weights)}"
        gradients = [
            name
            for name, parameter in policy.named_parameters()
            if parameter.grad is not None and not _finite(parameter.grad)
        ]
        if gradients:
            return f"; all weights are finite, but not the gradient of {_listed(gradients)}"
        return "; all weights are finite"

    def _stop(self, what: str) -> None:
        raise TrainingStopped(
            f"{what} after {self.num_timesteps} steps; the last good models are in "
            f"{self._kept} (a smaller learning rate may help)"
        )


def _finite(tensor: torch.Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


def _listed(names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
