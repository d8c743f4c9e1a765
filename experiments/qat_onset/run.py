"""What beginning quantisation-aware training costs, from the same pruned policies; resumable.

From the repository's root: ``python experiments/qat_onset/run.py [environment] [work directory]
[seed ...]``. One dense start per seed is trained and pruned to T; every setting goes on from there,
with the same replay buffer, optimizer and random numbers, for 0.2 T, and is evaluated on the way.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from settings import SETTINGS, TORCHS
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.utils import set_random_seed

from rlcompress import PruneSpec, PruningCallback
from rlcompress.fast.accelerate import accelerate_
from rlcompress.sb3.environments import make_training_env
from rlcompress.spec import PolynomialSchedule

RESULTS = Path(__file__).parent / "results"
TASKS = {"HalfCheetah-v4": 0.9, "Hopper-v4": 0.95}
"""Environments and the sparsity to which the starts are pruned."""

T, EXTRA, STARTS = 60_000, 12_000, 5_000
EVERY, EPISODES = 1_000, 5


def main() -> None:
    """Train what is missing, then collect."""
    env = sys.argv[1] if len(sys.argv) > 1 else next(iter(TASKS))
    place = sys.argv[2] if len(sys.argv) > 2 else "outputs/qat_onset"
    work = Path(place).absolute() / env
    torch.set_num_threads(1)
    for seed in map(int, sys.argv[3:] or ("0", "1", "2")):
        start = work / f"seed{seed}"
        start.mkdir(parents=True, exist_ok=True)
        if not (start / "masks.pt").exists():
            train_start(start, env, seed)
        for name in SETTINGS:
            rows = start / f"{name}.jsonl"
            if not rows.exists():
                print(f"{env}, seed {seed}: {name}", flush=True)
                found = go_on(start, env, seed, name)
                rows.write_text("".join(f"{json.dumps(row)}\n" for row in found))
    # The order of the settings is that of tables and figures.
    names = [name for name in SETTINGS if list(work.glob(f"seed*/{name}.jsonl"))]
    files = [file for name in names for file in sorted(work.glob(f"seed*/{name}.jsonl"))]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{env}.jsonl").write_text("".join(file.read_text() for file in files))


def train_start(start: Path, env: str, seed: int) -> None:
    """A pruned policy with everything that training needs to go on."""
    model = SAC(
        "MlpPolicy",
        make_training_env(env, 1, seed=seed),
        policy_kwargs={"optimizer_kwargs": {"weight_decay": 1e-4}},
        learning_starts=STARTS,
        buffer_size=T + EXTRA,
        seed=seed,
    )
    print(accelerate_(model), flush=True)
    pruning = pruning_callback(env)
    model.learn(T, callback=[pruning, Evaluation("start", env, seed, 5 * EVERY)])
    model.save(start / "model.zip")
    model.save_replay_buffer(start / "replay.pkl")
    torch.save(pruning.state_dict(), start / "masks.pt")


def go_on(start: Path, env: str, seed: int, name: str) -> list[dict[str, Any]]:
    """The evaluations of one setting, the first of them right after it began."""
    model = SAC.load(start / "model.zip", env=make_training_env(env, 1, seed=1000 + seed))
    model.load_replay_buffer(start / "replay.pkl")
    pruning = pruning_callback(env)
    pruning.load_state_dict(torch.load(start / "masks.pt", weights_only=False))
    pruning.reattach(model)
    callbacks = SETTINGS[name](model)
    if name not in TORCHS:
        print(accelerate_(model), flush=True)
    set_random_seed(seed)
    evaluation = Evaluation(name, env, seed, EVERY)
    model.learn(EXTRA, callback=[pruning, *callbacks, evaluation], reset_num_timesteps=False)
    return evaluation.rows


def pruning_callback(env: str) -> PruningCallback:
    """The cubic schedule from 0.2 T to 0.8 T."""
    return PruningCallback(PruneSpec(TASKS[env], PolynomialSchedule(updates=600)), T)


class Evaluation(BaseCallback):
    """Mean return of a few deterministic episodes, at the start and at intervals."""

    def __init__(self, name: str, env: str, seed: int, every: int) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []
        self._about = {"env": env, "setting": name, "seed": seed}
        self._every = every
        self._env = make_training_env(env, 1, seed=2000 + seed)
        self._began = 0

    def _on_training_start(self) -> None:
        self._began = self.model.num_timesteps

    def _on_step(self) -> bool:
        step = self.model.num_timesteps - self._began
        if step == 1 or step % self._every == 0:
            self._env.seed(2000)
            returns, _ = evaluate_policy(
                self.model, self._env, EPISODES, return_episode_rewards=True, warn=False
            )
            assert isinstance(returns, list)
            mean = sum(returns) / len(returns)
            self.rows.append({**self._about, "step": step, "return": round(mean, 2)})
            print(self.rows[-1], flush=True)
        return True


if __name__ == "__main__":
    main()
