"""Plays an artifact by the native engine and by the reference side by side, bit for bit.

    python -m tests.runtime.play ARTIFACT ENVIRONMENT [--episodes N] [--steps N] [--reuse]

The engine's actions drive the environment; the reference sees every observation as well. Ends with
what was compared, or with the first observation on which the two differ.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rlcompress.artifact import CompressedPolicy
from rlcompress.runtime import Reference
from rlcompress.runtime.engine import Engine


@dataclass(frozen=True)
class Played:
    """What was compared, and the returns of whole episodes."""

    steps: int
    returns: tuple[float, ...]


def play(
    policy: CompressedPolicy,
    env_id: str,
    *,
    episodes: int | None = None,
    steps: int | None = None,
    reuse: bool = False,
) -> Played:
    """Play until either limit; raises AssertionError where outputs or actions differ in a bit."""
    from rlcompress.sb3.environments import make_evaluation_env

    engine, reference = Engine(policy, reuse=reuse), Reference(policy)
    env = make_evaluation_env(env_id, seed=0)
    observation = env.reset()
    returns: list[float] = []
    total, taken = 0.0, 0
    while len(returns) != episodes and taken != steps:
        outputs, expected = engine.forward(observation), reference.forward(observation)
        assert outputs.tobytes() == expected.tobytes(), f"outputs differ at step {taken}"
        action, wanted = engine(observation), reference(observation)
        assert action.tobytes() == wanted.tobytes(), f"actions differ at step {taken}"
        observation, reward, done, _ = env.step(action)
        total, taken = total + float(reward[0]), taken + 1
        if done[0]:
            returns.append(total)
            total = 0.0
    env.close()
    return Played(taken, tuple(returns))


def main() -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("environment")
    parser.add_argument("--episodes", type=int)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--reuse", action="store_true")
    given = parser.parse_args()
    policy = CompressedPolicy.load(given.artifact)
    played = play(
        policy, given.environment, episodes=given.episodes, steps=given.steps, reuse=given.reuse
    )
    mean = float(np.mean(played.returns)) if played.returns else float("nan")
    print(
        f"{given.artifact}: {played.steps} steps, {len(played.returns)} whole episodes, "
        f"mean return {mean:.1f}; every output and action of the engine equals the reference's"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
