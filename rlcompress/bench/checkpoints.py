"""What checkpoints cost: their time as a share of the training between two, and their bytes.

Entry point ``python -m rlcompress.bench.checkpoints``. The replay buffer is filled beforehand with
recorded transitions, over and over, so that nobody waits a day for it. Then checkpoints are written
as in a run; the first two, which hold all transitions, are not counted.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlcompress import cli
from rlcompress.bench.models import new_model

RECORDED = 5000
BURN_IN = 2


@dataclass
class Settings:
    """Names as on the command line; ``out`` is a path for the rows as JSON, or null."""

    env: str
    transitions: int
    checkpoint_freq: int
    checkpoints: int
    steps: int
    threads: int
    seed: int
    out: str | None


@dataclass(frozen=True)
class Cost:
    """Seconds that something took, on the clock and of the processor."""

    wall_s: float
    cpu_s: float


def check(settings: Settings, job: cli.Job) -> Callable[[], object]:
    """Look at the request; returns the benchmark."""
    from rlcompress.sb3.environments import describe

    for name in ("transitions", "checkpoint_freq", "checkpoints", "steps", "threads"):
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(settings, name)}")
    describe(settings.env)
    return lambda: measure(settings)


def measure(settings: Settings) -> None:
    """Run the benchmark, print its table and write its rows."""
    import torch

    from rlcompress.bench.rows import report

    torch.set_num_threads(settings.threads)
    with tempfile.TemporaryDirectory() as directory:
        row = _row(settings, Path(directory))
    report("Checkpoints in training", [row], out=settings.out)


def _row(settings: Settings, directory: Path) -> dict[str, Any]:
    from rlcompress.training.checkpoint import Checkpoints
    from rlcompress.training.directory import RunDirectory
    from rlcompress.training.snapshot import Parts

    model = new_model(
        settings.env,
        seed=settings.seed,
        learning_starts=RECORDED,
        transitions=settings.transitions,
    )
    model.learn(RECORDED)
    recorded = _Recorded(model)
    recorded.play(model, settings.transitions - RECORDED)
    checkpoints = Checkpoints(Parts(model, None, None, {}), RunDirectory(directory))
    saves, written = [], []
    for _ in range(BURN_IN + settings.checkpoints):
        recorded.play(model, settings.checkpoint_freq)
        before = set(directory.rglob("*"))
        saves.append(_cost(checkpoints.save))
        written.append(sum(p.stat().st_size for p in set(directory.rglob("*")) - before))
    one_step = _cost(lambda: model.learn(settings.steps, reset_num_timesteps=False))
    counted = saves[BURN_IN:]
    interval = settings.checkpoint_freq / settings.steps
    wall, cpu = (float(np.median([getattr(c, n) for c in counted])) for n in ("wall_s", "cpu_s"))
    return {
        "env": settings.env,
        "transitions": settings.transitions,
        "steps_per_s": round(settings.steps / one_step.wall_s, 1),
        "checkpoint_s": round(wall, 3),
        "checkpoint_cpu_s": round(cpu, 3),
        "share_percent": round(100 * wall / (one_step.wall_s * interval), 3),
        "cpu_share_percent": round(100 * cpu / (one_step.cpu_s * interval), 3),
        "written_mb": round(float(np.median(written[BURN_IN:])) / 1e6, 1),
        "disk_mb": round(sum(p.stat().st_size for p in directory.rglob("*")) / 1e6, 1),
        "checkpoint_freq": settings.checkpoint_freq,
    }


def _cost(work: Callable[[], object]) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


class _Recorded:
    """The transitions of a model's replay buffer, to be added to it again and again."""

    def __init__(self, model: Any) -> None:
        buffer = model.replay_buffer
        rows = np.arange(buffer.pos)
        batch = buffer._get_samples(rows)
        self._observations = batch.observations.cpu().numpy()
        self._next = batch.next_observations.cpu().numpy()
        self._actions = batch.actions.cpu().numpy()
        self._rewards = batch.rewards.cpu().numpy()
        self._dones = batch.dones.cpu().numpy()
        self._position = 0

    def play(self, model: Any, steps: int) -> None:
        """Let ``model`` have trained ``steps`` more, as far as its buffer and clock can tell."""
        for _ in range(steps):
            row = slice(self._position, self._position + 1)
            model.replay_buffer.add(
                self._observations[row],
                self._next[row],
                self._actions[row],
                self._rewards[row, 0],
                self._dones[row, 0],
                [{}],
            )
            self._position = (self._position + 1) % len(self._rewards)
        model.num_timesteps += steps


def main() -> int:
    """Run the entry point; returns the exit code."""
    return cli.run(cli.EntryPoint("bench_checkpoints", Settings, check))


if __name__ == "__main__":
    sys.exit(main())
