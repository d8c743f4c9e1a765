"""What TensorBoard shows of a run beside Stable-Baselines3's own curves; measures nothing new.

With the look of the report where TensorBoard lets one choose: pictures and figures in its colours,
and a page of custom scalars in its order. The colours of scalars are TensorBoard's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from matplotlib.colors import to_rgb
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Figure, HParam, Image, TensorBoardOutputFormat

from rlcompress.evaluation.curves import curve_of_episodes
from rlcompress.evaluation.plots_training import Lines, learning_curves, step_ticks
from rlcompress.evaluation.style import colour, drawing, new_figure
from rlcompress.sb3.actors import actor_of

MILESTONES = 5
FILES_ONLY = ("stdout", "log", "json", "csv")
PICTURE_SIDE = 1024
PAGE = {
    "rlcompress": {
        "return": ["Multiline", ["eval/return$"]],
        "sparsity": ["Multiline", ["pruning/sparsity", "pruning/scheduled_sparsity"]],
        "sparsity per layer": ["Multiline", ["pruning_layers/.*"]],
        "quantisation error": ["Multiline", ["quantization_error/.*"]],
    }
}
"""TensorBoard's page of custom scalars: category, chart, tags."""


class BoardCallback(BaseCallback):
    """Histograms of the live weights and pictures of the masks, ``MILESTONES`` times over a run."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self._length = length
        self._milestone = 0

    def _on_training_start(self) -> None:
        for output in self.logger.output_formats:
            if isinstance(output, TensorBoardOutputFormat) and output.writer is not None:
                output.writer.add_custom_scalars(PAGE)

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
            kept = live[live != 0]
            if kept.numel():  # A layer that pruning emptied has no histogram.
                self.logger.record(f"weights/{name}", kept, exclude=FILES_ONLY)
            self.logger.record(
                f"masks/{name}", Image(_mask_picture(live), "CHW"), exclude=FILES_ONLY
            )
        self.logger.dump(self.num_timesteps)


def _mask_picture(weight: torch.Tensor) -> torch.Tensor:
    """Blue where a weight is kept: one row per output, columns beyond the limit merged."""
    kept = (weight != 0).flatten(1).float()
    picture = torch.nn.functional.adaptive_max_pool2d(
        kept[None, None], tuple(min(side, PICTURE_SIDE) for side in kept.shape)
    )[0]
    on, off = (torch.tensor(to_rgb(colour(name)))[:, None, None] for name in ("pruned", "band"))
    return picture * on + (1 - picture) * off


def record_hparams(
    model: BaseAlgorithm, settings: Mapping[str, Any], metrics: Mapping[str, float]
) -> None:
    """Final metrics with what was asked for, so that the runs of a sweep can be sorted by them.

    And the learning curve as the report draws it, from the evaluations beside the event file.
    """
    _record_curve(model, float(settings["sparsity"]), str(settings["env"]))
    for name, value in metrics.items():
        model.logger.record(f"final/{name}", value)
    named = {f"final/{name}": value for name, value in metrics.items()}
    model.logger.record("hparams", HParam(dict(settings), named), exclude=FILES_ONLY)
    model.logger.dump(model.num_timesteps)


def _record_curve(model: BaseAlgorithm, sparsity: float, title: str) -> None:
    path = Path(str(model.logger.get_dir())) / "eval.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    curve = curve_of_episodes(json.loads(line) for line in lines)
    if curve is None:
        return
    with drawing():
        figure = new_figure(560, 360)
        axes = figure.subplots()
        learning_curves(axes, [Lines(f"{sparsity:g}", sparsity, (curve,))])
        axes.set(title=title, xlabel="environment steps")
        step_ticks(axes)
        model.logger.record("report/learning_curve", Figure(figure, close=True), FILES_ONLY)
        model.logger.dump(model.num_timesteps)
