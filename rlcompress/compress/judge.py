"""Plays teacher and student in the same episodes and keeps every return; chooses nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rlcompress.artifact import CompressedPolicy
from rlcompress.compress.outcome import Paired
from rlcompress.compress.teacher import Teacher
from rlcompress.evaluation.rollout import evaluate
from rlcompress.probe.measure import MeasureSpec, calls_for, time_calls
from rlcompress.runtime.engine import Engine
from rlcompress.sb3.env_spec import EnvSpec
from rlcompress.sb3.environments import evaluation_seed, make_evaluation_env
from rlcompress.training.evaluation import write_rows

N_ENVS = 8
"""Environments that are stepped together; the episodes are the same for any number."""

_TIMING = MeasureSpec(rounds=5, round_s=0.02, warm_up_s=0.05)


class Judge:
    """Episodes of one environment; the teacher plays each set once."""

    def __init__(
        self,
        teacher: Teacher,
        spec: EnvSpec,
        *,
        seed: int,
        episode_steps: int | None,
        evaluations: Path,
    ) -> None:
        self._teacher = teacher
        self._about = {"env": spec.env_id, "seed": seed}
        self._seed = evaluation_seed(seed)
        self._evaluations = evaluations
        self._make: Callable[[], Any] = lambda: make_evaluation_env(
            spec, N_ENVS, seed=seed, max_episode_steps=episode_steps
        )
        self.remembered: dict[tuple[int, int], tuple[float, ...]] = {}
        """Returns of the teacher by first seed and number of episodes."""

    def compare(
        self, policy: CompressedPolicy, episodes: int, *, offset: int, variant: str, step: int
    ) -> Paired:
        """Returns of both in ``episodes`` episodes, whose seeds start at ``offset``."""
        key = (self._seed + offset, episodes)
        if key not in self.remembered:
            self.remembered[key] = self._play(self._teacher, key, "teacher", 0)
        return Paired(self.remembered[key], self._play(Engine(policy), key, variant, step))

    def _play(
        self, policy: Any, key: tuple[int, int], variant: str, step: int
    ) -> tuple[float, ...]:
        found = evaluate(policy, self._make, key[1], seed=key[0])
        about = {**self._about, "variant": variant, "step": step}
        write_rows(
            self._evaluations,
            [{**about, "return": e.return_, "length": e.length} for e in found],
        )
        return tuple(float(value) for value in found.returns)


def latency_us(call: Callable[[Any], Any], observations: Any) -> float:
    """Median microseconds of a call with one observation."""
    rows = [np.ascontiguousarray(row) for row in observations]
    count = calls_for(call, rows, _TIMING)
    rounds = [np.median(time_calls(call, rows, count)) for _ in range(_TIMING.rounds)]
    return float(np.median(rounds)) / 1e3


def engine_latency_us(policy: CompressedPolicy) -> float:
    """Median microseconds from one observation to its action, through Python."""
    assert policy.golden is not None
    return latency_us(Engine(policy), policy.golden.observations)
