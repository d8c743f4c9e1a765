"""The table finds, for every algorithm, exactly what deterministic inference runs."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, MlpExtractor
from stable_baselines3.common.utils import polyak_update
from stable_baselines3.sac.policies import Actor as SacActor
from stable_baselines3.sac.policies import SACPolicy
from torch import nn

from rlcompress.sb3.actors import actor_of
from tests.sb3.models import ALGORITHMS, make_model

LAYERS = {
    "SAC": ["latent_pi.0", "latent_pi.2", "mu"],
    "TQC": ["latent_pi.0", "latent_pi.2", "mu"],
    "TD3": ["mu.0", "mu.2", "mu.4"],
    "DDPG": ["mu.0", "mu.2", "mu.4"],
    "DQN": ["q_net.0", "q_net.2", "q_net.4"],
    "QRDQN": ["quantile_net.0", "quantile_net.2", "quantile_net.4"],
    "PPO": ["mlp_extractor.policy_net.0", "mlp_extractor.policy_net.2", "action_net"],
    "A2C": ["mlp_extractor.policy_net.0", "mlp_extractor.policy_net.2", "action_net"],
    "TRPO": ["mlp_extractor.policy_net.0", "mlp_extractor.policy_net.2", "action_net"],
}
TWINS = {"TD3", "DDPG", "DQN", "QRDQN"}


class Imagined(gym.Env):
    """An environment of given spaces that nobody steps."""

    def __init__(self, observation_space: spaces.Space, action_space: spaces.Space) -> None:
        self.observation_space = observation_space
        self.action_space = action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        raise AssertionError("not meant to be stepped")


BOX = spaces.Box(-1.0, 1.0, (3,))
LOPSIDED = spaces.Box(np.array([-1.0, 2.0]), np.array([3.0, 2.5]), dtype=np.float32)
IMAGE = spaces.Box(0, 255, (36, 36, 1), np.uint8)


def act(model, raw: torch.Tensor) -> np.ndarray:
    """What an actor's raw output means, written once more from the description of heads."""
    actor = actor_of(model)
    if actor.head == "argmax":
        return raw.view(len(raw), actor.quantiles, -1).mean(1).argmax(1).numpy()
    if actor.head == "squash":
        return model.policy.unscale_action(raw.tanh().numpy())
    return np.clip(raw.numpy(), model.action_space.low, model.action_space.high)


def assert_predicts_as(model, observations: np.ndarray) -> None:
    prepared, _ = model.policy.obs_to_tensor(observations)
    if prepared.dtype == torch.uint8:
        prepared = prepared.float() / 255.0
    with torch.no_grad():
        raw = actor_of(model).forward(prepared)
    expected, _ = model.predict(observations, deterministic=True)
    np.testing.assert_allclose(act(model, raw), expected, rtol=1e-6, atol=1e-6)


def observations_of(model, count: int = 16) -> np.ndarray:
    model.observation_space.seed(1)
    return np.stack([model.observation_space.sample() for _ in range(count)])


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_actor_is_what_predict_runs(name):
    model = make_model(name)
    actor = actor_of(model)
    assert actor.algorithm == name
    assert list(actor.layers) == LAYERS[name]
    assert all(actor.root.get_submodule(path) is layer for path, layer in actor.layers.items())
    assert actor.quantiles == (5 if name == "QRDQN" else 1)
    assert_predicts_as(model, observations_of(model))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_optimizer_trains_the_layers_and_what_is_unused(name):
    actor = actor_of(make_model(name))
    trained = {id(p) for group in actor.optimizer.param_groups for p in group["params"]}
    for layer in (*actor.layers.values(), *actor.unused.values()):
        assert id(layer.weight) in trained
    assert list(actor.unused) == (["log_std"] if name in {"SAC", "TQC"} else [])


@pytest.mark.parametrize("name", ALGORITHMS)
def test_twins_are_target_networks_of_the_same_layout(name):
    actor = actor_of(make_model(name))
    if name not in TWINS:
        assert actor.twin is None
        with pytest.raises(ValueError, match=f"{name} has no target network"):
            actor.twin_forward(torch.zeros(1, 3))
        return
    assert actor.twin is not None
    with torch.no_grad():
        prepared = torch.rand(2, next(iter(actor.layers.values())).in_features)
        for layer in actor.layers.values():
            layer.weight.add_(0.1)
        assert not torch.equal(actor.forward(prepared), actor.twin_forward(prepared))
        polyak_update(actor.root.parameters(), actor.twin.parameters(), 1.0)
        assert torch.equal(actor.forward(prepared), actor.twin_forward(prepared))


def test_gsde_heads():
    sac = make_model("SAC", use_sde=True)
    assert list(actor_of(sac).layers) == ["latent_pi.0", "latent_pi.2", "mu.0"]
    assert actor_of(sac).unused == {}
    with torch.no_grad():
        sac.actor.mu[0].bias.fill_(5.0)
        # Hardtanh belongs to the network, not to the head.
        assert actor_of(sac).forward(torch.zeros(1, 3)).item() == 2.0
    assert_predicts_as(sac, observations_of(sac))
    for squash, head in ((True, "squash"), (False, "clip")):
        ppo = make_model("PPO", use_sde=True, policy_kwargs={"squash_output": squash})
        assert actor_of(ppo).head == head
        assert_predicts_as(ppo, observations_of(ppo))


def test_heads_respect_a_lopsided_action_space():
    env = Imagined(BOX, LOPSIDED)
    for name in ("SAC", "TD3", "PPO"):
        model = make_model(name, env)
        with torch.no_grad():
            for parameter in model.policy.parameters():
                parameter.mul_(3.0)
        assert_predicts_as(model, observations_of(model))


@pytest.mark.parametrize("name", ["DQN", "PPO", "SAC"])
@pytest.mark.parametrize("shared", [True, False])
def test_images(name, shared):
    actions = spaces.Box(-1.0, 1.0, (2,)) if name == "SAC" else spaces.Discrete(3)
    changes = {} if name == "DQN" else {"policy_kwargs": {"share_features_extractor": shared}}
    model = make_model(name, Imagined(IMAGE, actions), "CnnPolicy", **changes)
    layers = list(actor_of(model).layers)
    assert layers[:4] == [
        f"features_extractor.{part}" for part in ("cnn.0", "cnn.2", "cnn.4", "linear.0")
    ]
    assert isinstance(actor_of(model).layers["features_extractor.cnn.0"], nn.Conv2d)
    assert_predicts_as(model, observations_of(model, 2))


class Doubling(BaseFeaturesExtractor):
    """A custom extractor with a layer of its own."""

    def __init__(self, observation_space):
        super().__init__(observation_space, 2)
        self.first = nn.Linear(3, 2)

    def forward(self, observations):
        return 2.0 * self.first(observations)


def test_custom_extractors_and_subclasses_of_algorithms():
    class MySAC(SAC):
        pass

    kwargs = {"features_extractor_class": Doubling, "net_arch": [4]}
    model = MySAC("MlpPolicy", "Pendulum-v1", policy_kwargs=kwargs, buffer_size=10)
    assert actor_of(model).algorithm == "SAC"
    assert list(actor_of(model).layers) == ["features_extractor.first", "latent_pi.0", "mu"]
    assert_predicts_as(model, observations_of(model))


def test_swapped_modules_are_found_again():
    class Shifted(nn.Linear):
        def forward(self, value):
            return super().forward(value) + 1.0

    model = make_model("PPO")
    old = actor_of(model)
    before = old.forward(torch.zeros(1, 3))
    swapped = Shifted(16, 1)
    swapped.load_state_dict(model.policy.action_net.state_dict())
    model.policy.action_net = swapped
    assert actor_of(model).layers["action_net"] is swapped
    assert actor_of(model).forward(torch.zeros(1, 3)).item() == pytest.approx(before.item() + 1.0)


class OtherActor(SacActor):
    def get_action_dist_params(self, obs):
        mean, log_std, kwargs = super().get_action_dist_params(obs)
        return mean + 1.0, log_std, kwargs


class OtherSACPolicy(SACPolicy):
    def make_actor(self, features_extractor=None):
        kwargs = self._update_features_extractor(self.actor_kwargs, features_extractor)
        return OtherActor(**kwargs).to(self.device)


class OtherExtractor(MlpExtractor):
    def forward_actor(self, features):
        return super().forward_actor(features) + 1.0


class OtherPPOPolicy(ActorCriticPolicy):
    def _build_mlp_extractor(self):
        self.mlp_extractor = OtherExtractor(self.features_dim, [4], nn.Tanh)


class NoExtractorPolicy(ActorCriticPolicy):
    def _build_mlp_extractor(self):
        self.mlp_extractor = nn.Identity()
        self.mlp_extractor.latent_dim_pi = self.mlp_extractor.latent_dim_vf = 3


def dict_env(action_space=None):
    return Imagined(spaces.Dict({"x": BOX}), action_space or spaces.Discrete(2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PPO("MultiInputPolicy", dict_env()), r"observation space Dict.*only Box works"),
        (
            lambda: PPO("MlpPolicy", Imagined(spaces.Discrete(4), spaces.Discrete(2))),
            r"observation space Discrete",
        ),
        (
            lambda: PPO("MlpPolicy", Imagined(BOX, spaces.MultiDiscrete([2, 3]))),
            r"action space MultiDiscrete: only Box and Discrete work",
        ),
        (
            lambda: PPO("MlpPolicy", Imagined(BOX, spaces.MultiBinary(3))),
            r"action space MultiBinary",
        ),
        (
            lambda: SAC(OtherSACPolicy, "Pendulum-v1", buffer_size=10),
            r"OtherActor overrides get_action_dist_params\(\); MlpPolicy and CnnPolicy work",
        ),
        (lambda: PPO(OtherPPOPolicy, "CartPole-v1"), r"OtherExtractor overrides forward_actor"),
        (
            lambda: PPO(NoExtractorPolicy, Imagined(BOX, spaces.Discrete(2))),
            r"no module 'mlp_extractor.policy_net'",
        ),
        (
            lambda: DQN("MlpPolicy", "CartPole-v1", _init_setup_model=False, buffer_size=10),
            r"DQN has no policy yet",
        ),
    ],
)
def test_what_is_unsupported_is_refused_and_says_what_works(make, message):
    with pytest.raises(ValueError, match=message):
        actor_of(make())


@pytest.mark.parametrize(
    ("name", "policy", "env", "hint"),
    [
        ("RecurrentPPO", "MlpLstmPolicy", "CartPole-v1", r"LSTM"),
        ("MaskablePPO", "MlpPolicy", "CartPole-v1", r"invalid-action masks"),
        ("CrossQ", "MlpPolicy", "Pendulum-v1", r"unsupported algorithm CrossQ"),
        ("ARS", "LinearPolicy", "CartPole-v1", r"unsupported algorithm ARS"),
    ],
)
def test_other_algorithms_are_refused_and_the_error_names_those_that_work(name, policy, env, hint):
    contrib = pytest.importorskip("sb3_contrib")
    with pytest.raises(ValueError, match=rf"{hint}.*these work: SAC, TD3.*QRDQN, TRPO"):
        actor_of(getattr(contrib, name)(policy, env))


def test_a_td3_actor_without_its_tanh_is_refused():
    model = make_model("TD3")
    model.actor.mu = model.actor.mu[:-1]
    with pytest.raises(ValueError, match=r"mu must end in nn\.Tanh"):
        actor_of(model)
