"""A run's parts out of its settings: encoder, decoder, episodes, search. Runs none of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from rlcompress.binary.decoders import Decoder, make_decoder
from rlcompress.binary.encoders import Encoder, make_encoder
from rlcompress.binary.evolution import Evolution
from rlcompress.binary.network import BinaryNetwork
from rlcompress.binary.policy import BinaryPolicy
from rlcompress.binary.rollouts import make_episodes, observed_quantiles
from rlcompress.binary.settings import EncoderSettings, Settings

_WIDE = 1e6  # Bounds beyond this are no bounds.


@dataclass(frozen=True)
class Parts:
    """Everything that a search needs."""

    observation_shape: tuple[int, ...]
    encoder: Encoder
    decoder: Decoder
    evolution: Evolution

    def close(self) -> None:
        """Let go of the environments."""
        self.evolution.close()

    def policy(self, network: BinaryNetwork) -> BinaryPolicy:
        """``network`` with what stands before and after it."""
        return BinaryPolicy(self.observation_shape, self.encoder, network, self.decoder)


def assemble(settings: Settings) -> Parts:
    """The parts of a run.

    Raises:
        ValueError: where the request cannot be met.
    """
    env = _make(settings.env)
    observations, actions, threshold = (
        env.observation_space,
        env.action_space,
        env.spec.reward_threshold,
    )
    env.close()
    if not isinstance(observations, gym.spaces.Box):
        raise ValueError(f"env={settings.env} must have Box observations, got {observations}")
    shape = tuple(int(axis) for axis in observations.shape)
    encoder = _encoder(settings, observations)
    decoder = make_decoder(actions, kind=settings.decoder, levels=settings.levels)
    episodes = make_episodes(
        settings.env,
        encoder,
        decoder,
        common=settings.common_random_numbers,
        slots=settings.slots,
        isa=settings.isa,
    )
    evolution = Evolution(
        (encoder.bits, *settings.hidden, decoder.outputs),
        settings.nes.spec(),
        settings.evolution_spec(threshold),
        episodes,
        seed=settings.seed,
        isa=settings.isa,
    )
    return Parts(shape, encoder, decoder, evolution)


def _make(env_id: str) -> Any:
    try:
        return gym.make(env_id)
    except gym.error.Error as error:
        raise ValueError(f"env={env_id}: {error}") from None


def _encoder(settings: Settings, space: gym.spaces.Box) -> Encoder:
    wanted = settings.encoder
    if not 1 <= wanted.edges <= 1024:
        raise ValueError(f"encoder.edges must be in 1..1024, got {wanted.edges}")
    if wanted.edges_from not in ("bounds", "quantiles"):
        raise ValueError(
            f"encoder.edges_from must be bounds or quantiles, got {wanted.edges_from!r}"
        )
    if wanted.edges_from == "quantiles" and wanted.kind != "sign":
        seen = observed_quantiles(settings.env, steps=wanted.quantile_steps, seed=settings.seed)
        kind: Any = wanted.kind
        return Encoder(seen.edges(wanted.edges), kind)
    low, high = _bounds(wanted, settings, space)
    return make_encoder(wanted.kind, low, high, edges=wanted.edges)


def _bounds(
    wanted: EncoderSettings, settings: Settings, space: gym.spaces.Box
) -> tuple[list[float], list[float]]:
    size = int(np.prod(space.shape))
    known = next((task for task in settings.tasks if task.env == settings.env), None)
    if wanted.low is not None or wanted.high is not None:
        low, high = list(wanted.low or []), list(wanted.high or [])
    elif known is not None:
        low, high = known.low, known.high
    else:
        low, high = (
            [float(x) for x in np.asarray(bound, np.float64).reshape(-1)]
            for bound in (space.low, space.high)
        )
        if wanted.kind != "sign" and max(map(abs, low + high)) > _WIDE:
            raise ValueError(
                f"the observations of {settings.env} have no bounds: give encoder.low and "
                "encoder.high, or encoder.edges_from=quantiles"
            )
    if len(low) != size or len(high) != size:
        raise ValueError(
            f"encoder.low and encoder.high must have {size} numbers each, got {len(low)} and "
            f"{len(high)}"
        )
    return low, high
