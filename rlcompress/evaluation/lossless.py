"""Whether compressed runs lose nothing against dense ones: a stated non-inferiority test.

A difference is (compressed mean - dense mean) / abs(dense mean) of one environment, or the mean of
these over environments. ``lossless``: the lower bound of its bootstrap interval lies above minus
the margin, 10 % for one environment and 5 % for several pooled. ``lossy``: the upper bound lies
below it, so that more runs would not help. Otherwise ``undecided``, with the runs that would decide
it if means and deviations stayed as they are. "No significant difference" is never called lossless:
few runs would make everything so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from rlcompress.evaluation.statistics import (
    ENOUGH_RUNS,
    Bootstrap,
    FloatArray,
    Interval,
    Scores,
    interval,
    normalise,
)

Verdict = Literal["lossless", "lossy", "undecided"]

MARGIN, POOLED_MARGIN = 0.10, 0.05


@dataclass(frozen=True)
class Comparison:
    """Compressed against dense: the relative ``difference``, its interval, and what follows.

    ``runs_needed`` is how many runs per environment and side would decide it (None where it is
    decided, or where no number would: the difference lies on the margin, or there is no deviation
    to judge by).
    """

    difference: float
    margin: float
    runs: tuple[int, int]
    interval: Interval | None
    verdict: Verdict
    runs_needed: int | None = None

    def __str__(self) -> str:
        if self.verdict != "undecided":
            return self.verdict
        if self.runs_needed is None:
            return "undecided"
        return f"undecided ({self.runs_needed:,} runs each would decide)"


def compare(
    compressed: Scores, dense: Scores, *, margin: float | None = None, how: Bootstrap | None = None
) -> Comparison:
    """Test whether ``compressed`` loses nothing against ``dense``, over the tasks in both.

    ``margin`` defaults to 10 % for one task and 5 % for several. Runs are resampled within each
    task and side; a resample's dense mean is also what it is normalised by.

    Raises:
        ValueError: where no task is in both, or a dense mean is zero.
    """
    tasks = [task for task in dense if task in compressed]
    if not tasks:
        raise ValueError(f"no task in common: {sorted(compressed)} and {sorted(dense)}")
    how = how or Bootstrap()
    if margin is None:
        margin = MARGIN if len(tasks) == 1 else POOLED_MARGIN
    ours = [np.asarray(compressed[task], dtype=np.float64) for task in tasks]
    theirs = [np.asarray(dense[task], dtype=np.float64) for task in tasks]
    difference = float(_difference([*ours, *theirs]))
    if not math.isfinite(difference):
        raise ValueError("returns must be finite and dense means not 0 to compare with them")
    found = interval([*ours, *theirs], _difference, how)
    verdict = _verdict(found, margin)
    runs = (sum(sample.size for sample in ours), sum(sample.size for sample in theirs))
    needed = None
    if verdict == "undecided":
        needed = runs_needed(ours, theirs, margin=margin, level=how.level)
        if needed is not None and found is not None:
            # These runs did not decide it, whatever the normal approximation says.
            needed = max(needed, 1 + max(sample.size for sample in [*ours, *theirs]))
    return Comparison(difference, margin, runs, found, verdict, needed)


def runs_needed(
    ours: Sequence[FloatArray], theirs: Sequence[FloatArray], *, margin: float, level: float = 0.95
) -> int | None:
    """Runs per task and side at which the interval would no longer hold the margin.

    n = (z / d)^2 mean over tasks of (s_ours^2 + s_theirs^2), divided by the number of tasks: d is
    the distance of the difference from minus the margin, s are the runs' deviations as parts of
    the dense mean, z the normal quantile of ``level``. At least ``ENOUGH_RUNS``.
    """
    if any(sample.size < 2 for sample in [*ours, *theirs]):
        return None
    distance = float(_difference([*ours, *theirs])) + margin
    variances = [
        (np.var(our, ddof=1) + np.var(their, ddof=1)) / np.mean(their) ** 2
        for our, their in zip(ours, theirs, strict=True)
    ]
    if distance == 0:
        return None
    z = float(stats.norm.ppf(0.5 + level / 2))
    runs = (z / distance) ** 2 * float(np.mean(variances)) / len(variances)
    return max(ENOUGH_RUNS, math.ceil(runs))


def normalised(scores: Scores, dense: Mapping[str, float]) -> dict[str, FloatArray]:
    """The scores of the tasks that have a dense mean, as parts of it."""
    return {task: normalise(runs, dense[task]) for task, runs in scores.items() if task in dense}


def _difference(samples: Sequence[FloatArray]) -> FloatArray:
    """Mean over tasks; the first half of the samples is compressed, the second dense."""
    half = len(samples) // 2
    relative = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for ours, theirs in zip(samples[:half], samples[half:], strict=True):
            base = theirs.mean(axis=-1)
            relative.append((ours.mean(axis=-1) - base) / np.abs(base))
    return np.asarray(np.mean(relative, axis=0))


def _verdict(found: Interval | None, margin: float) -> Verdict:
    if found is None:
        return "undecided"
    if found.low > -margin:
        return "lossless"
    return "lossy" if found.high < -margin else "undecided"
