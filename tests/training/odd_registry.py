"""Registers environments that are odd in one way each; imported through their ids."""

import gymnasium
import numpy as np
from gymnasium import spaces

from tests.sb3.odd_envs import OddEnv, register

BOX = spaces.Box(-1.0, 1.0, (2,), np.float32)


class Raising(OddEnv):
    def step(self, action):
        if self.steps == self.at:
            raise ConnectionResetError("the simulator has died")
        return super().step(action)


class Constant(OddEnv):
    def _observation(self):
        return np.zeros(3)


LATE = {"action_space": BOX, "at": 70, "length": 100}

register("Plain", action_space=BOX)
register("NaN", **LATE, odd=("observation", np.array([0.0, np.nan, 0.0])))
register("Shape", **LATE, odd=("observation", np.zeros(4)))
register("Dtype", **LATE, odd=("observation", np.zeros(3, np.float32)))
register("Reward", **LATE, odd=("reward", float("inf")))
gymnasium.register(
    "odd/Constant-v0", entry_point=Constant, kwargs={"action_space": BOX, "length": 100}
)
gymnasium.register("odd/Raising-v0", entry_point=Raising, kwargs=LATE)
