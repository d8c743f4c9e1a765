"""One search in one environment, generation by generation; writes no files and prints nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlcompress.binary.evaluator import Population
from rlcompress.binary.nes import NesSpec, Search
from rlcompress.binary.network import BinaryNetwork, Bytes, count_weights, from_flat
from rlcompress.binary.rollouts import Episodes, Played


@dataclass(frozen=True)
class EvolutionSpec:
    """How often networks are played.

    Each individual plays ``episodes`` episodes a generation and MAP ``map_episodes``. Where these
    reach ``stop_return`` (None: never stop early), MAP plays ``stop_episodes`` fresh ones and the
    search ends if their mean reaches it as well.
    """

    episodes: int = 2
    map_episodes: int = 10
    stop_return: float | None = None
    stop_episodes: int = 100

    def __post_init__(self) -> None:
        if min(self.episodes, self.map_episodes, self.stop_episodes) < 1:
            raise ValueError(
                "episodes, map_episodes and stop_episodes must be at least 1, got "
                f"{self.episodes}, {self.map_episodes} and {self.stop_episodes}"
            )


@dataclass(frozen=True)
class Generation:
    """What one generation saw; ``stop`` holds the mean of the episodes that ended the search."""

    number: int
    steps: int
    returns: npt.NDArray[np.float64]
    map_return: float
    best_return: float
    stop: float | None

    @property
    def mean_return(self) -> float:
        """Mean of all individuals."""
        return float(self.returns.mean())


class Evolution:
    """Search distribution, counters, MAP and the best individual there ever was."""

    def __init__(
        self,
        widths: Sequence[int],
        nes: NesSpec,
        spec: EvolutionSpec,
        episodes: Episodes,
        *,
        seed: int = 0,
        isa: str = "auto",
    ) -> None:
        self.widths = tuple(widths)
        self.spec = spec
        self.rng = np.random.default_rng(seed)
        self.search = Search(count_weights(widths), nes, self.rng)
        self.generation = self.steps = 0
        self.best_return = -np.inf
        self.best: Bytes = self.search.mode
        self._episodes = episodes
        self._population = Population(widths, nes.population, isa=isa)
        self._single = Population(widths, isa=isa)

    @property
    def map_network(self) -> BinaryNetwork:
        """The network of the most likely weights."""
        return from_flat(self.widths, self.search.mode)

    @property
    def best_network(self) -> BinaryNetwork:
        """The individual or MAP with the highest return of one generation; luck included."""
        return from_flat(self.widths, self.best)

    def move(self) -> npt.NDArray[np.float64]:
        """Sample, play, move the distribution; the returns of the individuals."""
        weights = self.search.sample()
        self._population.set_(weights)
        played = self._episodes(self._population, self.spec.episodes, self.rng)
        returns: npt.NDArray[np.float64] = played.returns.mean(axis=1)
        self.generation += 1
        self.steps += played.steps
        place = int(returns.argmax())
        self._keep(weights[place], float(returns[place]))
        self.search.step_(weights, returns)
        return returns

    def step(self) -> Generation:
        """Move the distribution, then play MAP."""
        returns = self.move()
        map_return = float(self.play(self.search.mode, self.spec.map_episodes).returns.mean())
        self._keep(self.search.mode, map_return)
        return Generation(
            self.generation,
            self.steps,
            returns,
            map_return,
            self.best_return,
            self._stop(map_return),
        )

    def play(self, weights: Bytes, episodes: int) -> Played:
        """Episodes of one network."""
        self._single.set_(weights[None])
        return self._episodes(self._single, episodes, self.rng)

    def close(self) -> None:
        """Let go of the environments."""
        self._episodes.close()

    def state(self) -> bytes:
        """Everything that a resumed search goes on from."""
        buffer = io.BytesIO()
        numbers = {
            "generation": self.generation,
            "steps": self.steps,
            "best_return": self.best_return,
            "rng": self.rng.bit_generator.state,
            "widths": self.widths,
        }
        text = np.frombuffer(json.dumps(numbers).encode(), np.uint8)
        np.savez(buffer, logits=self.search.logits, best=self.best, numbers=text)
        return buffer.getvalue()

    def load_state_(self, data: bytes) -> None:
        """Go on from ``state()``."""
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            numbers = json.loads(found["numbers"].tobytes())
            if tuple(numbers["widths"]) != self.widths:
                raise ValueError(
                    f"the state is of a network of widths {numbers['widths']}, not {self.widths}"
                )
            self.search.logits = found["logits"]
            self.best = found["best"]
        self.generation, self.steps = numbers["generation"], numbers["steps"]
        self.best_return = numbers["best_return"]
        self.rng.bit_generator.state = numbers["rng"]

    def _keep(self, weights: Bytes, mean: float) -> None:
        if mean > self.best_return:
            self.best_return, self.best = mean, weights.copy()

    def _stop(self, map_return: float) -> float | None:
        """The mean that ends the search, or None."""
        wanted = self.spec.stop_return
        if wanted is None or map_return < wanted:
            return None
        mean = float(self.play(self.search.mode, self.spec.stop_episodes).returns.mean())
        return mean if mean >= wanted else None
