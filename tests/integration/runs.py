"""Small real runs through the command line's own path, in this process."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from rlcompress import train

SMALL = (
    "env=Pendulum-v1",
    "budget=smoke",
    "total_timesteps=300",
    "pruning.updates=20",
    "sac.net_arch=[24,24]",
    "sac.learning_starts=40",
    "sac.batch_size=16",
    "eval_freq=100",
    "eval_episodes=2",
)


def train_main(directory: Path, *overrides: str) -> int:
    """Run ``python -m rlcompress.train`` with its files under ``directory``."""
    places = [f"hydra.run.dir={directory}", f"hydra.sweep.dir={directory}"]
    before, sys.argv = sys.argv, ["train", *overrides, *places]
    try:
        return train.main()
    finally:
        sys.argv = before
        # Hydra's log handlers keep the output that pytest captured for this test.
        logging.getLogger().handlers.clear()
