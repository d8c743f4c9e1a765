"""Stratified bootstrap intervals: each sample of runs is drawn again by itself.

Knows no statistic; ``statistics.py``, ``lossless.py`` and ``paired.py`` bring theirs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Statistic = Callable[[Sequence[FloatArray]], FloatArray]
"""One sample per task, runs along the last axis, to one number per index of the other axes."""

DrawnStatistic = Callable[[Sequence[IntArray]], FloatArray]
"""The same of which runs were drawn, by their positions; hashable, with the runs' values in it."""

POWER = 0.8
"""How probably as many runs as are said to decide a question do, if they go on as before."""

ENOUGH_RUNS = 5
"""Runs per task below which there is no interval: the points say all that is known."""

RESAMPLES = 5_000
DRAWN_RUNS = 300_000
"""Runs that a bootstrap draws in all: of many runs fewer resamples, never under 1 000."""


@dataclass(frozen=True)
class Interval:
    """A bootstrap interval of ``level`` (0.95: 95 %)."""

    low: float
    high: float
    level: float = 0.95


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are made: percentiles of resampled statistics, the same for the same seed.

    ``level`` is what an interval promises; ``taken`` the level of the percentiles themselves, where
    it is not the same one (None: it is).
    """

    level: float = 0.95
    resamples: int = RESAMPLES
    seed: int = 0
    taken: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ValueError(f"level must be in (0, 1), got {self.level}")
        if self.resamples < 1:
            raise ValueError(f"resamples must be at least 1, got {self.resamples}")

    def expanded(self, sizes: Sequence[int], variances: Sequence[float]) -> Bootstrap:
        """The same for a sum of means of few runs, whose plain percentiles are too narrow.

        Hesterberg (2015), *What Teachers Should Know About the Bootstrap*: percentiles of the level
        2 Phi(f t) - 1, t being Student's quantile in place of the normal one, and f the root of the
        sum of s_i^2 / n_i over that of s_i^2 / n_i (n_i - 1) / n_i, which is what resampling sees.
        Degrees of freedom are Welch's; ``variances`` are s_i^2 of one run of each sample.
        """
        n = np.array(sizes, dtype=np.float64)
        parts = np.array(variances) / n
        if not parts.sum() > 0 or n.min() < 2:
            return self
        freedom = parts.sum() ** 2 / np.sum(parts**2 / (n - 1))
        wider = math.sqrt(parts.sum() / np.sum(parts * (n - 1) / n))
        quantile = wider * stats.t.ppf(0.5 + self.level / 2, freedom)
        return replace(self, taken=float(2 * stats.norm.cdf(quantile) - 1))


def interval(
    samples: Sequence[FloatArray], statistic: Statistic, how: Bootstrap | None = None
) -> Interval | None:
    """Percentile bootstrap interval of a statistic of several samples, each resampled by itself.

    None where a sample has fewer than ``ENOUGH_RUNS`` runs.
    """
    found = intervals(samples, statistic, how)
    return None if found is None else found[0]


def intervals(
    samples: Sequence[FloatArray], statistic: Statistic, how: Bootstrap | None = None
) -> tuple[Interval, ...] | None:
    """``interval`` of each of several statistics, along the first axis, of the same resamples."""
    drawn = _OfValues(statistic, tuple(sample.tobytes() for sample in samples))
    return _of_drawn([sample.size for sample in samples], drawn, how)


def interval_of_drawn(
    sizes: Sequence[int], statistic: DrawnStatistic, how: Bootstrap | None = None
) -> Interval | None:
    """``interval`` of a statistic that is told which of so many runs were drawn.

    What one draw stands for may be several values, such as those of twins.
    """
    found = _of_drawn(sizes, statistic, how)
    return None if found is None else found[0]


def _of_drawn(
    sizes: Sequence[int], statistic: DrawnStatistic, how: Bootstrap | None
) -> tuple[Interval, ...] | None:
    if any(size < ENOUGH_RUNS for size in sizes):
        return None
    return _remembered(tuple(sizes), statistic, how or Bootstrap())


@lru_cache(maxsize=10_000)
def _remembered(
    sizes: tuple[int, ...], statistic: DrawnStatistic, how: Bootstrap
) -> tuple[Interval, ...]:
    """Tables and figures ask for the same ones."""
    ends = bounds([np.arange(size) for size in sizes], statistic, how)
    pairs = zip(*map(np.atleast_1d, ends), strict=True)
    return tuple(Interval(float(low), float(high), how.level) for low, high in pairs)


def bounds(
    samples: Sequence[Any], statistic: Callable[[Any], FloatArray], how: Bootstrap
) -> tuple[FloatArray, FloatArray]:
    """Both ends of the percentile interval of everything that ``statistic`` gives."""
    affordable = DRAWN_RUNS // sum(sample.size for sample in samples)
    found: Any = stats.bootstrap(
        samples,
        lambda *resampled, axis: statistic(resampled),
        n_resamples=min(how.resamples, max(affordable, 1_000)),
        vectorized=True,
        confidence_level=how.taken or how.level,
        method="percentile",
        random_state=np.random.default_rng(how.seed),
    )
    low, high = found.confidence_interval
    return low, high


@dataclass(frozen=True)
class _OfValues:
    """A statistic of the values at the positions that were drawn."""

    statistic: Statistic
    data: tuple[bytes, ...]

    def __call__(self, drawn: Sequence[IntArray]) -> FloatArray:
        values = [np.frombuffer(sample, dtype=np.float64) for sample in self.data]
        return self.statistic([v[i] for v, i in zip(values, drawn, strict=True)])


def variance(sample: FloatArray) -> float:
    """Of one run, estimated from the sample; NaN where it is the only one."""
    return float(np.var(sample, ddof=1)) if sample.size > 1 else math.nan


def runs_to_decide(variances: Sequence[float], distance: float, level: float) -> int | None:
    """Runs in each sample with which the interval of a sum of means probably excludes a limit.

    n = ((z_level + z_power) / distance)^2 v + z_level^2 / (2 k), v being the sum of the k variances
    of one run of each sample, and the last term for Student's quantiles in place of the normal ones
    (Guenther, 1981). ``distance`` is that from the limit. At least ``ENOUGH_RUNS``; None where no
    number would do: the distance is 0, or there is no deviation to judge by.
    """
    total = sum(variances)
    if distance == 0 or math.isnan(total):
        return None
    z, power = map(float, stats.norm.ppf([0.5 + level / 2, POWER]))
    runs = ((z + power) / distance) ** 2 * total + z**2 / (2 * len(variances))
    return max(ENOUGH_RUNS, math.ceil(runs))
