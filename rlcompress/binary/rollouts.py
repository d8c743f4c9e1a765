"""Episodes of a population: natively where the task is known, else in Gymnasium's vector API.

With common random numbers the individuals of a population play the same episodes, so that what
differs between their returns is what differs between them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from rlcompress.binary.decoders import Decoder
from rlcompress.binary.encoders import Encoder, RunningQuantiles
from rlcompress.binary.evaluator import Population, encode, native_encoder, tasks
from rlcompress.binary.network import IntArray

Starts = Callable[[np.random.Generator, int], npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Played:
    """Returns (individuals, episodes) and the environment steps they took together."""

    returns: npt.NDArray[np.float64]
    steps: int


class Episodes(Protocol):
    """Plays episodes of every network of a population."""

    def __call__(self, population: Population, episodes: int, rng: np.random.Generator) -> Played:
        """Play ``episodes`` episodes with every network."""

    def close(self) -> None:
        """Let go of what is held open."""


def _cart_pole(rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    return rng.uniform(-0.05, 0.05, (count, 4))


def _mountain_car(rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    return np.stack([rng.uniform(-0.6, -0.4, count), np.zeros(count)], axis=1)


def _acrobot(rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    return rng.uniform(-0.1, 0.1, (count, 4)).astype(np.float32).astype(np.float64)


STARTS: dict[str, tuple[Starts, int]] = {
    "CartPole-v1": (_cart_pole, 500),
    "MountainCar-v0": (_mountain_car, 200),
    "Acrobot-v1": (_acrobot, 500),
}
"""Where the episodes of native tasks begin, distributed as Gymnasium's, and their step limits."""


class NativeEpisodes:
    """Episodes of a native task; ``common`` random numbers or a start of its own for each."""

    def __init__(
        self, env_id: str, encoder: Encoder, decoder: Decoder, *, common: bool = True
    ) -> None:
        self._task = env_id
        self._starts, self._limit = STARTS[env_id]
        self._encoder = native_encoder(encoder)
        self._count = decoder.kind == "count"
        self._common = common

    def __call__(self, population: Population, episodes: int, rng: np.random.Generator) -> Played:
        """Play ``episodes`` episodes with every network."""
        rows = episodes if self._common else episodes * population.count
        starts = np.ascontiguousarray(self._starts(rng, rows), np.float64)
        returns = np.empty((population.count, episodes))
        lengths = np.empty((population.count, episodes), np.int64)
        population.native.rollout(
            self._task, self._encoder, self._count, starts, self._limit, returns, lengths
        )
        return Played(returns, int(lengths.sum()))

    def close(self) -> None:
        """Nothing is held open."""


class VectorEpisodes:
    """Episodes of any Gymnasium id, on ``slots`` environments that take one after another."""

    def __init__(
        self,
        env_id: str,
        encoder: Encoder,
        decoder: Decoder,
        *,
        common: bool = True,
        slots: int = 16,
    ) -> None:
        self.encoder = encoder
        self._decoder = decoder
        self._common = common
        self._envs = vector_env(env_id, slots)

    def __call__(self, population: Population, episodes: int, rng: np.random.Generator) -> Played:
        """Play ``episodes`` episodes with every network."""
        shape = (1 if self._common else population.count, episodes)
        seeds = np.broadcast_to(rng.integers(2**31, size=shape), (population.count, episodes))
        queue = _Queue(population.count * episodes, self._envs.num_envs)
        observations = self._reset(queue, seeds, None)
        steps = 0
        while queue.left:
            outputs = self._outputs(population, queue.jobs // episodes, observations)
            actions = self._decoder.decode(outputs)
            observations, rewards, ended, cut, _ = self._envs.step(actions)
            steps += queue.add(rewards)
            done = ended | cut
            if done.any():
                queue.next_(done)
                observations = self._reset(queue, seeds, done)
        return Played(queue.returns.reshape(population.count, episodes), steps)

    def close(self) -> None:
        """Close the environments."""
        self._envs.close()

    def _outputs(
        self, population: Population, which: npt.NDArray[np.int64], observations: Any
    ) -> IntArray:
        words = encode(self.encoder, observations)
        return population.forward_at(np.maximum(which, 0), words)

    def _reset(self, queue: _Queue, seeds: Any, done: npt.NDArray[np.bool_] | None) -> Any:
        chosen = [int(seeds.flat[max(job, 0)]) for job in queue.jobs]
        options = None if done is None else {"reset_mask": done}
        return self._envs.reset(seed=chosen, options=options)[0]


class _Queue:
    """Which job each slot works at (-1: none), and what the jobs have earned."""

    def __init__(self, jobs: int, slots: int) -> None:
        self.returns = np.zeros(jobs)
        self.left = jobs
        self._next = min(slots, jobs)
        self.jobs = np.arange(slots)
        self.jobs[jobs:] = -1

    def add(self, rewards: npt.NDArray[np.float64]) -> int:
        """Credit one step's rewards; the number of steps that counted."""
        busy = self.jobs >= 0
        self.returns[self.jobs[busy]] += rewards[busy]
        return int(busy.sum())

    def next_(self, done: npt.NDArray[np.bool_]) -> None:
        """Give the slots that are done the jobs that nobody has begun."""
        for slot in np.flatnonzero(done):
            if self.jobs[slot] < 0:
                continue
            self.left -= 1
            begun = self._next >= len(self.returns)
            self.jobs[slot] = -1 if begun else self._next
            self._next += not begun


def vector_env(env_id: str, slots: int) -> Any:
    """Environments that are reset one by one, by whoever steps them."""
    try:
        from gymnasium.vector import AutoresetMode, SyncVectorEnv
    except ImportError:
        raise ValueError(
            "binary training in environments without native code needs gymnasium>=1.1: "
            "pip install -U gymnasium"
        ) from None

    def make() -> Any:
        return gym.make(env_id, disable_env_checker=True)

    return SyncVectorEnv([make] * slots, autoreset_mode=AutoresetMode.DISABLED)


def make_episodes(
    env_id: str,
    encoder: Encoder,
    decoder: Decoder,
    *,
    common: bool = True,
    slots: int = 16,
    isa: str = "native",
) -> Episodes:
    """Native episodes where there are any, else Gymnasium's; with ``isa`` numpy these as well."""
    if isa != "numpy" and env_id in STARTS and env_id in tasks():
        return NativeEpisodes(env_id, encoder, decoder, common=common)
    return VectorEpisodes(env_id, encoder, decoder, common=common, slots=slots)


def observed_quantiles(env_id: str, *, steps: int, seed: int) -> RunningQuantiles:
    """What random actions come to see in ``steps`` steps."""
    env = gym.make(env_id, disable_env_checker=True)
    env.action_space.seed(seed)
    observation, _ = env.reset(seed=seed)
    quantiles = RunningQuantiles(int(np.prod(observation.shape)), seed=seed)
    for _ in range(steps):
        quantiles.update(observation[None])
        observation, _, ended, cut, _ = env.step(env.action_space.sample())
        if ended or cut:
            observation, _ = env.reset()
    env.close()
    return quantiles
