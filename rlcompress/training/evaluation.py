"""Evaluates while training and keeps the last and best model of each phase; compares nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from rlcompress.evaluation.rollout import Episode, evaluate
from rlcompress.training.directory import RunDirectory, atomic_write
from rlcompress.training.phases import COMPARABLE, Phase, Timeline

Snapshot = Callable[[BaseAlgorithm], bytes]
"""Writes a model, with what plain SB3 would forget of it, as the bytes of a zip."""


@dataclass(frozen=True)
class EvaluationSettings:
    """What every evaluation of a run has in common."""

    env_id: str
    seed: int
    episodes: int
    freq: int


@dataclass
class History:
    """Everything a run remembers of its evaluations; small and JSON-able."""

    best: dict[str, float] = field(default_factory=dict)
    last_step: int = -1
    next_step: int = 0
    last_return: float | None = None


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Append rows to a file of one JSON object per line."""
    with open(path, "a") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))


class Evaluator:
    """Runs deterministic episodes on an environment of its own and records them."""

    def __init__(
        self,
        settings: EvaluationSettings,
        env: VecEnv,
        directory: RunDirectory,
        *,
        timeline: Timeline,
        snapshot: Snapshot,
    ) -> None:
        self.settings = settings
        self.history = History(next_step=settings.freq)
        self.timeline = timeline
        self._env = env
        self._directory = directory
        self._snapshot = snapshot

    def run(self, model: BaseAlgorithm, step: int, *, ends_phase: bool = False) -> None:
        """Evaluate ``model`` after ``step`` steps; save it where it is its phase's best or last."""
        phase = self.timeline.phase(step)
        episodes = evaluate(model, self._env, self.settings.episodes, self.settings.seed)
        returns = [episode.return_ for episode in episodes]
        self._record(episodes, phase, step)
        mean = float(np.mean(returns))
        for key, value in {"return": mean, "return_std": float(np.std(returns))}.items():
            model.logger.record(f"eval/{key}", value)
        model.logger.record("eval/length", float(np.mean([e.length for e in episodes])))
        model.logger.record("eval/phase", COMPARABLE.index(phase) if phase in COMPARABLE else 0.5)
        model.logger.dump(step)
        self.history.last_step, self.history.last_return = step, mean
        if phase in COMPARABLE:
            self._keep(model, phase, mean, ends_phase=ends_phase)

    def _keep(self, model: BaseAlgorithm, phase: Phase, mean: float, *, ends_phase: bool) -> None:
        better = mean > self.history.best.get(phase, -np.inf)
        if not better and not ends_phase:
            return
        content = self._snapshot(model)
        if better:
            self.history.best[phase] = mean
            atomic_write(self._directory.saved(phase, "best"), content)
        if ends_phase:
            atomic_write(self._directory.saved(phase, "last"), content)

    def _record(self, episodes: list[Episode], phase: Phase, step: int) -> None:
        rows = [
            {
                "env": self.settings.env_id,
                "seed": self.settings.seed,
                "variant": phase,
                "step": step,
                "return": episode.return_,
                "length": episode.length,
            }
            for episode in episodes
        ]
        write_rows(self._directory.evaluations, rows)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to go on as if it had not stopped."""
        return dict(vars(self.history))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the state of an interrupted run."""
        self.history = History(**state)


class PhaseEndCallback(BaseCallback):
    """Evaluates and saves the last policy of a phase; belongs before whatever ends the phase."""

    def __init__(self, evaluator: Evaluator) -> None:
        super().__init__()
        self._evaluator = evaluator

    def _on_step(self) -> bool:
        stride = self.training_env.num_envs
        if self._evaluator.timeline.phase_end(self.num_timesteps, stride) is not None:
            self._evaluator.run(self.model, self.num_timesteps, ends_phase=True)
        return True


class EvaluationCallback(BaseCallback):
    """Evaluates every ``eval_freq`` steps and at the end; belongs after what changes the policy."""

    def __init__(self, evaluator: Evaluator) -> None:
        super().__init__()
        self._evaluator = evaluator

    def _on_step(self) -> bool:
        history, step = self._evaluator.history, self.num_timesteps
        if step < history.next_step or step >= self._evaluator.timeline.length:
            return True
        while history.next_step <= step:
            history.next_step += self._evaluator.settings.freq
        if history.last_step != step:
            self._evaluator.run(self.model, step)
        return True

    def _on_training_end(self) -> None:
        self._evaluator.run(self.model, self.num_timesteps, ends_phase=True)
