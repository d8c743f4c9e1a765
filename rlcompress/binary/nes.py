r"""Natural evolution strategies over separable Bernoulli logits; evaluates no network.

The search distribution over weights w in {0, 1}^D is

    \pi(w | l) = \prod_j p_j^{w_j} (1 - p_j)^{1 - w_j},   p = \sigma(l) = 1 / (1 + e^{-l}),

and what is climbed is J(l) = E_\pi[F(w)], with F the shaped return. From samples w_1 .. w_P:

(1) the score in logits,         d log \pi / dl_j = w_j - p_j,
(2) the plain gradient,          g_j = 1/P \sum_i F_i (w_ij - p_j),
(3) the Fisher information,      diag(p_j (1 - p_j)),
(4) the natural gradient,        g_j / (p_j (1 - p_j) + \epsilon), with damping \epsilon: without
    it the gain grows without bound where p_j nears 0 or 1,
(5) in probabilities the score is (w_j - p_j) / (p_j (1 - p_j)) and the Fisher information
    1 / (p_j (1 - p_j)), so the natural gradient is g_j itself: p_j += lr g_j, kept in
    [1 / (4 D), 1 - 1 / (4 D)].

(4) with \epsilon = 0 and (5) are one direction, to first order: dl = dp / (p (1 - p)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from rlcompress.binary.fitness import SHAPINGS
from rlcompress.binary.network import Bytes

Gradient = Literal["natural", "plain", "probability"]
Floats = npt.NDArray[np.float32]

_RESOLUTION = 2**16  # Probabilities are multiples of this, in sampling and in the gradient alike.


@dataclass(frozen=True)
class NesSpec:
    """How to search; ``learning_rate`` is that of the shaped return."""

    population: int = 64
    learning_rate: float = 3.0
    gradient: Gradient = "natural"
    damping: float = 0.1
    shaping: str = "z_score"
    antithetic: bool = True
    logit_clip: float = 4.0
    initial_std: float = 1.5

    def __post_init__(self) -> None:
        if self.gradient not in get_args(Gradient):
            known = ", ".join(get_args(Gradient))
            raise ValueError(f"gradient must be one of {known}, got {self.gradient!r}")
        if self.shaping not in SHAPINGS:
            raise ValueError(f"shaping must be one of {', '.join(SHAPINGS)}, got {self.shaping!r}")
        if self.population < 2 or (self.antithetic and self.population % 2):
            raise ValueError(
                "population must be at least 2, and even with antithetic sampling, got "
                f"{self.population}"
            )
        if not self.learning_rate > 0 or not self.damping >= 0 or not self.initial_std >= 0:
            raise ValueError(
                "learning_rate must be positive, damping and initial_std not negative, got "
                f"{self.learning_rate}, {self.damping} and {self.initial_std}"
            )
        if not 0 < self.logit_clip <= 10:
            raise ValueError(f"logit_clip must be in (0, 10], got {self.logit_clip}")


class Search:
    """The logits and how they move; the same seed gives the same samples."""

    def __init__(self, weights: int, spec: NesSpec, rng: np.random.Generator) -> None:
        self.spec = spec
        self.rng = rng
        clip = np.float32(spec.logit_clip)
        drawn = rng.normal(0.0, spec.initial_std, weights).astype(np.float32)
        self.logits: Floats = np.clip(drawn, -clip, clip)

    @property
    def probabilities(self) -> Floats:
        """The p of sigma(l), as sampled: in multiples of 2^-16."""
        p: Floats = self._levels().astype(np.float32) / np.float32(_RESOLUTION)
        return p

    @property
    def mode(self) -> Bytes:
        """The most likely weights (MAP): 1 where l > 0."""
        return (self.logits > 0).astype(np.uint8)

    def sample(self) -> Bytes:
        """Weights (population, D); with antithetic sampling row i + P/2 is made of 1 - u_i."""
        levels = self._levels()
        rows = self.spec.population
        if not self.spec.antithetic:
            u = self.rng.integers(0, _RESOLUTION, (rows, levels.size), np.uint16)
            return (u < levels).view(np.uint8)
        u = self.rng.integers(0, _RESOLUTION, (rows // 2, levels.size), np.uint16)
        weights = np.empty((rows, levels.size), np.bool_)
        np.less(u, levels, out=weights[: rows // 2])
        np.less(~u, levels, out=weights[rows // 2 :])
        return weights.view(np.uint8)

    def gradient(self, weights: Bytes, returns: npt.ArrayLike) -> Floats:
        """Equation (2) of the shaped returns (population,) of sampled ``weights``."""
        shaped = SHAPINGS[self.spec.shaping](np.asarray(returns, np.float64)).astype(np.float32)
        summed = shaped @ weights.astype(np.float32)
        g: Floats = (summed - shaped.sum() * self.probabilities) / np.float32(len(shaped))
        return g

    def step_(self, weights: Bytes, returns: npt.ArrayLike) -> None:
        """Move the logits along (2), (4) or (5) for the returns of sampled weights."""
        spec, p, g = self.spec, self.probabilities, self.gradient(weights, returns)
        rate = np.float32(spec.learning_rate)
        if spec.gradient == "probability":
            least = np.float32(1 / (4 * p.size))
            exact = 1 / (1 + np.exp(-self.logits))
            p = np.clip(exact + rate * g, least, 1 - least)
            self.logits = np.log(p) - np.log1p(-p)
        elif spec.gradient == "natural":
            variance = p * (1 - p)
            self.logits = self.logits + rate * g / (variance + np.float32(spec.damping))
        else:
            self.logits = self.logits + rate * g
        self.logits = np.clip(self.logits, -spec.logit_clip, spec.logit_clip, dtype=np.float32)

    def _levels(self) -> npt.NDArray[np.uint16]:
        """Probabilities in steps of 2^-16, none of them 0 or 1."""
        p = 1 / (1 + np.exp(-self.logits))
        return np.clip(np.rint(p * _RESOLUTION), 1, _RESOLUTION - 1).astype(np.uint16)
