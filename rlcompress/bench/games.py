"""Recorded play for the rows on frame-to-frame reuse; measures nothing."""

from __future__ import annotations

import numpy as np

from rlcompress.artifact import AnyArray

FRAMES = 256


def game_id(game: str) -> str:
    """The environment that stands for a game's name (``Pong``), or for an id."""
    return game if "-" in game else f"{game}NoFrameskip-v4"


def record(game: str, seed: int, frames: int = FRAMES) -> AnyArray:
    """Consecutive observations of seeded random play with the usual Atari preprocessing."""
    from rlcompress.sb3.environments import make_evaluation_env

    env = make_evaluation_env(game_id(game), seed=seed)
    try:
        env.action_space.seed(seed)
        found = [env.reset()]
        while len(found) < frames:
            observations, *_ = env.step(np.array([env.action_space.sample()]))
            found.append(observations)
    finally:
        env.close()
    return np.concatenate([np.asarray(one) for one in found])
