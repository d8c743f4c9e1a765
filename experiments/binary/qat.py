"""The other road: a DQN of the same shape, float at first, then trained on with signs.

    python experiments/binary/qat.py CartPole-v1 40000 40000 0 1 2

Environment, steps in floats, steps in signs, seeds; a line of ``results/qat.jsonl`` for each.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from run import settings
from stable_baselines3.common.callbacks import BaseCallback

from rlcompress.binary.assemble import assemble
from rlcompress.binary.evaluator import Population
from rlcompress.binary.qat import binarise_, freeze_dqn, make_dqn
from rlcompress.binary.rollouts import make_episodes

HERE = Path(__file__).parent
DQN = {
    "learning_rate": 1e-3,
    "buffer_size": 50_000,
    "learning_starts": 1000,
    "batch_size": 64,
    "gamma": 0.99,
    "target_update_interval": 250,
    "train_freq": 4,
    "gradient_steps": 4,
    "exploration_fraction": 0.3,
    "exploration_final_eps": 0.05,
}


class Best(BaseCallback):
    """Keeps the binary policy with the highest mean of ten episodes, looked at now and then."""

    def __init__(self, env_id: str, every: int) -> None:
        super().__init__()
        self.env_id, self.every = env_id, every
        self.best: tuple[float, Any] = (-np.inf, None)

    def _on_step(self) -> bool:
        if self.num_timesteps % self.every == 0:
            policy = freeze_dqn(self.model)
            mean = float(play(self.env_id, policy, 10).mean())
            self.best = max(self.best, (mean, policy), key=lambda pair: pair[0])
        return True


def play(env_id: str, policy: Any, count: int) -> Any:
    """Returns of fresh episodes."""
    episodes = make_episodes(env_id, policy.encoder, policy.decoder)
    population = Population.of([policy.network])
    found = episodes(population, count, np.random.default_rng(1)).returns[0]
    episodes.close()
    return found


def main() -> None:
    env_id, before, after = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    for seed in map(int, sys.argv[4:]):
        parts = assemble(settings(env_id, seed))
        hidden = tuple(parts.evolution.widths[1:-1])
        model = make_dqn(env_id, parts.encoder, hidden, seed=seed, **DQN)
        start = time.perf_counter()
        model.learn(before)
        binarise_(model)
        first = play(env_id, freeze_dqn(model), 100)
        model.exploration_fraction = 0.05
        best = Best(env_id, 1000)
        model.learn(after, callback=best, reset_num_timesteps=True)
        last = play(env_id, freeze_dqn(model), 100)
        chosen = play(env_id, best.best[1], 100)
        found = {
            "env": env_id,
            "seed": seed,
            "widths": list(freeze_dqn(model).network.widths),
            "float_steps": before,
            "binary_steps": after,
            "seconds": round(time.perf_counter() - start, 1),
            "signs_at_once": round(float(first.mean()), 1),
            "last": [round(float(last.mean()), 1), round(float(last.std()), 1)],
            "best": [round(float(chosen.mean()), 1), round(float(chosen.std()), 1)],
        }
        with (HERE / "results" / "qat.jsonl").open("a") as file:
            file.write(json.dumps(found) + "\n")
        print(found, flush=True)


if __name__ == "__main__":
    main()
