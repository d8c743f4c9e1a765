"""Plays policies in environments: episodes for evaluation, recorded observations for parity.

A policy is anything with SB3's ``predict``; an environment is an SB3 ``VecEnv`` or a function that
makes one. Nothing here draws random numbers of its own or imports a learning library.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv


class Policy(Protocol):
    """What can be evaluated: SB3 models, the reference interpreter, the native engine."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]:
        """Actions for a batch of observations, and the recurrent state."""


@dataclass(frozen=True)
class Episode:
    """One episode: the sum of its rewards and how many actions were taken."""

    return_: float
    length: int


@dataclass(frozen=True)
class Evaluation:
    """The episodes of one evaluation, in the order of their seeds."""

    episodes: tuple[Episode, ...]

    @property
    def returns(self) -> NDArray[np.float64]:
        """Returns of the episodes."""
        return np.array([episode.return_ for episode in self.episodes])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Lengths of the episodes, in actions."""
        return np.array([episode.length for episode in self.episodes])

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(self.returns.mean())

    @property
    def std(self) -> float:
        """Standard deviation of the returns (of the episodes, not of their mean)."""
        return float(self.returns.std())

    def __iter__(self) -> Iterator[Episode]:
        return iter(self.episodes)

    def __len__(self) -> int:
        return len(self.episodes)

    def __str__(self) -> str:
        return f"{self.mean:.1f} +- {self.std:.1f} over {len(self)} episodes"


def evaluate(
    policy: Policy,
    env: VecEnv | Callable[[], VecEnv],
    episodes: int,
    *,
    seed: int = 0,
    deterministic: bool = True,
) -> Evaluation:
    """Play ``episodes`` whole episodes and account for each.

    The environments are seeded and reset first, so that equal policies and seeds give equal
    episodes whatever was played before. With n environments number i plays episodes i, i + n, ...
    and no others: taking whichever finish first would favour short ones. In environments from
    ``make_evaluation_env`` episode k has seed ``seed`` + k, and n does not change the result.

    Returns are those of a ``Monitor`` where there is one (unclipped, whole games), else the sum of
    the rewards. ``deterministic=False`` draws from whatever generator the policy uses.
    """
    if episodes < 1:
        raise ValueError(f"episodes must be at least 1, got {episodes}")
    played: dict[int, Episode] = {}
    vec_env, ours = _open(env)
    try:
        n_envs = vec_env.num_envs
        index = list(range(n_envs))
        returns, lengths = [0.0] * n_envs, [0] * n_envs
        for step in _steps(policy, vec_env, seed=seed, deterministic=deterministic):
            for i in range(n_envs):
                returns[i] += float(step.rewards[i])
                lengths[i] += 1
                if not step.dones[i]:
                    continue
                if index[i] < episodes:
                    played[index[i]] = Episode(_return(step.infos[i], returns[i]), lengths[i])
                index[i] += n_envs
                returns[i], lengths[i] = 0.0, 0
            if len(played) == episodes:
                break
    finally:
        if ours:
            vec_env.close()
    return Evaluation(tuple(played[k] for k in range(episodes)))


def observation_stream(
    policy: Policy,
    env: VecEnv | Callable[[], VecEnv],
    *,
    seed: int = 0,
    deterministic: bool = True,
) -> Iterator[NDArray[Any]]:
    """Raw observations, batch after batch without end, as ``policy`` meets them."""
    vec_env, ours = _open(env)
    try:
        for step in _steps(policy, vec_env, seed=seed, deterministic=deterministic):
            yield step.observations
    finally:
        if ours:
            vec_env.close()


def record_observations(
    policy: Policy,
    env: VecEnv | Callable[[], VecEnv],
    count: int,
    *,
    seed: int = 0,
    deterministic: bool = True,
) -> NDArray[Any]:
    """The first ``count`` observations of ``observation_stream``, shape (count, ...)."""
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    batches, found = [], 0
    stream = observation_stream(policy, env, seed=seed, deterministic=deterministic)
    for observations in stream:
        batches.append(observations)
        found += len(observations)
        if found >= count:
            break
    return np.concatenate(batches)[:count]


def record_spread(
    policy: Policy, env: VecEnv | Callable[[], VecEnv], count: int, *, seed: int = 0, every: int = 4
) -> NDArray[Any]:
    """``count`` observations, every ``every``-th of those that ``policy`` meets: less of a kind."""
    return record_observations(policy, env, every * (count - 1) + 1, seed=seed)[::every]


def select_golden(observations: NDArray[Any], count: int = 16) -> NDArray[Any]:
    """At most ``count`` different observations, spread evenly over a recorded stream."""
    if len(observations) < 1 or count < 1:
        raise ValueError(
            f"need at least one observation and count of at least 1, got "
            f"{len(observations)} and {count}"
        )
    digests = [hashlib.blake2b(row.tobytes()).digest() for row in observations]
    first = np.unique(np.array(digests), return_index=True)[1]
    first.sort()
    spread = np.linspace(0, len(first) - 1, min(count, len(first))).round().astype(int)
    chosen: NDArray[Any] = observations[first[spread]]
    return chosen


@dataclass(frozen=True)
class _Step:
    """One step of all environments: what the policy saw, and what came of its actions."""

    observations: NDArray[Any]
    rewards: NDArray[Any]
    dones: NDArray[Any]
    infos: list[dict[str, Any]]


def _steps(policy: Policy, vec_env: VecEnv, *, seed: int, deterministic: bool) -> Iterator[_Step]:
    """Seed, reset and play without end."""
    _require_fixed_statistics(vec_env)
    vec_env.seed(seed)
    observations: Any = vec_env.reset()
    state, starts = None, np.ones(vec_env.num_envs, bool)
    while True:
        actions, state = policy.predict(
            observations, state=state, episode_start=starts, deterministic=deterministic
        )
        # Vectorised environments may go on to use the array that they returned.
        seen = np.array(observations)
        observations, rewards, starts, infos = vec_env.step(actions)
        yield _Step(seen, rewards, starts, infos)


def _open(env: VecEnv | Callable[[], VecEnv]) -> tuple[VecEnv, bool]:
    """The environment, and whether it was made here and has to be closed."""
    return (env(), True) if callable(env) else (env, False)


def _return(info: dict[str, Any], summed: float) -> float:
    monitored = info.get("episode")
    return summed if monitored is None else float(monitored["r"])


def _require_fixed_statistics(vec_env: VecEnv) -> None:
    layer: Any = vec_env
    while layer is not None:
        # Only VecNormalize has this attribute; while it is set, every step moves its statistics.
        if vars(layer).get("training") is True:
            raise ValueError("evaluation needs VecNormalize with training=False, got training=True")
        layer = getattr(layer, "venv", None)
