"""Returns over training: one run's curve, and several runs' mean with what surrounds it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlcompress.evaluation.resampling import ENOUGH_RUNS, Bootstrap, FloatArray


@dataclass(frozen=True)
class Curve:
    """Mean return at each evaluation (ascending ``steps``) and the phase of its policy.

    ``low`` and ``high`` bound a mean over runs, where there are enough of them.
    """

    steps: FloatArray
    returns: FloatArray
    phases: tuple[str, ...]
    low: FloatArray | None = None
    high: FloatArray | None = None

    def by_phase(self) -> Iterator[tuple[str, slice]]:
        """Stretches of one phase each, overlapping by a point so that a drawn line has no gaps."""
        first = 0
        for i in range(1, len(self.phases) + 1):
            if i == len(self.phases) or self.phases[i] != self.phases[first]:
                yield self.phases[first], slice(max(0, first - 1), i)
                first = i


def curve_of_episodes(rows: Iterable[Mapping[str, Any]]) -> Curve | None:
    """The curve of one run from its evaluation episodes (``step``, ``variant``, ``return``)."""
    episodes: dict[tuple[int, str], list[float]] = defaultdict(list)
    for row in rows:
        episodes[row["step"], row["variant"]].append(row["return"])
    if not episodes:
        return None
    keys = sorted(episodes, key=lambda key: key[0])
    return Curve(
        np.array([step for step, _ in keys], dtype=np.float64),
        np.array([np.mean(episodes[key]) for key in keys]),
        tuple(phase for _, phase in keys),
    )


def mean_curve(curves: Sequence[Curve], how: Bootstrap | None = None) -> Curve:
    """The mean over runs at the evaluations that all of them have, with its bootstrap interval."""
    keys = [list(zip(curve.steps, curve.phases, strict=True)) for curve in curves]
    shared = set(keys[0]).intersection(*keys[1:])
    common = [key for key in keys[0] if key in shared]
    table = np.array(
        [
            [value for key, value in zip(own, curve.returns, strict=True) if key in shared]
            for own, curve in zip(keys, curves, strict=True)
        ]
    )
    low = high = None
    if len(curves) >= ENOUGH_RUNS and common:
        low, high = _band(table, how or Bootstrap())
    steps = np.array([step for step, _ in common], dtype=np.float64)
    return Curve(steps, table.mean(axis=0), tuple(phase for _, phase in common), low, high)


def _band(table: FloatArray, how: Bootstrap) -> tuple[FloatArray, FloatArray]:
    """Percentile bootstrap of the mean at each evaluation: whole runs are resampled."""
    generator = np.random.default_rng(how.seed)
    drawn = generator.integers(0, len(table), (min(how.resamples, 1000), len(table)))
    means = table[drawn].mean(axis=1)
    tail = 50 * (1 - how.level)
    low, high = np.percentile(means, [tail, 100 - tail], axis=0)
    return low, high
