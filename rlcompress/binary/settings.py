"""The keys of a binary training run; their values live in conf/binary.yaml. Trains nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rlcompress.binary.evolution import EvolutionSpec
from rlcompress.binary.nes import NesSpec


@dataclass
class EncoderSettings:
    """How observations become bits; bounds of None are those of ``tasks`` or of the space."""

    kind: str = "thermometer"
    edges: int = 16
    edges_from: str = "bounds"
    low: list[float] | None = None
    high: list[float] | None = None
    quantile_steps: int = 10000


@dataclass
class NesSettings:
    """As ``NesSpec``."""

    population: int = 64
    learning_rate: float = 4.0
    gradient: str = "natural"
    damping: float = 0.1
    shaping: str = "z_score"
    antithetic: bool = True
    logit_clip: float = 4.0
    initial_std: float = 1.5

    def spec(self) -> NesSpec:
        """The same, checked."""
        given: dict[str, Any] = dict(vars(self))
        return NesSpec(**given)


@dataclass
class Bounds:
    """Where the observations of a task lie."""

    env: str = ""
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)


@dataclass
class Settings:
    """Names as on the command line."""

    env: str
    seed: int
    hidden: list[int]
    encoder: EncoderSettings
    decoder: str
    levels: int
    nes: NesSettings
    episodes: int
    common_random_numbers: bool
    slots: int
    generations: int
    map_episodes: int
    stop_return: float | None
    stop_early: bool
    stop_episodes: int
    final_episodes: int
    checkpoint_every: int
    board_every: int
    draw_every: int
    isa: str
    resume: bool
    tasks: list[Bounds]

    def evolution_spec(self, reward_threshold: float | None) -> EvolutionSpec:
        """How often networks are played; ``stop_return`` of None is the environment's own."""
        wanted = reward_threshold if self.stop_return is None else self.stop_return
        return EvolutionSpec(
            self.episodes,
            self.map_episodes,
            wanted if self.stop_early else None,
            self.stop_episodes,
        )
