"""What a run ends with: every kept model frozen, evaluated and weighed; trains nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy.typing as npt
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from rlcompress.artifact import CompressedPolicy
from rlcompress.artifact.file import write_bytes
from rlcompress.evaluation.rollout import Evaluation, evaluate, record_observations, select_golden
from rlcompress.export.freeze import freeze
from rlcompress.runtime.reference import Reference
from rlcompress.sb3.checkpoint import load, save
from rlcompress.sb3.environments import evaluation_seed
from rlcompress.sb3.observations import sample_size
from rlcompress.sb3.quantise import quantise_after_training_
from rlcompress.training.directory import RunDirectory
from rlcompress.training.plan import Plan
from rlcompress.training.table import Row

FINAL_SEEDS = 500_000
"""How far the final episodes' seeds lie from those that chose the best checkpoint."""


class Finish:
    """Freezes and evaluates every kept model of one run, on episodes that chose none of them."""

    def __init__(self, plan: Plan, directory: RunDirectory, env: VecEnv) -> None:
        self._plan = plan
        self._directory = directory
        self._env = env
        self._seed = evaluation_seed(plan.settings.seed) + FINAL_SEEDS
        self._final = plan.timeline.phases()[-1]
        self._stream: npt.NDArray[Any] | None = None

    def stream(self, model: BaseAlgorithm) -> npt.NDArray[Any]:
        """Observations as the final policy meets them, recorded once."""
        if self._stream is None:
            count = self._plan.settings.parity_observations
            self._stream = record_observations(model, self._env, count, seed=self._seed)
        return self._stream

    def rows(self) -> Iterator[Row]:
        """One row per kept model, then one per artifact of the final phase."""
        artifacts = []
        for phase in self._plan.timeline.phases():
            final = phase == self._final
            for which in ("last", "best"):
                if not self._directory.saved(phase, which).exists():
                    continue
                model = load(self._directory.saved(phase, which))
                row, policy = self._freeze(model, phase, which)
                yield row
                if final and self._plan.ptq:
                    row, policy = self._freeze(self._quantised(model), "ptq", which)
                    yield row
                if final:
                    artifacts.append((row, policy))
        for row, policy in artifacts:
            found = self._evaluate(Reference(policy))
            yield replace(row, variant=".rlc", return_mean=found.mean, return_std=found.std)

    def _quantised(self, model: BaseAlgorithm) -> BaseAlgorithm:
        assert self._plan.quant is not None
        quantise_after_training_(model, self._plan.quant, self.stream(model)[: sample_size(model)])
        return model

    def _freeze(
        self, model: BaseAlgorithm, variant: str, which: str
    ) -> tuple[Row, CompressedPolicy]:
        """Write the model's artifact (and its zip where it is new) and evaluate the model."""
        stream = self.stream(model)
        policy = freeze(model, select_golden(stream), meta=self._meta(model, variant, which))
        policy.save(self._directory.saved(variant, which, ".rlc"))
        zipped = self._directory.saved(variant, which)
        if not zipped.exists():
            write_bytes(zipped, save(model))
        if which == "last" and variant in (self._final, "ptq"):
            write_bytes(self._directory.actor, zipped.read_bytes())
            policy.save(self._directory.artifact)
        return self._row(model, (variant, which), policy), policy

    def _meta(self, model: BaseAlgorithm, variant: str, which: str) -> dict[str, Any]:
        return {
            "env": self._plan.settings.env,
            "algorithm": self._plan.algo,
            "seed": self._plan.settings.seed,
            "variant": variant,
            "checkpoint": which,
            "step": model.num_timesteps,
        }

    def _row(self, model: BaseAlgorithm, names: tuple[str, str], policy: CompressedPolicy) -> Row:
        found = self._evaluate(model)
        summary = policy.summary()
        return Row(
            variant=names[0],
            checkpoint=names[1],
            step=model.num_timesteps,
            return_mean=found.mean,
            return_std=found.std,
            episodes=len(found),
            weights=summary["weights"],
            weights_kept=summary["kept"],
            paper_factor=summary["paper_factor"],
            size_bytes=summary["policy_bytes"],
            honest_factor=summary["honest_factor"],
        )

    def _evaluate(self, policy: Any) -> Evaluation:
        return evaluate(policy, self._env, self._plan.settings.final_episodes, seed=self._seed)
