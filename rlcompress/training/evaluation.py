"""Evaluates while training, keeps the last and best model of each phase; compares nothing else."""

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

from rlcompress.artifact.file import write_bytes
from rlcompress.evaluation.rollout import Evaluation, evaluate
from rlcompress.sb3.checkpoint import save
from rlcompress.sb3.environments import evaluation_seed
from rlcompress.training.directory import RunDirectory
from rlcompress.training.phases import COMPARABLE, Phase, Timeline


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
        quantised: Callable[[], bool],
    ) -> None:
        self.settings = settings
        self.history = History(next_step=settings.freq)
        self.timeline = timeline
        self._env = env
        self._directory = directory
        self._quantised = quantised

    def phase(self, step: int) -> Phase:
        """Phase of the policy after ``step`` steps, the present one."""
        return self.timeline.phase(step, quantised=self._quantised())

    def run(self, model: BaseAlgorithm, step: int, *, ends_phase: bool = False) -> None:
        """Evaluate ``model`` after ``step`` steps; save it where it is its phase's best or last."""
        phase = self.phase(step)
        settings = self.settings
        found = evaluate(model, self._env, settings.episodes, seed=evaluation_seed(settings.seed))
        write_rows(self._directory.evaluations, self._rows(found, phase, step))
        model.logger.record("eval/return", found.mean)
        model.logger.record("eval/return_std", found.std)
        model.logger.record("eval/length", float(found.lengths.mean()))
        model.logger.dump(step)
        self.history.last_step, self.history.last_return = step, found.mean
        if phase in COMPARABLE:
            self._keep(model, phase, found.mean, ends_phase=ends_phase)

    def _keep(self, model: BaseAlgorithm, phase: Phase, mean: float, *, ends_phase: bool) -> None:
        better = mean > self.history.best.get(phase, -np.inf)
        if not better and not ends_phase:
            return
        content = save(model)
        if better:
            self.history.best[phase] = mean
            write_bytes(self._directory.saved(phase, "best"), content)
        if ends_phase:
            write_bytes(self._directory.saved(phase, "last"), content)

    def _rows(self, found: Evaluation, phase: Phase, step: int) -> list[dict[str, Any]]:
        about = {"env": self.settings.env_id, "seed": self.settings.seed}
        return [
            {**about, "variant": phase, "step": step, "return": e.return_, "length": e.length}
            for e in found
        ]

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
