"""Registers environments that are odd in one way each; imported through their ids."""

import numpy as np
from gymnasium import spaces

from tests.sb3.odd_envs import VECTOR, OddEnv, register

BOX = spaces.Box(-1.0, 1.0, (2,), np.float32)


class Raising(OddEnv):
    def step(self, action):
        if self.steps == 3:
            raise ConnectionResetError("the simulator has died")
        return super().step(action)


register("Plain", action_space=BOX)
register("NaN", action_space=BOX, at=70, length=100, odd=("observation", np.full(3, np.nan)))
register("Shape", action_space=BOX, at=70, length=100, odd=("observation", np.zeros(4)))
register("Dtype", action_space=BOX, at=70, length=100, odd=("observation", np.zeros(3, np.float32)))
register("Reward", action_space=BOX, at=70, length=100, odd=("reward", float("inf")))
assert VECTOR.shape == (3,)
