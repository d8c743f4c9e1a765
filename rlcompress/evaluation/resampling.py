"""Stratified bootstrap intervals: each sample of runs is drawn again by itself.

Knows no statistic; ``statistics.py`` and ``lossless.py`` bring theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
DRAWN_RUNS = 1_000_000
"""Runs that a bootstrap draws in all: of many runs fewer resamples, never under 1 000."""


@dataclass(frozen=True)
class Interval:
    """A bootstrap interval of ``level`` (0.95: 95 %)."""

    low: float
    high: float
    level: float = 0.95


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


def interval(
    samples: Sequence[FloatArray], statistic: Statistic, how: Bootstrap | None = None
) -> Interval | None:
    """Percentile bootstrap interval of a statistic of several samples, each resampled by itself.

    None where a sample has fewer than ``ENOUGH_RUNS`` runs.
    """
    drawn = _OfValues(statistic, tuple(sample.tobytes() for sample in samples))
    return interval_of_drawn([sample.size for sample in samples], drawn, how)


def interval_of_drawn(
    sizes: Sequence[int], statistic: DrawnStatistic, how: Bootstrap | None = None
) -> Interval | None:
    """``interval`` of a statistic that is told which of so many runs were drawn.

    What one draw stands for may be several values, such as those of twins.
    """
    if any(size < ENOUGH_RUNS for size in sizes):
        return None
    return _interval(tuple(sizes), statistic, how or Bootstrap())


@lru_cache(maxsize=10_000)
def _interval(sizes: tuple[int, ...], statistic: DrawnStatistic, how: Bootstrap) -> Interval:
    """Remembered: tables and figures ask for the same ones."""
    low, high = bounds([np.arange(size) for size in sizes], statistic, how)
    return Interval(float(low), float(high), how.level)


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
        confidence_level=how.level,
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


def quantiles_to_decide(level: float) -> float:
    """Standard errors off a limit at which an interval of ``level`` excludes it with ``POWER``."""
    return float(stats.norm.ppf(0.5 + level / 2) + stats.norm.ppf(POWER))
