import pytest
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.logger import configure

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


class SpoilGradient(Spoil):
    """Makes a critic's gradient, and so its weight, NaN in the next update."""

    def __call__(self, local, _):
        model = local["self"]
        if model.num_timesteps == self.at:
            model.critic.qf0[0].weight.register_hook(lambda gradient: gradient * float("nan"))
        return True


def test_a_loss_that_is_not_finite_comes_with_the_tensors_names():
    from stable_baselines3.common.callbacks import CallbackList, ConvertCallback

    model = SAC("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [8]}, learning_starts=10)
    guard = FiniteGuard(freq=1000, kept="here")
    with pytest.raises(
        TrainingStopped, match=r"loss is nan; not finite as well: \S+, .* after \d+ steps"
    ):
        model.learn(100, callback=CallbackList([guard, ConvertCallback(SpoilGradient(at=15))]))


def test_gradients_are_named_where_the_weights_are_still_finite():
    model = SAC("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [8]}, learning_starts=10)
    guard = FiniteGuard(freq=1000, kept="here")
    guard.init_callback(model)
    model.set_logger(configure(None, []))
    model.actor.mu.weight.grad = torch.full_like(model.actor.mu.weight, float("inf"))
    model.logger.record("train/actor_loss", float("nan"))
    with pytest.raises(TrainingStopped, match=r"not the gradient of actor\.mu\.weight after"):
        guard.on_rollout_start()


def test_an_actor_that_its_distribution_refuses_is_named():
    """The actor is spoilt by an update whose losses are finite; acting fails before the next."""
    model = SAC("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [8]}, learning_starts=10)
    model.actor.mu.weight.register_hook(lambda gradient: gradient * float("nan"))
    guard = FiniteGuard(freq=1000, kept="here")
    with (
        pytest.raises(TrainingStopped, match=r"actor\.mu\.weight .* after 1[12] steps.*here"),
        guard.watching(),
    ):
        model.learn(100, callback=guard)


def test_other_refusals_are_left_alone():
    model = SAC("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [8]})
    guard = FiniteGuard(freq=1000, kept="here")
    guard.init_callback(model)
    with pytest.raises(ValueError, match="something else"), guard.watching():
        raise ValueError("something else")
