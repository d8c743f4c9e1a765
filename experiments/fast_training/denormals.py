"""What an update costs where Adam's moments are too small for float32's full precision.

From the repository's root: ``python experiments/fast_training/denormals.py``. Updates of one batch
each; before every update the moments are set to 3e-39, where those of weights end up whose
gradients have been 1e-20 or zero for long, or are left as they are.
"""

from __future__ import annotations

import json
import statistics
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from rlcompress.bench.training_worker import Task, build

RESULTS = Path(__file__).parent / "results" / "denormals.json"
STEPS, UPDATES = 400, 40
SMALL = 3e-39
ENVIRONMENTS = ("PongNoFrameskip-v4", "HalfCheetah-v4")
CONTENDERS = (("sb3", False, False), ("fast, not as zero", True, False), ("fast", True, True))
"""Name, whether the update is compiled, whether it takes small numbers as zero."""


def main() -> None:
    """Time SB3, and the compiled update with and without taking them as zero; keep the medians."""
    torch.set_num_threads(1)
    found = {}
    for env in ENVIRONMENTS:
        for name, fast, flush in CONTENDERS:
            unused = mock.patch(
                "rlcompress.fast.engine.smallest_as_zero", lambda: lambda step: step
            )
            with nullcontext() if flush else unused:
                model = trained(env, fast=fast)
                for small in (False, True):
                    row = f"{env}, {name}, moments of {SMALL if small else 'training'}"
                    found[row] = round(1000 * median_s(model, small=small), 1)
                    print(f"{row}: {found[row]} ms per update", flush=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def trained(env: str, *, fast: bool) -> Any:
    """A model some updates old."""
    task = Task(
        env,
        fast=fast,
        matmul="default",
        compressed=False,
        sparsity=0.9,
        warm_up=STEPS,
        seed=0,
        core=0,
    )
    model, callbacks, _ = build(task)
    model.learn(STEPS, callback=callbacks)
    return model


def optimizers(model: Any) -> list[Any]:
    """The optimizers of SAC's actor and critics, or DQN's one."""
    parts = (model.policy, getattr(model, "actor", None), getattr(model, "critic", None))
    return [part.optimizer for part in parts if hasattr(part, "optimizer")]


def median_s(model: Any, *, small: bool) -> float:
    """Seconds per update."""
    took = []
    for _ in range(UPDATES):
        if small:
            for optimizer in optimizers(model):
                for state in optimizer.state.values():
                    state["exp_avg"].fill_(SMALL)
                    state["exp_avg_sq"].fill_(SMALL)
        began = time.perf_counter()
        model.train(1, model.batch_size)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


if __name__ == "__main__":
    main()
