import pytest
import torch
from stable_baselines3 import SAC

from rlcompress.training.errors import TrainingStopped
from rlcompress.training.guard import FiniteGuard


class Spoil:
    """Puts a NaN into a weight at a step."""

    def __init__(self, at):
        self.at = at

    def __call__(self, local, _):
        model = local["self"]
        if model.num_timesteps == self.at:
            with torch.no_grad():
                model.critic_target.qf0[0].weight[0, 0] = float("nan")
        return True


def test_a_tensor_that_is_not_finite_is_named():
    from stable_baselines3.common.callbacks import CallbackList, ConvertCallback

    model = SAC("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [8]}, learning_starts=1000)
    guard = FiniteGuard(freq=10, kept="here")
    with pytest.raises(
        TrainingStopped, match=r"critic_target.qf0.0.weight .* after 20 steps.*here"
    ):
        model.learn(100, callback=CallbackList([guard, ConvertCallback(Spoil(at=15))]))


def test_a_sound_run_is_left_alone():
    model = SAC("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [8]}, learning_starts=10)
    model.learn(30, callback=FiniteGuard(freq=10, kept="here"))
    assert model.num_timesteps == 30
