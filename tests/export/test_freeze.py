"""What freezing an SB3 model puts into the artifact, for every kind of edge and model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, PPO, SAC
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch import nn

from rlcompress.artifact import Activation, Add, CompressedPolicy, Conv, Dense, Flatten, MaxPool
from rlcompress.export.freeze import freeze
from rlcompress.export.freeze_parity import parity
from rlcompress.quantization import state
from rlcompress.runtime.reference import Reference
from rlcompress.sb3.actors import actor_of
from rlcompress.spec import QuantSpec
from tests.export.frozen_models import (
    image_model,
    observations_for,
    prune_,
    quantise_,
    vector_model,
)
from tests.sb3.models import make_model
from tests.sb3.odd_envs import OddEnv

AGENTS = Path(__file__).parents[3] / "shared" / "agents"


def deterministic(model: Any, raw: np.ndarray) -> np.ndarray:
    return np.asarray(model.predict(raw, deterministic=True)[0])


def names(policy: CompressedPolicy) -> list[str]:
    return [f"{type(op).__name__} {getattr(op, 'function', '')}".strip() for op in policy.ops]


def test_mlp_becomes_one_op_per_layer() -> None:
    model = vector_model("SAC")
    quantise_(model, QuantSpec())
    policy = freeze(model)
    assert names(policy) == ["Dense relu", "Dense relu", "Dense none"]
    assert [op.integer for op in policy.linears] == [False, True, True]
    assert [op.output.kind for op in policy.ops] == ["unsigned", "unsigned", "float"]
    assert policy.action.kind == "squash"


def test_integers_are_those_that_torch_computes_with() -> None:
    model = vector_model("SAC")
    spec = QuantSpec(dense="per_channel")
    quantise_(model, spec)
    policy = freeze(model, remove_dead=False)
    for op, (layer, how) in zip(
        policy.linears, state.layers_of(actor_of(model).root).values(), strict=True
    ):
        weight, bias = how.rounded(layer)
        scale = how.scale(layer)
        assert scale is not None and weight is not None
        assert np.array_equal(op.weight * scale.numpy()[:, None], weight.numpy())
        if op.integer:
            assert how.source is not None and bias is not None
            grid = (scale * how.source.grid.scale).numpy()
            assert np.array_equal(np.float32(op.bias) * grid, bias.numpy())
        else:
            assert np.array_equal(op.bias, layer.bias.detach().numpy())


def test_residual_network() -> None:
    model = image_model("IMPALA")
    quantise_(model, QuantSpec())
    policy = freeze(model, observations_for(model, 4), remove_dead=False)
    assert names(policy)[:6] == [
        "Conv none",
        "MaxPool",
        "Activation relu",
        "Conv relu",
        "Conv none",
        "Add",
    ]
    assert names(policy)[-4:] == ["Activation relu", "Flatten", "Dense relu", "Dense none"]
    assert policy.observation.scale == np.float32(1 / 255)
    assert {type(op) for op in policy.ops} == {Conv, MaxPool, Activation, Add, Flatten, Dense}
    assert all(op.integer for op in policy.linears)


def test_float_networks_are_frozen_as_they_are() -> None:
    model = image_model("NatureCNN")
    policy = freeze(model, observations_for(model, 4), remove_dead=False)
    first = policy.linears[0]
    assert all(op.weight.dtype == np.float32 for op in policy.linears)
    assert first.multiplier.item() == np.float32(1 / 255)
    layer = next(iter(actor_of(model).layers.values()))
    assert np.array_equal(first.weight, layer.weight.detach().numpy().transpose(0, 2, 3, 1))


@pytest.mark.parametrize("quant", [None, QuantSpec()])
@pytest.mark.parametrize("shape", [(36, 40, 3), (3, 36, 40)], ids=["last", "first"])
@pytest.mark.parametrize("given", [True, False], ids=["given", "asked"])
def test_images_keep_the_layout_of_their_environment(
    shape: tuple[int, ...], quant: QuantSpec | None, given: bool
) -> None:
    model = image_model("NatureCNN", space=spaces.Box(0, 255, shape, np.uint8))
    if quant is not None:
        quantise_(model, quant)
    raw = observations_for(model, 6)
    policy = freeze(model, raw if given else None)
    assert policy.observation.shape == shape
    assert policy.observation.channels_first == (shape[0] == 3)
    assert np.array_equal(Reference(policy)(raw), deterministic(model, raw))


def test_loaded_images_are_channels_last(tmp_path: Path) -> None:
    model = image_model("NatureCNN")
    model.save(tmp_path / "model.zip")
    loaded = type(model).load(tmp_path / "model.zip")
    policy = freeze(loaded)
    assert policy.observation.shape == (36, 40, 3)
    assert policy.golden is not None and policy.golden.observations.shape == (8, 36, 40, 3)


def test_pixels_that_are_not_divided() -> None:
    model = image_model("NatureCNN", normalize_images=False)
    model.policy.load_state_dict(
        {
            k: v / 255 if k.endswith("cnn.0.weight") else v
            for k, v in model.policy.state_dict().items()
        }
    )
    quantise_(model, QuantSpec())
    raw = observations_for(model, 8)
    policy = freeze(model, raw)
    assert policy.observation.scale == 1.0
    assert parity(model, policy, raw).holds


@pytest.mark.parametrize("quant", [None, QuantSpec(), QuantSpec(activation_bits=None)])
@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-1, 1, (4, 3), np.float64),
        spaces.Box(-1, 1, (2, 4, 3), np.float32),
        spaces.Box(0, 255, (7,), np.uint8),
        spaces.Box(0, 255, (36, 40, 3), np.uint8),
    ],
    ids=["matrix", "cube", "memory", "image"],
)
def test_odd_observations_of_an_mlp(space: spaces.Box, quant: QuantSpec | None) -> None:
    model = make_model("DQN", OddEnv(space, spaces.Discrete(3)), buffer_size=30)
    if quant is not None:
        quantise_(model, quant)
    raw = observations_for(model, 40)
    policy = freeze(model, raw)
    assert policy.observation.shape == space.shape
    assert parity(model, policy, raw).holds
    assert np.array_equal(Reference(policy)(raw), deterministic(model, raw))


class Spatial(gym.Env[Any, Any]):
    """Float images, which SB3 leaves in the environment's layout."""

    observation_space = spaces.Box(-1, 1, (2, 9, 8), np.float32)
    action_space = spaces.Box(-1, 1, (2,), np.float32)


class SpatialExtractor(nn.Sequential):
    def __init__(self, observation_space: spaces.Box) -> None:
        super().__init__(nn.Conv2d(2, 4, 3), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten())
        self.features_dim = 4 * 3 * 3


@pytest.mark.parametrize("quant", [None, QuantSpec()])
def test_float_images(quant: QuantSpec | None) -> None:
    model = make_model(
        "PPO", Spatial(), policy_kwargs={"features_extractor_class": SpatialExtractor}
    )
    if quant is not None:
        quantise_(model, quant)
    raw = observations_for(model, 40)
    policy = freeze(model, raw)
    assert policy.observation.channels_first and not policy.observation.image
    assert parity(model, policy, raw).holds


def normalised(algorithm: str, **arguments: Any) -> tuple[Any, VecNormalize]:
    env = VecNormalize(DummyVecEnv([lambda: gym.make("Pendulum-v1")]), clip_obs=1.5)
    model = make_model(algorithm, env, **arguments)
    model.learn(150)
    env.training = False
    return model, env


@pytest.mark.parametrize("algorithm", ["SAC", "PPO"])
@pytest.mark.parametrize("quant", [None, QuantSpec()])
def test_vec_normalize_becomes_part_of_the_policy(algorithm: str, quant: QuantSpec | None) -> None:
    model, env = normalised(algorithm)
    if quant is not None:
        quantise_(model, quant)
    raw = 3 * observations_for(model, 100)
    policy = freeze(model)
    assert policy.observation.clip == 1.5
    expected = deterministic(model, env.normalize_obs(raw))
    assert np.allclose(Reference(policy)(raw), expected, atol=2e-2 if quant else 1e-5)
    assert parity(model, policy, raw).holds
    assert policy.golden is not None
    spread = policy.golden.observations.std(axis=0)
    assert spread[2] > spread[0], "the angular velocity, raw, has the largest range"


def test_statistics_of_a_loaded_model_are_passed(tmp_path: Path) -> None:
    model, env = normalised("SAC")
    model.save(tmp_path / "model.zip")
    loaded = SAC.load(tmp_path / "model.zip")
    raw = observations_for(model, 20)
    with_statistics = freeze(loaded, raw, vec_normalize=env)
    assert np.array_equal(Reference(with_statistics)(raw), Reference(freeze(model, raw))(raw))
    assert freeze(loaded, raw).observation.mean is None


def test_rewards_alone_may_be_normalised() -> None:
    env = VecNormalize(DummyVecEnv([lambda: gym.make("Pendulum-v1")]), norm_obs=False)
    assert freeze(make_model("SAC", env)).observation.mean is None


def test_images_cannot_be_normalised() -> None:
    space = spaces.Box(0, 255, (36, 40, 3), np.uint8)
    env = VecNormalize(DummyVecEnv([lambda: OddEnv(space)]))
    model = image_model("NatureCNN")
    with pytest.raises(ValueError, match="norm_obs=False"):
        freeze(model, vec_normalize=env)


def test_actions_of_every_kind() -> None:
    actions = {
        name: freeze(vector_model(name)).action for name in ("SAC", "TD3", "PPO tanh", "QRDQN")
    }
    assert actions["SAC"].kind == actions["TD3"].kind == "squash"
    assert actions["SAC"].low is not None and actions["SAC"].low.tolist() == [-2.0]
    assert actions["PPO tanh"].kind == "clip"
    assert (actions["QRDQN"].kind, actions["QRDQN"].quantiles) == ("argmax", 5)


@pytest.mark.parametrize("squash", [True, False])
def test_on_policy_gsde_squashes_where_it_is_asked_to(squash: bool) -> None:
    model = make_model("PPO", use_sde=True, policy_kwargs={"squash_output": squash})
    policy = freeze(model)
    raw = observations_for(model, 30)
    assert policy.action.kind == ("squash" if squash else "clip")
    assert np.allclose(Reference(policy)(raw), deterministic(model, raw), atol=1e-5)


def test_action_of_several_axes() -> None:
    action = spaces.Box(np.float32(-2), np.float32(3), (2, 2))
    model = make_model("SAC", OddEnv(action_space=action))
    raw = observations_for(model, 10)
    ours, theirs = Reference(freeze(model))(raw), deterministic(model, raw)
    assert ours.shape == theirs.shape == (10, 2, 2)
    assert np.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("sparsity", [0.7, 0.97])
@pytest.mark.parametrize("build", [lambda: vector_model("SAC"), lambda: image_model("IMPALA")])
def test_removing_dead_units_changes_no_output(build: Callable[[], Any], sparsity: float) -> None:
    model = build()
    prune_(model, sparsity)
    quantise_(model, QuantSpec())
    raw = observations_for(model, 10)
    small, whole = (freeze(model, raw, remove_dead=flag) for flag in (True, False))
    assert np.array_equal(Reference(small).forward(raw), Reference(whole).forward(raw))
    assert sum(op.weight.size for op in small.linears) < sum(op.weight.size for op in whole.linears)
    assert small.meta["dense"] == whole.meta["dense"]


def test_counts_of_weights() -> None:
    model = vector_model("SAC")
    masks = {
        name: torch.rand(layer.weight.shape, generator=torch.Generator().manual_seed(4)) > 0.5
        for name, layer in actor_of(model).layers.items()
    }
    with torch.no_grad():
        for name, layer in actor_of(model).layers.items():
            layer.weight.mul_(masks[name])
    quantise_(model, QuantSpec(weight_bits=4))
    policy = freeze(model, masks=masks, remove_dead=False)
    kept = sum(int(mask.sum()) for mask in masks.values())
    stored = sum(int(np.count_nonzero(op.weight)) for op in policy.linears)
    assert policy.meta["dense"] == {"weights": 3 * 16 + 256 + 16, "kept": kept, "biases": 33}
    assert policy.meta["weights_kept"] == kept
    assert policy.meta["weights_rounded_to_zero"] == kept - stored > 0
    assert freeze(model).meta["weights_kept"] == kept, "without masks: what is not zero"


def test_masks_must_fit() -> None:
    with pytest.raises(ValueError, match=r"mask of 'mu'.*\(1, 16\)"):
        freeze(vector_model("SAC"), masks={"mu": torch.ones(2, 2)})


def test_meta_says_where_it_came_from() -> None:
    model = vector_model("SAC")
    quantise_(model, QuantSpec(skip=("mu",)))
    meta = dict(freeze(model, meta={"seed": 3, "env_id": "Mine-v0"}).meta)
    assert meta["algorithm"] == "SAC" and meta["seed"] == 3 and meta["env_id"] == "Mine-v0"
    assert meta["quantization"]["skip"] == ["mu"]
    assert json.loads(json.dumps(meta)) == meta
    assert freeze(vector_model("DQN")).meta["env_id"] == "CartPole-v1"
    assert freeze(vector_model("DQN")).meta["quantization"] is None


def test_golden_data_come_from_what_the_model_saw() -> None:
    model = vector_model("SAC")
    seen_nothing = freeze(model)
    assert seen_nothing.golden is not None
    assert seen_nothing.golden.observations.shape == (16, 3)
    model.learn(60)
    golden = freeze(model).golden
    assert golden is not None
    rows = model.replay_buffer.observations[:60, 0]
    assert all((row == rows).all(axis=1).any() for row in golden.observations)


def test_golden_data_of_few_observations() -> None:
    model = vector_model("SAC")
    raw = observations_for(model, 3)
    golden = freeze(model, raw).golden
    assert golden is not None and np.array_equal(golden.observations, raw)


def test_artifact_survives_the_file(tmp_path: Path) -> None:
    model = image_model("IMPALA")
    quantise_(model, QuantSpec())
    raw = observations_for(model, 6)
    policy = freeze(model, raw)
    policy.save(tmp_path / "actor.rlc")
    loaded = CompressedPolicy.load(tmp_path / "actor.rlc")
    assert loaded.meta == policy.meta
    assert loaded.golden is not None
    found = Reference(loaded).forward(loaded.golden.observations)
    assert np.array_equal(found, loaded.golden.outputs)


@pytest.mark.parametrize("quant", [None, QuantSpec()])
def test_the_model_is_left_as_it_was(quant: QuantSpec | None) -> None:
    model = vector_model("SAC")
    model.learn(30)
    if quant is not None:
        quantise_(model, quant)
    kinds = [type(module) for module in model.policy.modules()]
    before = {k: v.clone() for k, v in model.policy.state_dict().items()}
    ranges = state.state_dict(actor_of(model).root)
    np.random.seed(0)
    torch.manual_seed(0)
    freeze(model)
    drawn = np.random.random(), torch.rand(1).item()
    np.random.seed(0)
    torch.manual_seed(0)
    assert drawn == (np.random.random(), torch.rand(1).item())
    assert [type(module) for module in model.policy.modules()] == kinds
    assert state.state_dict(actor_of(model).root) == ranges
    assert all(torch.equal(v, before[k]) for k, v in model.policy.state_dict().items())


def test_freezing_twice_gives_the_same_bytes() -> None:
    model = vector_model("SAC")
    model.learn(30)
    quantise_(model, QuantSpec())
    assert freeze(model).to_bytes() == freeze(model).to_bytes()


@pytest.mark.parametrize("which", ["weight", "bias"])
def test_diverged_weights_are_refused(which: str) -> None:
    model = vector_model("SAC")
    with torch.no_grad():
        getattr(actor_of(model).layers["mu"], which).view(-1)[0] = float("nan")
    with pytest.raises(ValueError, match=rf"mu.{which} is not finite"):
        freeze(model)


def test_unsupported_modules_are_named() -> None:
    model = vector_model("SAC", policy_kwargs={"activation_fn": nn.SiLU})
    with pytest.raises(ValueError, match=r"SiLU at 'latent_pi.1'"):
        freeze(model)


def test_observations_of_another_shape_are_refused() -> None:
    model = vector_model("SAC")
    with pytest.raises(ValueError, match="shape"):
        freeze(model, np.zeros((4, 7), np.float32))
    with pytest.raises(ValueError, match=r"batch of the model's \(3,\)"):
        parity(model, freeze(model), np.zeros((4, 7), np.float32))


def test_modules_used_twice_freeze_in_float() -> None:
    class Shared(nn.Module):
        def __init__(self, observation_space: spaces.Box) -> None:
            super().__init__()
            self.features_dim, self.relu = 3, nn.ReLU()
            self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.relu(self.second(self.relu(self.first(x))))

    model = make_model("SAC", policy_kwargs={"features_extractor_class": Shared})
    raw = observations_for(model, 10)
    assert np.allclose(Reference(freeze(model))(raw), deterministic(model, raw), atol=1e-5)


OLD = {
    "learning_rate": 0.0,
    "lr_schedule": lambda _: 0.0,
    "clip_range": lambda _: 0.0,
    "exploration_schedule": lambda _: 0.0,
}


@pytest.mark.skipif(not AGENTS.exists(), reason="no trained agents here")
@pytest.mark.parametrize(
    ("file", "kind", "env_id"),
    [
        ("ppo-CartPole-v1.zip", PPO, "CartPole-v1"),
        ("ppo-Pendulum-v1.zip", PPO, "Pendulum-v1"),
        ("a2c-Pendulum-v1.zip", A2C, "Pendulum-v1"),
    ],
)
@pytest.mark.parametrize("quant", [None, QuantSpec(), QuantSpec(activation_bits=None)])
def test_agents_that_others_trained(
    file: str, kind: Any, env_id: str, quant: QuantSpec | None
) -> None:
    env = DummyVecEnv([lambda: gym.make(env_id)])
    custom = {**OLD, "observation_space": env.observation_space, "action_space": env.action_space}
    statistics = (AGENTS / file).with_name(f"{Path(file).stem}-vecnormalize.pkl")
    vec_env = VecNormalize(env, training=False)
    model = kind.load(AGENTS / file, env=env, custom_objects=custom, device="cpu")
    if statistics.exists():
        vec_env = VecNormalize.load(str(statistics), env)
    else:
        vec_env.norm_obs = False
    raw = observations_for(model, 200)
    if quant is not None:
        from rlcompress.sb3.quantise import quantise_after_training_

        quantise_after_training_(model, quant, raw, vec_normalize=vec_env)
    policy = freeze(model, raw, vec_normalize=vec_env)
    found = parity(model, policy, raw, vec_normalize=vec_env)
    assert found.violations == 0 and found.largest_output_difference < 1e-4, found


@pytest.mark.parametrize("start", [-1, 2])
def test_actions_are_those_of_predict_wherever_the_space_starts(start: int) -> None:
    """SB3 counts from 0 in training and in predict, so an artifact that replaces it has to."""
    env = OddEnv(spaces.Box(-1.0, 1.0, (3,), np.float32), spaces.Discrete(3, start=start))
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=8, seed=0, device="cpu")
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter.mul_(5.0)  # So that all actions occur.
    policy, raw = freeze(model), np.random.default_rng(0).uniform(-1, 1, (200, 3))
    expected = deterministic(model, np.float32(raw))
    assert set(expected) == {0, 1, 2}
    assert np.array_equal(Reference(policy)(np.float32(raw)), expected)
    assert parity(model, policy, np.float32(raw)).holds
