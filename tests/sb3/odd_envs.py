"""A small environment that can be told to misbehave, registered under test ids."""

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

VECTOR = spaces.Box(-10.0, 10.0, (3,), np.float64)
IMAGE = spaces.Box(0, 255, (40, 48, 3), np.uint8)


class OddEnv(gymnasium.Env[Any, Any]):
    """Random observations of any space, for ``length`` steps; ``odd`` is returned at ``at``.

    ``odd`` is ("observation", value), ("reward", value) or None; step 0 is the reset.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"]}

    def __init__(
        self,
        observation_space: spaces.Space[Any] = VECTOR,
        action_space: spaces.Space[Any] | None = None,
        odd: tuple[str, Any] | None = None,
        at: int = 3,
        length: int = 5,
        render_mode: str | None = None,
    ) -> None:
        self.observation_space = observation_space
        self.action_space = spaces.Discrete(2) if action_space is None else action_space
        self.odd, self.at, self.length = odd, at, length
        self.render_mode = render_mode
        self.steps = 0

    def _observation(self) -> Any:
        if self.odd is not None and self.odd[0] == "observation" and self.steps == self.at:
            return self.odd[1]
        space = self.observation_space
        if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
            return self.np_random.normal(size=space.shape).astype(space.dtype)
        return self.np_random.integers(0, 256, space.shape).astype(space.dtype)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return self._observation(), {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self.steps += 1
        reward = 1.0
        if self.odd is not None and self.odd[0] == "reward" and self.steps == self.at:
            reward = self.odd[1]
        return self._observation(), reward, self.steps >= self.length, False, {}

    def render(self) -> Any:
        if self.render_mode == "rgb_array":
            return np.full((400, 600, 3), self.steps, np.uint8)
        return None


def register(name: str, **options: Any) -> str:
    """Register the environment with these options; returns its id."""
    env_id = f"odd/{name}-v0"
    gymnasium.registry.pop(env_id, None)
    gymnasium.register(env_id, entry_point=OddEnv, kwargs=options)
    return env_id
