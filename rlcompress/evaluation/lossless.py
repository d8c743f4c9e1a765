"""Whether compressed runs lose nothing against dense ones: a stated non-inferiority test.

A difference is (compressed mean - dense mean) / abs(dense mean) of one environment, or the mean of
these over environments. ``lossless``: the lower bound of its bootstrap interval (expanded
percentiles, ``resampling.py``) lies above minus the margin, 10 % for one environment and 5 % for
several pooled. ``lossy``: the upper bound lies below it, so that more runs would not help.
Otherwise ``undecided``, with the runs that would decide it, with a probability of 80 %, if means
and deviations stayed as they are. "No significant difference" is never called lossless: few runs
would make everything so.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rlcompress.evaluation.resampling import (
    Bootstrap,
    FloatArray,
    IntArray,
    Interval,
    interval_of_drawn,
    runs_to_decide,
    variance,
)
from rlcompress.evaluation.statistics import Scores, normalise

Verdict = Literal["lossless", "lossy", "undecided"]

MARGIN, POOLED_MARGIN = 0.10, 0.05


@dataclass(frozen=True)
class Comparison:
    """Compressed against dense: the relative ``difference``, its interval, and what follows.

    ``runs_needed`` is how many runs per environment and side would probably decide it (None where
    it is decided, or where no number would: the difference lies on the margin, or there is no
    deviation to judge by).
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
        return f"undecided ({self.runs_needed:,} runs each would probably decide)"


def compare(
    compressed: Scores,
    dense: Scores,
    *,
    margin: float | None = None,
    twins: Collection[str] = (),
    how: Bootstrap | None = None,
) -> Comparison:
    """Test whether ``compressed`` loses nothing against ``dense``, over the tasks in both.

    ``margin`` defaults to 10 % for one task and 5 % for several. Runs are resampled within each
    task and side, except for the tasks in ``twins``: there the runs at one position share their
    seed, and so their beginning, and are drawn together. A resample's dense mean is also what it is
    normalised by.

    Raises:
        ValueError: where no task is in both, a dense mean is zero, or twins are not as many.
    """
    tasks = [task for task in dense if task in compressed]
    if not tasks:
        raise ValueError(f"no task in common: {sorted(compressed)} and {sorted(dense)}")
    how = how or Bootstrap()
    if margin is None:
        margin = MARGIN if len(tasks) == 1 else POOLED_MARGIN
    sides = [_Sides.of(task, compressed, dense, task in twins) for task in tasks]
    drawn = _Difference(tuple(sides))
    sizes = [size for side in sides for size in side.sizes]
    difference = float(drawn([np.arange(size) for size in sizes]))
    if not math.isfinite(difference):
        raise ValueError("returns must be finite and dense means not 0 to compare with them")
    variances = [one for side in sides for one in side.variances()]
    found = interval_of_drawn(sizes, drawn, how.expanded(sizes, variances))
    verdict = _verdict(found, margin)
    needed = None
    if verdict == "undecided":
        needed = runs_to_decide(variances, (difference + margin) * len(sides), how.level)
        if needed is not None and found is not None:
            # These runs did not decide it, whatever the normal approximation says.
            needed = max(needed, 1 + max(sizes))
    runs = (sum(len(side.ours) for side in sides), sum(len(side.theirs) for side in sides))
    return Comparison(difference, margin, runs, found, verdict, needed)


@dataclass(frozen=True)
class _Sides:
    """One task: the returns of both sides; ``together``: run by run of the same seed."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    together: bool

    @classmethod
    def of(cls, task: str, compressed: Scores, dense: Scores, together: bool) -> _Sides:
        found = cls(tuple(map(float, compressed[task])), tuple(map(float, dense[task])), together)
        if together and len(found.ours) != len(found.theirs):
            raise ValueError(
                f"{task}: twins must be as many on both sides, got {len(found.ours)} compressed "
                f"and {len(found.theirs)} dense runs"
            )
        return found

    @property
    def sizes(self) -> tuple[int, ...]:
        """Runs to draw from, once for both sides or for each."""
        return (len(self.ours),) if self.together else (len(self.ours), len(self.theirs))

    def variances(self) -> list[float]:
        """Of (mean of ours) / (mean of theirs), to first order, by one run of each sample."""
        ours, theirs = np.array(self.ours), np.array(self.theirs)
        part = np.mean(ours) / np.mean(theirs) * theirs
        samples = [ours - part] if self.together else [ours, part]
        return [variance(one) / float(np.mean(theirs)) ** 2 for one in samples]


@dataclass(frozen=True)
class _Difference:
    """Mean over tasks of the relative difference of the runs drawn."""

    sides: tuple[_Sides, ...]

    def __call__(self, drawn: Sequence[IntArray]) -> FloatArray:
        relative, left = [], iter(drawn)
        for side in self.sides:
            ours = next(left)
            theirs = ours if side.together else next(left)
            base = np.array(side.theirs)[theirs].mean(axis=-1)
            with np.errstate(divide="ignore", invalid="ignore"):
                mean = np.array(side.ours)[ours].mean(axis=-1)
                relative.append((mean - base) / np.abs(base))
        return np.asarray(np.mean(relative, axis=0))


def normalised(scores: Scores, dense: Mapping[str, float]) -> dict[str, FloatArray]:
    """The scores of the tasks that have a dense mean, as parts of it."""
    return {task: normalise(runs, dense[task]) for task, runs in scores.items() if task in dense}


def _verdict(found: Interval | None, margin: float) -> Verdict:
    if found is None:
        return "undecided"
    if found.low > -margin:
        return "lossless"
    return "lossy" if found.high < -margin else "undecided"
