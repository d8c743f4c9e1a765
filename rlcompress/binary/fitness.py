"""Fitness shaping: returns of a population to what the gradient is weighted with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


def z_score(returns: Values) -> Values:
    """(R - mean) / standard deviation; 0 where all returns are equal."""
    centred = returns - returns.mean()
    deviation = centred.std()
    # Beside the size of the returns, so that rounding is not taken for a difference.
    if deviation <= 1e-12 * max(1.0, float(np.abs(returns).max())):
        return np.zeros_like(returns)
    scaled: Values = centred / deviation
    return scaled


def centred_ranks(returns: Values) -> Values:
    """Ranks scaled to -0.5 .. 0.5; equal returns share the mean of their ranks."""
    if len(returns) < 2:
        return np.zeros_like(returns)
    _, which, counts = np.unique(returns, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = last - (counts + 1) / 2
    centred: Values = ranks[which] / (len(returns) - 1) - 0.5
    return centred


def mean_centred(returns: Values) -> Values:
    """R - mean: a baseline and nothing else."""
    centred: Values = returns - returns.mean()
    return centred


def raw(returns: Values) -> Values:
    """The returns themselves."""
    return returns


SHAPINGS: dict[str, Callable[[Values], Values]] = {
    "z_score": z_score,
    "centred_ranks": centred_ranks,
    "mean_centred": mean_centred,
    "raw": raw,
}
"""Shapings by name."""
