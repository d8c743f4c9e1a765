"""What a run ends with: every kept model frozen, evaluated and weighed; trains nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from rlcompress.artifact import CompressedPolicy
from rlcompress.artifact.file import write_bytes
from rlcompress.evaluation.rollout import (
    Evaluation,
    evaluate,
    record_observations,
    record_spread,
    select_golden,
)
from rlcompress.export.freeze import freeze
from rlcompress.export.freeze_parity import Parity, parity
from rlcompress.runtime.engine import Engine
from rlcompress.sb3.checkpoint import load, save
from rlcompress.sb3.environments import evaluation_seed
from rlcompress.sb3.observations import sample_size
from rlcompress.sb3.quantise import quantise_after_training_
from rlcompress.training.directory import RunDirectory
from rlcompress.training.plan import Plan
from rlcompress.training.table import Row

FINAL_SEEDS = 500_000
"""How far the final episodes' seeds lie from those that chose the best checkpoint."""
CALIBRATION_SEEDS = 250_000
"""The same for the episodes from which quantisation after training takes its ranges."""


class Finish:
    """Freezes and evaluates every kept model of one run, on episodes that chose none of them.

    ``model`` is the trained one; the observations it meets serve as golden data of all artifacts
    and for the comparison of its artifact with itself.
    """

    def __init__(
        self, plan: Plan, directory: RunDirectory, env: VecEnv, model: BaseAlgorithm
    ) -> None:
        self._plan = plan
        self._directory = directory
        self._env = env
        self._seed = evaluation_seed(plan.settings.seed) + FINAL_SEEDS
        self._final = "ptq" if plan.ptq else plan.timeline.phases()[-1]
        self._stream = record_observations(model, env, plan.parity_observations, seed=self._seed)
        self._evaluated: dict[tuple[str, int], Evaluation] = {}
        self._artifacts: list[tuple[Row, CompressedPolicy]] = []
        self.parity: Parity | None = None
        """How the last policy's artifact compares with its torch actor; set by ``rows``."""

    def rows(self) -> Iterator[Row]:
        """One row per kept model, then one per artifact of the final variant."""
        phases = self._plan.timeline.phases()
        for phase in phases:
            for which in ("last", "best"):
                path = self._directory.saved(phase, which)
                if path.exists():
                    yield self._row(load(path), phase, which)
        for which in ("last", "best") if self._plan.ptq else ():
            model = load(self._directory.saved(phases[-1], which))
            self._quantise_(model)
            write_bytes(self._directory.saved("ptq", which), save(model))
            yield self._row(model, "ptq", which)
        for row, policy in self._artifacts:
            found = self._evaluate(Engine(policy), ".rlc", row.step)
            yield replace(row, variant=".rlc", return_mean=found.mean, return_std=found.std)

    def _quantise_(self, model: BaseAlgorithm) -> None:
        assert self._plan.quant is not None
        seed = evaluation_seed(self._plan.settings.seed) + CALIBRATION_SEEDS
        calibration = record_spread(model, self._env, sample_size(model), seed=seed)
        quantise_after_training_(model, self._plan.quant, calibration)

    def _row(self, model: BaseAlgorithm, variant: str, which: str) -> Row:
        policy = self._freeze(model, variant, which)
        found = self._evaluate(model, variant, model.num_timesteps)
        summary = policy.summary()
        row = Row(
            variant=variant,
            checkpoint=which,
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
        if variant == self._final:
            self._artifacts.append((row, policy))
        return row

    def _freeze(self, model: BaseAlgorithm, variant: str, which: str) -> CompressedPolicy:
        """The artifact of ``model``, written; that of the last policy is the run's."""
        settings = self._plan.settings
        about = {"env_id": settings.env, "seed": settings.seed}
        about |= {"variant": variant, "checkpoint": which}
        policy = freeze(model, select_golden(self._stream), meta=about)
        frozen = self._directory.saved(variant, which, ".rlc")
        policy.save(frozen)
        if (variant, which) == (self._final, "last"):
            zipped = self._directory.saved(variant, which).read_bytes()
            write_bytes(self._directory.actor, zipped)
            write_bytes(self._directory.artifact, frozen.read_bytes())
            self.parity = parity(model, policy, self._stream)
        return policy

    def _evaluate(self, policy: Any, variant: str, step: int) -> Evaluation:
        """Play the final episodes, once where the best policy is also the last."""
        key = (variant, step)
        if key not in self._evaluated:
            episodes = self._plan.settings.final_episodes
            self._evaluated[key] = evaluate(policy, self._env, episodes, seed=self._seed)
        return self._evaluated[key]
