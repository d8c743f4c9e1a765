"""Whether one kind of run outperforms another on pairs of twins: a stated test of a sentence.

A twin pair shares environment, seed and everything before they part. Its difference is (ours -
theirs) / abs(dense mean of the environment); several pairs of one environment and seed (at several
sparsities) are averaged first, because they share their beginning and are not independent.
``better``: the bootstrap interval of the mean (seeds resampled within their environment, expanded
percentiles: ``resampling.py``) lies above 0 and the sign-flip test agrees at the same level;
``worse``: below; else ``undecided``. Fewer than five seeds in an environment decide nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rlcompress.evaluation.resampling import (
    Bootstrap,
    FloatArray,
    Interval,
    interval,
    runs_to_decide,
    variance,
)

Pairs = Mapping[str, Mapping[int, FloatArray]]
"""Environment, seed: relative differences of that seed's pairs."""

FLIPS = 10_000


@dataclass(frozen=True)
class Paired:
    """How ours differ from theirs: the mean over environments of the mean over seeds.

    ``p`` is the two-sided sign-flip test's; ``seeds_needed`` how many per environment would decide
    it with probability ``POWER`` if means and deviations stayed as they are (None where it is
    decided or none would).
    """

    difference: float
    pairs: int
    seeds: tuple[int, ...]
    interval: Interval | None
    p: float
    verdict: Literal["better", "worse", "undecided"]
    seeds_needed: int | None

    def __str__(self) -> str:
        found = f"{self.difference:+.1%}"
        if self.interval is not None:
            found += f" ({self.interval.low:+.1%} to {self.interval.high:+.1%})"
        found += f", p = {self.p:.2g}, {self.pairs} pairs: {self.verdict}"
        return found + (f", {self.seeds_needed:,} seeds each" if self.seeds_needed else "")


def compare_pairs(pairs: Pairs, how: Bootstrap | None = None) -> Paired:
    """Test whether the differences of all environments together lie above or below 0.

    Raises:
        ValueError: where there is no pair, or a difference is not finite.
    """
    how = how or Bootstrap()
    samples = [
        np.array([np.mean(one) for one in seeds.values()]) for seeds in pairs.values() if seeds
    ]
    if not samples:
        raise ValueError("no pair: give runs of both kinds of the same environment and seed")
    if not all(np.isfinite(sample).all() for sample in samples):
        raise ValueError("differences must be finite, and dense means not 0")
    difference = float(np.mean([sample.mean() for sample in samples]))
    sizes, variances = [sample.size for sample in samples], [variance(one) for one in samples]
    found = interval(samples, _mean_of_means, how.expanded(sizes, variances))
    p = sign_flips(samples, how.seed)
    decided = found is not None and (found.low > 0 or found.high < 0) and p <= 1 - how.level
    needed = None
    if not decided:
        needed = runs_to_decide(variances, difference * len(samples), how.level)
    if needed is not None:
        # Even if all seeds agree, the sign-flip test's p is no smaller than 2 / 2**seeds; and these
        # did not decide it, whatever the normal approximation says.
        agreeing = math.ceil((1 - math.log2(1 - how.level)) / len(samples))
        needed = max(needed, agreeing, 1 + min(sizes))
    return Paired(
        difference,
        sum(np.size(one) for seeds in pairs.values() for one in seeds.values()),
        tuple(sizes),
        found,
        p,
        ("better" if difference > 0 else "worse") if decided else "undecided",
        needed,
    )


def sign_flips(samples: list[FloatArray], seed: int = 0) -> float:
    """Two-sided p of the mean of means if each difference might as well have the other sign.

    Exact where there are at most ``FLIPS`` combinations of signs, drawn at random else.
    """
    weights = np.concatenate([sample / (sample.size * len(samples)) for sample in samples])
    observed = abs(weights.sum())
    if 2**weights.size <= FLIPS:
        numbers = np.arange(2**weights.size)[:, None]
        signs = 1.0 - 2.0 * (numbers >> np.arange(weights.size) & 1)
        return float(np.mean(np.abs(signs @ weights) >= observed * (1 - 1e-12)))
    drawn = np.random.default_rng(seed).choice([-1.0, 1.0], (FLIPS, weights.size))
    as_large = np.count_nonzero(np.abs(drawn @ weights) >= observed * (1 - 1e-12))
    return float((as_large + 1) / (FLIPS + 1))


def _mean_of_means(samples: object) -> FloatArray:
    assert isinstance(samples, (list, tuple))
    return np.asarray(np.mean([sample.mean(axis=-1) for sample in samples], axis=0))
