"""A fast model is the SB3 model it was; one that cannot be fast stays as it is and says why."""

import copy

import pytest
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.sac.policies import SACPolicy
from torch import nn

from rlcompress.fast.accelerate import accelerate_, is_fast
from rlcompress.fast.engine import FastOptions
from rlcompress.sb3 import checkpoint
from tests.fast.twins import everything
from tests.sb3.models import make_model

PLAIN = FastOptions(compiled=False)


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


class OwnTrain(SAC):
    def train(self, gradient_steps, batch_size=64):
        super().train(gradient_steps, batch_size)


class OwnCritic(ContinuousCritic):
    def forward(self, obs, actions):
        return tuple(2 * value for value in super().forward(obs, actions))


class OwnPolicy(SACPolicy):
    def make_critic(self, features_extractor=None):
        changes = self._update_features_extractor(self.critic_kwargs, features_extractor)
        return OwnCritic(**changes).to(self.device)


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("PPO", {}, "only SAC, TD3, DQN and DDPG are known"),
        ("SAC", {"use_sde": True}, "use_sde"),
        ("SAC", {"target_update_interval": 2}, "target_update_interval"),
        ("SAC", {"policy_kwargs": {"activation_fn": Noisy}}, "a layer Noisy"),
        ("SAC", {"policy_kwargs": {"share_features_extractor": True}}, "share a features"),
        ("DQN", {"policy_kwargs": {"optimizer_class": torch.optim.SGD}}, "optimizer is SGD"),
        ("TD3", {"policy_kwargs": {"optimizer_kwargs": {"amsgrad": True}}}, "amsgrad"),
    ],
)
def test_what_it_cannot_take(name, changes, reason):
    model = make_model(name, **changes)
    kind = type(model)
    line = accelerate_(model, PLAIN)
    assert line.startswith("training=sb3:") and reason in line and "\n" not in line
    assert type(model) is kind and not is_fast(model)
    model.learn(40)


def test_a_train_of_ones_own_is_kept():
    model = OwnTrain("MlpPolicy", "Pendulum-v1", device="cpu")
    assert "OwnTrain has a train() of its own" in accelerate_(model, PLAIN)


def test_hooks_on_the_optimizer():
    model = make_model("SAC")
    model.critic.optimizer.register_step_post_hook(lambda *_: None)
    assert "hooks" in accelerate_(model, PLAIN)


def test_hooks_on_a_network():
    model = make_model("SAC")
    model.critic.register_forward_hook(lambda *_: None)
    assert "its ContinuousCritic has hooks" in accelerate_(model, PLAIN)


def test_critics_of_ones_own():
    model = SAC(OwnPolicy, "Pendulum-v1", device="cpu")
    assert "OwnCritic has a forward() of its own" in accelerate_(model, PLAIN)


@pytest.mark.parametrize("frozen", [(True, True), (True, False), (False, True)])
def test_frozen_parameters_stay_frozen(frozen):
    """From the beginning, in the middle, and those that SB3 has trained without."""
    models = []
    for fast in (False, True):
        model = make_model("SAC", learning_starts=20)
        weight = model.actor.latent_pi[0].weight
        weight.requires_grad_(not frozen[0])
        model.learn(60)
        if fast:
            accelerate_(model, PLAIN)
        weight.requires_grad_(not frozen[1])
        model.learn(60, reset_num_timesteps=False)
        models.append(model)
    first, second = (everything(model) for model in models)
    assert all(torch.equal(value, second[key]) for key, value in first.items())


@pytest.mark.parametrize(
    "change",
    [
        lambda model: setattr(model, "gamma", 0.5),
        lambda model: setattr(model, "tau", 0.1),
        lambda model: model.ent_coef_tensor.fill_(0.5),
        lambda model: setattr(model, "ent_coef_tensor", torch.tensor(0.5)),
    ],
)
def test_numbers_may_be_changed_between_updates(change):
    models = []
    for fast in (False, True):
        model = make_model("SAC", learning_starts=20, ent_coef=0.1)
        if fast:
            accelerate_(model, PLAIN)
        model.learn(60)
        change(model)
        model.learn(60, reset_num_timesteps=False)
        models.append(model)
    assert is_fast(models[1])
    first, second = (everything(model) for model in models)
    assert all(torch.equal(value, second[key]) for key, value in first.items())


def test_twice_is_as_once(tmp_path):
    model = make_model("SAC", learning_starts=20)
    for _ in range(2):
        assert accelerate_(model, PLAIN).startswith("training=fast")
        model.learn(40)
    model.save(tmp_path / "plain.zip")
    assert type(SAC.load(tmp_path / "plain.zip")) is SAC


@pytest.mark.parametrize("name", ["SAC", "TD3", "DDPG", "DQN"])
def test_whole_training_is_bit_equal(name):
    models = []
    for fast in (False, True):
        # Making a model seeds the generators that all models share.
        model = make_model(name, learning_starts=20)
        if fast:
            assert accelerate_(model, PLAIN).startswith("training=fast")
        model.learn(120)
        models.append(model)
    first, second = (everything(model) for model in models)
    assert models[0]._n_updates == models[1]._n_updates > 20
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


def test_it_is_saved_as_what_it_was(tmp_path):
    model = make_model("SAC")
    accelerate_(model, PLAIN)
    assert isinstance(model, SAC)
    model.learn(60)
    model.save(tmp_path / "plain.zip")
    (tmp_path / "ours.zip").write_bytes(checkpoint.save(model))
    for loaded in (SAC.load(tmp_path / "plain.zip"), checkpoint.load(tmp_path / "ours.zip")):
        assert type(loaded) is SAC and not is_fast(loaded)
        for key, value in model.policy.state_dict().items():
            assert torch.equal(value, loaded.policy.state_dict()[key])
    again = SAC.load(tmp_path / "plain.zip", env=model.get_env())
    again.set_parameters(copy.deepcopy(model.get_parameters()))
    again.learn(30)


def test_gradients_for_criteria():
    model = make_model("SAC")
    accelerate_(model, PLAIN)
    model.learn(40)
    assert all(p.grad is not None and p.grad.any() for p in model.actor.latent_pi.parameters())
