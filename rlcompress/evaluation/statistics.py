"""What many runs say together: point estimates, normalised scores, bootstrap intervals.

Reads no files and draws nothing; ``lossless.py`` builds its test on what is here. Scores are a
mapping from a task (an environment) to the scores of its runs, one number per run; tasks may have
different numbers of runs. The estimates are those of Agarwal et al. (2021), *Deep Reinforcement
Learning at the Edge of the Statistical Precipice*.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

FloatArray = npt.NDArray[np.float64]
Scores = Mapping[str, Sequence[float] | FloatArray]
Statistic = Callable[[Sequence[FloatArray]], FloatArray]
"""One sample per task, runs along the last axis, to one number per index of the other axes."""

ENOUGH_RUNS = 5
"""Runs per task below which there is no interval: the points say all that is known."""

RESAMPLES = 5_000
DRAWN_RUNS = 1_000_000
"""Runs that a bootstrap draws in all: of many runs fewer resamples, never under 1 000."""

TRIMMED = 0.25


@dataclass(frozen=True)
class Interval:
    """A bootstrap interval of ``level`` (0.95: 95 %)."""

    low: float
    high: float
    level: float = 0.95


@dataclass(frozen=True)
class Estimate:
    """A statistic of some runs; ``interval`` is None where there are too few for one."""

    value: float
    runs: int
    interval: Interval | None = None


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are made: percentiles of resampled statistics, the same for the same seed."""

    level: float = 0.95
    resamples: int = RESAMPLES
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ValueError(f"level must be in (0, 1), got {self.level}")
        if self.resamples < 1:
            raise ValueError(f"resamples must be at least 1, got {self.resamples}")


def normalise(scores: Sequence[float] | FloatArray, dense: float) -> FloatArray:
    """Scores as parts of the dense mean: 1 is as good as dense, 1 + (x - dense) / abs(dense).

    For a positive ``dense`` that is x / dense; where returns are costs (below zero), better stays
    larger, which plain division would turn around.

    Raises:
        ValueError: where the dense mean is zero or not finite, so that nothing can be a part of it.
    """
    if not math.isfinite(dense) or dense == 0:
        raise ValueError(f"the dense mean must be finite and not 0 to normalise by it, got {dense}")
    return 1.0 + (_array(scores) - dense) / abs(dense)


def iqm(scores: Scores) -> float:
    """Mean of the middle half of all runs of all tasks (a quarter cut off at each end)."""
    return aggregate("IQM", scores)


def mean(scores: Scores) -> float:
    """Mean over tasks of the mean over runs."""
    return aggregate("mean", scores)


def median(scores: Scores) -> float:
    """Median over tasks of the mean over runs; of one task, the median of its runs."""
    return aggregate("median", scores)


def optimality_gap(scores: Scores) -> float:
    """By how much runs fall short of 1 on average; what lies above 1 counts as 1."""
    return aggregate("optimality gap", scores)


def aggregate(name: str, scores: Scores) -> float:
    """One of ``AGGREGATES`` of the runs."""
    return float(AGGREGATES[name](_arrays(scores)))


def probability_of_improvement(ours: Scores, theirs: Scores) -> float:
    """Probability that a run of ``ours`` beats one of ``theirs`` on the same task, ties as half.

    The mean over tasks of the Mann-Whitney statistic per pair of runs. Only tasks in both count.
    """
    tasks = [task for task in ours if task in theirs]
    if not tasks:
        raise ValueError(f"no task in common: {sorted(ours)} and {sorted(theirs)}")
    return float(np.mean([_wins(_array(ours[task]), _array(theirs[task])) for task in tasks]))


def performance_profile(scores: Scores, thresholds: Sequence[float] | FloatArray) -> FloatArray:
    """For each threshold the fraction of runs, over all tasks, that score above it."""
    pooled = np.concatenate(_arrays(scores))
    return np.array([np.mean(pooled > threshold) for threshold in thresholds])


def _iqm(samples: Sequence[FloatArray]) -> FloatArray:
    found: FloatArray = stats.trim_mean(np.concatenate(samples, axis=-1), TRIMMED, axis=-1)
    return found


def _mean(samples: Sequence[FloatArray]) -> FloatArray:
    return np.asarray(np.mean([sample.mean(axis=-1) for sample in samples], axis=0))


def _median(samples: Sequence[FloatArray]) -> FloatArray:
    if len(samples) == 1:
        return np.asarray(np.median(samples[0], axis=-1))
    return np.asarray(np.median([sample.mean(axis=-1) for sample in samples], axis=0))


def _optimality_gap(samples: Sequence[FloatArray]) -> FloatArray:
    return np.asarray(1.0 - np.minimum(np.concatenate(samples, axis=-1), 1.0).mean(axis=-1))


AGGREGATES: dict[str, Statistic] = {
    "IQM": _iqm,
    "median": _median,
    "mean": _mean,
    "optimality gap": _optimality_gap,
}
"""The aggregates that a report shows, by the name it shows them under."""


def estimate(scores: Scores, name: str = "IQM", how: Bootstrap | None = None) -> Estimate:
    """An aggregate of the runs, with a stratified bootstrap interval where they are enough.

    Runs are resampled within their task, so that every resample has as many of each task as there
    are. Under ``ENOUGH_RUNS`` runs in any task there is no interval.
    """
    samples = _arrays(scores)
    value = float(AGGREGATES[name](samples))
    runs = sum(sample.size for sample in samples)
    return Estimate(value, runs, interval(samples, AGGREGATES[name], how))


def interval(
    samples: Sequence[FloatArray], statistic: Statistic, how: Bootstrap | None = None
) -> Interval | None:
    """Percentile bootstrap interval of a statistic of several samples, each resampled by itself.

    None where a sample has fewer than ``ENOUGH_RUNS`` runs.
    """
    if any(sample.size < ENOUGH_RUNS for sample in samples):
        return None
    return _interval(tuple(sample.tobytes() for sample in samples), statistic, how or Bootstrap())


@lru_cache(maxsize=10_000)
def _interval(data: tuple[bytes, ...], statistic: Statistic, how: Bootstrap) -> Interval:
    """The interval of samples given as bytes: tables and figures ask for the same ones."""
    samples = tuple(np.frombuffer(sample, dtype=np.float64) for sample in data)
    affordable = DRAWN_RUNS // sum(sample.size for sample in samples)
    found: Any = stats.bootstrap(
        samples,
        lambda *resampled, axis: statistic(resampled),
        n_resamples=min(how.resamples, max(affordable, 1_000)),
        vectorized=True,
        confidence_level=how.level,
        method="percentile",
        random_state=np.random.default_rng(how.seed),
    )
    low, high = found.confidence_interval
    return Interval(float(low), float(high), how.level)


def _wins(ours: FloatArray, theirs: FloatArray) -> float:
    greater = ours[:, None] > theirs[None, :]
    equal = ours[:, None] == theirs[None, :]
    return float(np.mean(greater + 0.5 * equal))


def _arrays(scores: Scores) -> list[FloatArray]:
    if not scores:
        raise ValueError("no scores: give at least one task with one run")
    return [_array(runs) for runs in scores.values()]


def _array(scores: Sequence[float] | FloatArray) -> FloatArray:
    found = np.asarray(scores, dtype=np.float64)
    if found.ndim != 1 or found.size == 0:
        raise ValueError(f"scores must be one number per run, at least one, got {found.shape}")
    if not np.isfinite(found).all():
        raise ValueError(f"scores must be finite, got {found[~np.isfinite(found)][0]}")
    return found
