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

from rlcompress.bench.models import new_model

DQN_ARGUMENTS = {
    "batch_size": 32,
    "target_update_interval": 8000,
    "exploration_fraction": 1e-4,
    "exploration_final_eps": 0.01,
}


@dataclass(frozen=True)
class Task:
    """What a worker trains: ``fast`` or as SB3 does, on which matrix-product path (or auto).

    ``channels_last`` is the memory format of its convolutions; ``threads`` have the cores from
    ``core`` on.
    """

    env: str
    fast: bool
    matmul: str
    compressed: bool
    sparsity: float
    warm_up: int
    seed: int
    core: int
    channels_last: bool = False
    threads: int = 1


def main() -> None:
    """Train one window per line of standard input."""
    task = Task(**json.loads(sys.argv[1]))
    os.sched_setaffinity(0, set(range(task.core, task.core + task.threads)))
    import torch

    torch.set_num_threads(task.threads)
    model, callbacks, path = build(task)
    model.learn(task.warm_up, callback=callbacks)
    print("ready", path, flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        model.learn(int(line), callback=callbacks, reset_num_timesteps=False)
        print(time.perf_counter() - began, flush=True)


def build(task: Task) -> tuple[Any, list[Any], str]:
    """The model, its callbacks, and the matrix-product path it uses."""
    import torch

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
    if task.channels_last:
        model.policy.to(memory_format=torch.channels_last)
    if task.fast:
        options = FastOptions(keep_gradients=False, bfloat16=path == "bf16", announce=_ignore)
        line = accelerate_(model, options)
        assert line.startswith("training=fast"), line
    return model, callbacks, path


def make_model(task: Task, *, device: str = "cpu", render_mode: str | None = None) -> Any:
    """An SB3 model of the task's environment, whose learning starts within the warm-up."""
    return new_model(
        task.env,
        seed=task.seed,
        learning_starts=task.warm_up // 4,
        transitions=10_000,
        device=device,
        render_mode=render_mode,
        sac={"batch_size": 256},
        dqn=DQN_ARGUMENTS,
    )


def _ignore(line: str) -> None:
    """A worker's standard output carries its times alone."""


if __name__ == "__main__":
    main()
