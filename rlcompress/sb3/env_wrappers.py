"""Wrappers around one environment: the check of what it returns, and seeds for evaluation."""

from __future__ import annotations

import math
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

Step = tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]


class EnvironmentFault(RuntimeError):
    """An environment returned what it had not declared: its id, the step and what was seen."""

    def __init__(self, env_id: str, step: int, seen: str) -> None:
        super().__init__(f"environment {env_id} misbehaved at step {step}: {seen}")
        self.env_id = env_id
        self.step = step
        self.seen = seen

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.env_id, self.step, self.seen)


class CheckedEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Stop at the first observation or reward that is not what the environment declares.

    Vectorised environments copy observations into a buffer, which hides a wrong shape or type and
    lets a NaN through to the networks. ``steps`` counts since the environment was made.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], env_id: str) -> None:
        super().__init__(env)
        space = env.observation_space
        assert isinstance(space, spaces.Box)
        self.env_id = env_id
        self.steps = 0
        self._shape, self._dtype = space.shape, space.dtype
        self._floats = np.issubdtype(space.dtype, np.floating)

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Reset, and check the first observation."""
        try:
            observation, info = self.env.reset(**kwargs)
        except Exception as error:
            raise self._raised("reset", error) from error
        if not self._fits(observation):
            raise EnvironmentFault(self.env_id, self.steps, self._seen(observation, 0.0))
        return observation, info

    def step(self, action: Any) -> Step:
        """Step, and check observation and reward."""
        try:
            result = self.env.step(action)
        except Exception as error:
            raise self._raised("step", error) from error
        self.steps += 1
        if not (self._fits(result[0]) and _finite(result[1])):
            raise EnvironmentFault(self.env_id, self.steps, self._seen(result[0], result[1]))
        return result

    def _raised(self, method: str, error: Exception) -> EnvironmentFault:
        reason = " ".join(str(error).split())
        seen = f"{method}() raised {type(error).__name__}: {reason}"
        return EnvironmentFault(self.env_id, self.steps, seen)

    def _fits(self, observation: Any) -> bool:
        if not isinstance(observation, np.ndarray):
            return False
        if observation.shape != self._shape or observation.dtype != self._dtype:
            return False
        # The sum of squares is finite unless an entry is not (or is huge: then look at each).
        return (
            not self._floats
            or math.isfinite(np.vdot(observation, observation))
            or bool(np.isfinite(observation).all())
        )

    def _seen(self, observation: Any, reward: SupportsFloat) -> str:
        """What is wrong, in words; the slow path."""
        if not isinstance(observation, np.ndarray):
            return f"the observation is a {type(observation).__name__}, not a numpy array"
        if observation.shape != self._shape:
            return f"the observation has shape {observation.shape}, declared is {self._shape}"
        if observation.dtype != self._dtype:
            return f"the observation has type {observation.dtype}, declared is {self._dtype}"
        if not self._fits(observation):
            where = np.argwhere(~np.isfinite(observation))[0]
            index = ", ".join(str(i) for i in where)
            return f"the observation has {observation[tuple(where)]} at index {index}"
        return f"the reward is {reward!r}"


def _finite(reward: SupportsFloat) -> bool:
    try:
        return math.isfinite(reward)
    except TypeError:
        return False


class EpisodeSeeds(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Start every episode from a seed of its own, so that episodes do not depend on earlier ones.

    ``reset(seed=s)`` starts the series; every later reset without a seed adds ``stride``. With n
    environments seeded s, s + 1, ... and a stride of n, episode k has seed s + k whatever n is.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], stride: int) -> None:
        super().__init__(env)
        self.stride = stride
        self.next_seed: int | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset with ``seed``, or with the next one of the series."""
        if seed is None:
            seed = self.next_seed
        self.next_seed = None if seed is None else seed + self.stride
        return self.env.reset(seed=seed, options=options)


class FlatObservation(gymnasium.ObservationWrapper[NDArray[Any], Any, NDArray[Any]]):
    """Observations of any shape as one vector, entries in C order."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        space = env.observation_space
        assert isinstance(space, spaces.Box)
        self.observation_space = spaces.Box(
            space.low.reshape(-1),
            space.high.reshape(-1),
            dtype=space.dtype.type,
        )

    def observation(self, observation: NDArray[Any]) -> NDArray[Any]:
        """The observation as a vector."""
        return observation.reshape(-1)
