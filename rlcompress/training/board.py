"""What TensorBoard shows of a run beside Stable-Baselines3's own curves; measures nothing new."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import HParam, Image

from rlcompress.sb3.actors import actor_of

MILESTONES = 5
FILES_ONLY = ("stdout", "log", "json", "csv")
PICTURE_SIDE = 1024


class BoardCallback(BaseCallback):
    """Histograms of the live weights and pictures of the masks, ``MILESTONES`` times over a run."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self._length = length
        self._milestone = 0

    def _on_step(self) -> bool:
        if self.num_timesteps * MILESTONES >= self._milestone * self._length:
            self._milestone += 1
            self._show()
        return True

    def _on_training_end(self) -> None:
        self._show()

    def state_dict(self) -> dict[str, Any]:
        """How many times it was shown."""
        return {"milestone": self._milestone}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict()``."""
        self._milestone = state["milestone"]

    def _show(self) -> None:
        for name, layer in actor_of(self.model).layers.items():
            weight = layer.weight
            assert isinstance(weight, torch.Tensor)
            live = weight.detach().cpu()
            self.logger.record(f"weights/{name}", live[live != 0], exclude=FILES_ONLY)
            self.logger.record(
                f"masks/{name}", Image(_mask_picture(live), "HW"), exclude=FILES_ONLY
            )
        self.logger.dump(self.num_timesteps)


def _mask_picture(weight: torch.Tensor) -> torch.Tensor:
    """White where a weight is kept: one row per output, columns beyond the limit merged."""
    kept = (weight != 0).flatten(1).float()
    return torch.nn.functional.adaptive_max_pool2d(
        kept[None, None], tuple(min(side, PICTURE_SIDE) for side in kept.shape)
    )[0, 0]


def record_hparams(
    model: BaseAlgorithm, settings: Mapping[str, Any], metrics: Mapping[str, float]
) -> None:
    """Final metrics with what was asked for, so that the runs of a sweep can be sorted by them."""
    for name, value in metrics.items():
        model.logger.record(f"final/{name}", value)
    named = {f"final/{name}": value for name, value in metrics.items()}
    model.logger.record("hparams", HParam(dict(settings), named), exclude=FILES_ONLY)
    model.logger.dump(model.num_timesteps)
