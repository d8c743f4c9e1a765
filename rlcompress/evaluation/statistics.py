"""What many runs say together: point estimates, normalised scores, bootstrap intervals.

Reads no files and draws nothing; ``lossless.py`` builds its test on what is here. Scores are a
mapping from a task (an environment) to the scores of its runs, one number per run; tasks may have
different numbers of runs. The estimates are those of Agarwal et al. (2021), *Deep Reinforcement
Learning at the Edge of the Statistical Precipice*.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from rlcompress.evaluation.resampling import (
    ENOUGH_RUNS,
    Bootstrap,
    FloatArray,
    IntArray,
    Interval,
    Statistic,
    bounds,
    interval,
    interval_of_drawn,
    intervals,
)

Scores = Mapping[str, Sequence[float] | FloatArray]
"""Task: the score of each of its runs."""

TRIMMED = 0.25


@dataclass(frozen=True)
class Estimate:
    """A statistic of some runs; ``interval`` is None where there are too few for one."""

    value: float
    runs: int
    interval: Interval | None = None


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

    Raises:
        ValueError: where no task is in both.
    """
    return float(np.mean([table.mean() for table in _wins(ours, theirs)]))


def improvement(ours: Scores, theirs: Scores, how: Bootstrap | None = None) -> Estimate:
    """``probability_of_improvement`` with the interval of resampled runs, each side by itself."""
    tables = _wins(ours, theirs)
    runs = sum(len(ours[task]) for task in ours if task in theirs)
    shapes = [table.shape for table in tables]
    drawn = _Wins(tuple(shapes), tuple(table.tobytes() for table in tables))
    found = interval_of_drawn([size for shape in shapes for size in shape], drawn, how)
    return Estimate(float(np.mean([table.mean() for table in tables])), runs, found)


def performance_profile(scores: Scores, thresholds: Sequence[float] | FloatArray) -> FloatArray:
    """For each threshold the fraction of runs, over all tasks, that score above it."""
    return _above(_arrays(scores), thresholds)


def profile_bounds(
    scores: Scores, thresholds: Sequence[float] | FloatArray, how: Bootstrap | None = None
) -> tuple[FloatArray, FloatArray] | None:
    """Pointwise interval of ``performance_profile``, runs resampled within their task.

    None where a task has fewer than ``ENOUGH_RUNS`` runs.
    """
    samples = _arrays(scores)
    if any(sample.size < ENOUGH_RUNS for sample in samples):
        return None
    return bounds(samples, lambda drawn: _above(drawn, thresholds), how or Bootstrap())


def _above(samples: Sequence[FloatArray], thresholds: Sequence[float] | FloatArray) -> FloatArray:
    pooled, limits = np.concatenate(samples, axis=-1), np.sort(thresholds)
    # How many thresholds each run clears: to compare all of them takes a hundred times as long.
    cleared = _times_drawn(np.searchsorted(limits, pooled), len(limits) + 1)
    above = cleared[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:] / pooled.shape[-1]
    found: FloatArray = np.moveaxis(above, -1, 0)[np.searchsorted(limits, thresholds)]
    return found


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
    return Estimate(value, _size(samples), interval(samples, AGGREGATES[name], how))


def estimates(scores: Scores, how: Bootstrap | None = None) -> dict[str, Estimate]:
    """Every aggregate by its name, as ``estimate`` gives it: the same resamples serve all."""
    samples = _arrays(scores)
    found = intervals(samples, _aggregates, how) or [None] * len(AGGREGATES)
    values = zip(AGGREGATES, _aggregates(samples), found, strict=True)
    return {name: Estimate(float(value), _size(samples), one) for name, value, one in values}


def _aggregates(samples: Sequence[FloatArray]) -> FloatArray:
    return np.stack([one(samples) for one in AGGREGATES.values()])


def _size(samples: Sequence[FloatArray]) -> int:
    return sum(sample.size for sample in samples)


@dataclass(frozen=True)
class _Wins:
    """Mean over tasks of the wins between the runs drawn: two samples per task, ours and theirs."""

    shapes: tuple[tuple[int, ...], ...]
    tables: tuple[bytes, ...]

    def __call__(self, drawn: Sequence[IntArray]) -> FloatArray:
        found = []
        pairs = zip(drawn[::2], drawn[1::2], strict=True)
        for shape, table, (ours, theirs) in zip(self.shapes, self.tables, pairs, strict=True):
            wins = np.frombuffer(table, dtype=np.float64).reshape(shape)
            # By how often each run was drawn: all pairs of every resample would be many times more.
            times = _times_drawn(ours, shape[0]) @ wins * _times_drawn(theirs, shape[1])
            found.append(times.sum(axis=-1) / wins.size)
        return np.asarray(np.mean(found, axis=0))


def _times_drawn(drawn: IntArray, size: int) -> FloatArray:
    """(..., draws) positions below ``size`` to (..., size) counts of each."""
    rows = drawn.reshape(-1, drawn.shape[-1])
    places = rows + size * np.arange(len(rows))[:, None]
    counts = np.bincount(places.ravel(), minlength=size * len(rows))
    return counts.reshape(*drawn.shape[:-1], size).astype(np.float64)


def _wins(ours: Scores, theirs: Scores) -> list[FloatArray]:
    """Per task in both, 1 where a run of ours (rows) beats one of theirs, 0.5 where they tie."""
    tasks = [task for task in ours if task in theirs]
    if not tasks:
        raise ValueError(f"no task in common: {sorted(ours)} and {sorted(theirs)}")
    sides = [(_array(ours[task])[:, None], _array(theirs[task])[None, :]) for task in tasks]
    return [(one > other) + 0.5 * (one == other) for one, other in sides]


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
