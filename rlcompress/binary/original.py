"""The rule that binary evolution strategies began with, as a baseline; for benchmarks only.

One-hot bins (the angle's in degrees, though the observation is in radians), raw returns without a
baseline, one episode of its own for each individual, no mirrored samples and hardly a limit to the
logits.
"""

from __future__ import annotations

import numpy as np

from rlcompress.binary.decoders import Decoder
from rlcompress.binary.encoders import Encoder, even_edges
from rlcompress.binary.evolution import Evolution, EvolutionSpec
from rlcompress.binary.nes import NesSpec
from rlcompress.binary.rollouts import NativeEpisodes

LIMITS = (2.4, 10.0, 41.8, 5.0)
"""Of position, velocity, angle (degrees) and angular velocity."""

SPEC = NesSpec(
    population=64,
    learning_rate=0.06,
    damping=0.1,
    shaping="raw",
    antithetic=False,
    logit_clip=10.0,
    initial_std=3.0,
)


def encoder() -> Encoder:
    """Sixteen bins for each number."""
    limits = np.array(LIMITS, np.float32)
    return Encoder(even_edges(-limits, limits, 15), "one_hot")


def evolution(seed: int) -> Evolution:
    """A search by the original rule in CartPole, 64 neurons, no biases."""
    decoder = Decoder("count", 1)
    episodes = NativeEpisodes("CartPole-v1", encoder(), decoder, common=False)
    spec = EvolutionSpec(episodes=1, map_episodes=10, stop_return=475.0)
    return Evolution((encoder().bits, 64, 1), SPEC, spec, episodes, seed=seed)
