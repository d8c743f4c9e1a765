"""Environments continue exactly where others of the same kind were saved."""

import pickle

import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.vec_env import VecTransposeImage

from rlcompress.sb3.env_state import capture, from_strides, restore_, with_strides
from rlcompress.sb3.environments import make_training_env
from tests.sb3.odd_envs import OddEnv, register


def play(env, steps, actions):
    """Everything that an environment returns; infos without the time."""
    seen = []
    for _ in range(steps):
        action = np.array([actions.choice(40) for _ in range(env.num_envs)])
        if isinstance(env.action_space, gymnasium.spaces.Box):
            low, high = env.action_space.low, env.action_space.high
            action = low + (high - low) * (action[:, None] / 39).astype(np.float32)
        else:
            action = action % env.action_space.n
        observations, rewards, dones, infos = env.step(action.astype(env.action_space.dtype))
        for info in infos:
            info.get("episode", {}).pop("t", None)
        seen.append((np.array(observations), rewards, dones, infos))
    return seen


def assert_equal(one, other):
    np.testing.assert_equal(one, other)


@pytest.mark.parametrize(
    ("env_id", "before", "after"),
    [
        ("Hopper-v4", 37, 60),
        ("Ant-v5", 20, 20),
        ("Humanoid-v4", 10, 10),
        ("Reacher-v5", 60, 60),
        ("CartPole-v1", 33, 60),
        ("Pendulum-v1", 33, 200),
        ("Acrobot-v1", 33, 60),
        ("MountainCarContinuous-v0", 33, 60),
        ("Pong-v4", 9, 60),
        ("ALE/Breakout-v5", 40, 120),
    ],
)
def test_a_saved_environment_goes_on_as_if_nothing_had_happened(env_id, before, after):
    environments = [make_training_env(env_id, 2, seed=seed) for seed in (5, 77)]
    first, second = (
        VecTransposeImage(e) if len(e.observation_space.shape) == 3 else e for e in environments
    )
    first.reset()
    play(first, before, np.random.default_rng(0))
    state = pickle.loads(pickle.dumps(capture(first)))
    restore_(second, state)
    one, other = (play(env, after, np.random.default_rng(1)) for env in (first, second))
    assert_equal(one, other)
    for env in environments:
        env.close()


class Counting(OddEnv):
    def state_dict(self):
        return {"steps": self.steps}

    def load_state_dict(self, state):
        self.steps = state["steps"]


def test_an_environment_may_save_itself():
    gymnasium.register("odd/Counting-v0", entry_point=Counting, kwargs={"length": 9})
    first, second = (make_training_env("odd/Counting-v0", 1, seed=seed) for seed in (1, 2))
    first.reset()
    play(first, 4, np.random.default_rng(0))
    restore_(second, capture(first))
    one, other = (play(env, 8, np.random.default_rng(1)) for env in (first, second))
    assert_equal(one, other)


def test_an_unknown_environment_says_that_it_cannot():
    env = make_training_env(register("Unknown"), 1)
    assert "odd/Unknown-v0 cannot save its state" in capture(env)["unsaved"]


def test_an_unknown_wrapper_says_that_it_cannot():
    env = make_training_env("CartPole-v1", 1)
    env.envs[0] = gymnasium.wrappers.RecordEpisodeStatistics(env.envs[0])
    assert "RecordEpisodeStatistics is not known" in capture(env)["unsaved"]


def test_arrays_keep_their_layout():
    array = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5).transpose(0, 3, 1, 2)
    again = from_strides(pickle.loads(pickle.dumps(with_strides(array))))
    assert np.array_equal(array, again)
    assert again.strides == array.strides
