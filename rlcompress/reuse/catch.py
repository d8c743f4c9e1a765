"""A small game in pixels that REINFORCE learns in a minute: catch falling balls; learns nothing."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from rlcompress.reuse.runs import Frames


class Catch(gym.Env[Frames, int]):
    """Balls fall one by one; the paddle at the bottom moves left, stays or moves right.

    Frames are uint8 [1, side, side]. A ball caught is a reward of 1, one missed of -1; an episode
    has ``balls``. One frame says all that is to be known.
    """

    def __init__(self, side: int = 40, balls: int = 5) -> None:
        if side < 12 or side % 2:
            raise ValueError(f"side must be even and at least 12, got {side}")
        if balls < 1:
            raise ValueError(f"balls must be at least 1, got {balls}")
        self.side, self.balls = side, balls
        self.observation_space = gym.spaces.Box(0, 255, (1, side, side), np.uint8)
        self.action_space: Any = gym.spaces.Discrete(3)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Frames, dict[str, Any]]:
        """The paddle in the middle, the first ball at the top."""
        super().reset(seed=seed)
        self._paddle = self.side // 4
        self._left = self.balls
        self._throw()
        return self._frame(), {}

    def step(self, action: int) -> tuple[Frames, float, bool, bool, dict[str, Any]]:
        """Everything is two pixels large and moves by two."""
        places = self.side // 2
        self._paddle = min(max(self._paddle + int(action) - 1, 1), places - 2)
        self._row += 1
        reward = 0.0
        if self._row == places - 1:
            reward = 1.0 if abs(self._column - self._paddle) <= 1 else -1.0
            self._left -= 1
            self._throw()
        return self._frame(), reward, self._left == 0, False, {}

    def _throw(self) -> None:
        self._row, self._column = 0, int(self.np_random.integers(self.side // 2))

    def _frame(self) -> Frames:
        frame = np.zeros((1, self.side, self.side), np.uint8)
        row, column, paddle = 2 * self._row, 2 * self._column, 2 * self._paddle
        frame[0, row : row + 2, column : column + 2] = 255
        frame[0, -2:, paddle - 2 : paddle + 4] = 180
        return frame
