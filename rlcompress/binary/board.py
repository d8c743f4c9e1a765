"""What TensorBoard shows of a search: returns, the distribution, pictures of the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rlcompress.binary.evolution import Evolution, Generation
from rlcompress.binary.network import shapes_of


class Board:
    """Curves every generation; histograms and pictures every ``every`` generations.

    The axis is the generation. Where a run goes on, what lies beyond ``generation`` is cut off.
    """

    def __init__(self, directory: Path, *, every: int, generation: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter

        purge = generation + 1 if generation else None
        self._writer: Any = SummaryWriter(str(directory), purge_step=purge)
        self._every = every

    def show(self, generation: Generation, evolution: Evolution) -> None:
        """Write one generation."""
        number, write = generation.number, self._writer
        write.add_scalar("return/mean", generation.mean_return, number)
        write.add_scalar("return/map", generation.map_return, number)
        write.add_scalar("return/best", generation.best_return, number)
        write.add_scalar("steps", generation.steps, number)
        if self._every and (number % self._every == 0 or generation.stop is not None):
            write.add_histogram("return/individuals", generation.returns, number)
            self._distribution(number, evolution)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()

    def _distribution(self, number: int, evolution: Evolution) -> None:
        logits = evolution.search.logits
        probabilities = evolution.search.probabilities
        start = 0
        for place, shape in enumerate(shapes_of(evolution.widths)):
            part = slice(start, start + shape[0] * shape[1])
            start = part.stop
            p = probabilities[part]
            self._writer.add_histogram(f"logits/{place}", logits[part], number)
            self._writer.add_histogram(f"probabilities/{place}", p, number)
            self._writer.add_histogram(f"variances/{place}", p * (1 - p), number)
            picture = np.asarray(p.reshape(shape), np.float32)
            self._writer.add_image(f"network/{place}", picture, number, dataformats="HW")
