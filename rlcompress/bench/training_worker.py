"""One contender of the training benchmark, in a process of its own: SB3 or ours; compares nothing.

Prints ``ready`` once the model learns, then, for each line of standard input with a number of
steps, the seconds that they took.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Task:
    """What a worker trains: ``fast`` or as SB3 does, on which matrix-product path (or auto)."""

    env: str
    fast: bool
    matmul: str
    compressed: bool
    sparsity: float
    warm_up: int
    seed: int
    core: int


def main() -> None:
    """Train one window per line of standard input."""
    task = Task(**json.loads(sys.argv[1]))
    os.sched_setaffinity(0, {task.core})
    import torch

    torch.set_num_threads(1)
    model, callbacks, path = build(task)
    model.learn(task.warm_up, callback=callbacks)
    print("ready", path, flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        model.learn(int(line), callback=callbacks, reset_num_timesteps=False)
        print(time.perf_counter() - began, flush=True)


def build(task: Task) -> tuple[Any, list[Any], str]:
    """The model, its callbacks, and the matrix-product path it uses."""
    from rlcompress.fast import matmul
    from rlcompress.fast.accelerate import accelerate_
    from rlcompress.fast.engine import FastOptions
    from rlcompress.sb3.pruning_callback import PruningCallback
    from rlcompress.sb3.qat_callback import QATCallback
    from rlcompress.spec import PolynomialSchedule, PruneSpec, QuantSpec

    model = make_model(task)
    callbacks: list[Any] = []
    if task.compressed:
        schedule = PolynomialSchedule(begin=0.0, end=0.5, updates=1)
        prune = PruneSpec(task.sparsity, schedule)
        callbacks.append(PruningCallback(prune, task.warm_up // 2))
        callbacks.append(QATCallback(QuantSpec(), begin=task.warm_up // 2))
    path = task.matmul
    if path == "auto":
        products = matmul.products_of(model.policy, model.batch_size)
        path = matmul.choose(products, cache=matmul.cache_file()).path
    else:
        matmul.apply_(path)
    if task.fast:
        line = accelerate_(model, FastOptions(keep_gradients=False, announce=_ignore))
        assert line.startswith("training=fast"), line
    return model, callbacks, path


def make_model(task: Task, *, device: str = "cpu", render_mode: str | None = None) -> Any:
    """An SB3 model of the task's environment, whose learning starts within the warm-up."""
    from stable_baselines3 import DQN, SAC

    from rlcompress.sb3.environments import algorithm_for, describe, make_training_env, network_for
    from rlcompress.sb3.networks import policy_for
    from rlcompress.sb3.replay import plan_replay

    spec = describe(task.env)
    sac = algorithm_for(spec.action_space) == "sac"
    algorithm: type[Any] = SAC if sac else DQN
    network = network_for(spec.observation_space)
    policy, arguments = policy_for(
        network, spec.observation_space, net_arch=[256, 256] if network == "mlp" else []
    )
    replay = plan_replay(
        spec.observation_space,
        spec.action_space,
        buffer_size=10_000,
        total_timesteps=10_000,
        frame_stack=spec.frame_stack,
    ).model_arguments()
    own = {"batch_size": 256} if sac else {"batch_size": 32, "target_update_interval": 8000}
    return algorithm(
        policy,
        make_training_env(spec, 1, seed=task.seed, render_mode=render_mode),
        seed=task.seed,
        device=device,
        learning_starts=task.warm_up // 4,
        policy_kwargs=arguments,
        **own,
        **({} if sac else {"exploration_fraction": 1e-4, "exploration_final_eps": 0.01}),
        **replay,
    )


def _ignore(line: str) -> None:
    """A worker's standard output carries its times alone."""


if __name__ == "__main__":
    main()
