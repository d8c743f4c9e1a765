"""What masks and fake quantisation cost in training: plain SB3, pruned and quantised, alternating.

Entry point ``python -m rlcompress.bench.overhead``. The three models are alike but for the
callbacks; each trains one window per round, in an order that rotates, in one process, so that a
machine that gets slower gets slower for all. The ratio of a round compares windows seconds apart.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlcompress import cli
from rlcompress.bench.models import new_model

VARIANTS = ("sb3", "pruned", "pruned and quantised")


@dataclass
class Settings:
    """Names as on the command line; ``out`` is a path for the rows as JSON, or null."""

    env: str
    sparsity: float
    rounds: int
    steps: int
    threads: int
    seed: int
    out: str | None


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Look at the request; returns the benchmark."""
    from rlcompress.sb3.environments import describe

    for name in ("rounds", "steps", "threads"):
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(settings, name)}")
    describe(settings.env)
    return lambda: measure(settings)


def measure(settings: Settings) -> None:
    """Run the benchmark, print its table and write its rows."""
    import torch

    from rlcompress.bench.rows import report

    torch.set_num_threads(settings.threads)
    trainers = {variant: _trainer(settings, variant) for variant in VARIANTS}
    speeds: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for number in range(settings.rounds):
        for offset in range(len(VARIANTS)):
            variant = VARIANTS[(number + offset) % len(VARIANTS)]
            start = time.perf_counter()
            trainers[variant](settings.steps)
            speeds[variant].append(settings.steps / (time.perf_counter() - start))
    report("Training with masks and fake quantisation", _rows(settings, speeds), out=settings.out)


def _rows(settings: Settings, speeds: dict[str, list[float]]) -> list[dict[str, Any]]:
    base = np.array(speeds[VARIANTS[0]])
    rows = []
    for variant, values in speeds.items():
        ratios = np.array(values) / base
        low, high = np.percentile(ratios, [25, 75])
        rows.append(
            {
                "env": settings.env,
                "variant": variant,
                "steps_per_s": round(float(np.median(values)), 2),
                "ratio_to_sb3": round(float(np.median(ratios)), 4),
                "ratio_quartiles": [round(float(low), 4), round(float(high), 4)],
                "rounds": settings.rounds,
                "steps": settings.steps,
            }
        )
    return rows


def _trainer(settings: Settings, variant: str) -> Callable[[int], None]:
    """A function that trains one model for so many steps, past its warm-up."""
    from stable_baselines3.common.callbacks import BaseCallback

    from rlcompress.sb3.pruning_callback import PruningCallback
    from rlcompress.sb3.qat_callback import QATCallback
    from rlcompress.spec import PolynomialSchedule, PruneSpec, QuantSpec

    warm_up = 4 * settings.steps
    model = new_model(
        settings.env,
        seed=settings.seed,
        learning_starts=settings.steps // 2,
        transitions=20_000,
    )
    callbacks: list[BaseCallback] = []
    if variant != VARIANTS[0]:
        schedule = PolynomialSchedule(begin=0.0, end=0.5, updates=1)
        callbacks.append(PruningCallback(PruneSpec(settings.sparsity, schedule), warm_up // 2))
    if variant == VARIANTS[2]:
        callbacks.append(QATCallback(QuantSpec(), begin=warm_up // 2))
    model.learn(warm_up, callback=callbacks)
    return lambda steps: model.learn(steps, callback=callbacks, reset_num_timesteps=False)


def main() -> int:
    """Run the entry point; returns the exit code."""
    return cli.run(cli.EntryPoint("bench_overhead", Settings, check))


if __name__ == "__main__":
    sys.exit(main())
