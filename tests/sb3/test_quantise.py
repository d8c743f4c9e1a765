"""Quantisation after training, and the observations that it calibrates on."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from rlcompress.quantization import state
from rlcompress.sb3.actors import actor_of
from rlcompress.sb3.observations import (
    as_prepared,
    as_seen,
    from_replay,
    from_rollout,
    image_scale,
)
from rlcompress.sb3.quantise import check, quantise_after_training_
from rlcompress.spec import QuantSpec
from tests.sb3.models import ALGORITHMS, make_model
from tests.sb3.odd_envs import IMAGE, OddEnv


def image_model(**policy_kwargs: Any) -> Any:
    kwargs = {"features_extractor_kwargs": {"features_dim": 8}, **policy_kwargs}
    return make_model("DQN", OddEnv(IMAGE), "CnnPolicy", buffer_size=40, policy_kwargs=kwargs)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_calibrates_on_what_the_model_saw(name: str) -> None:
    model = make_model(name)
    model.learn(64)
    quantise_after_training_(model, QuantSpec())
    root = actor_of(model).root
    assert state.spec_of(root) == QuantSpec()
    assert all(q.grid.scale > 0 for q in state.quantizers_of(root).values())


def test_calibrates_on_given_observations() -> None:
    scales = []
    for size in (1.0, 10.0):
        model = make_model("SAC")
        raw = size * np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
        quantise_after_training_(model, QuantSpec(), raw)
        quantizers = state.quantizers_of(actor_of(model).root)
        scales.append(quantizers["latent_pi.1"].grid.scale)
    assert 5.0 < scales[1] / scales[0] < 15.0


def test_needs_observations() -> None:
    with pytest.raises(ValueError, match="no recorded observations"):
        quantise_after_training_(make_model("SAC"), QuantSpec())


def test_check_changes_nothing() -> None:
    model = make_model("SAC")
    check(model, QuantSpec())
    assert not state.is_prepared(actor_of(model).root)
    with pytest.raises(ValueError, match="nearest are"):
        check(model, QuantSpec(skip=("pi",)))


def test_scale_of_pixels() -> None:
    assert image_scale(make_model("SAC")) is None
    assert image_scale(image_model()) == 1 / 255
    assert image_scale(image_model(normalize_images=False)) == 1.0


def test_images_are_prepared_as_sb3_does() -> None:
    model = image_model()
    raw = np.random.default_rng(0).integers(0, 256, (3, *IMAGE.shape), np.uint8)
    seen = as_seen(model, raw)
    assert seen.shape == (3, 3, 40, 48)
    expected = torch.as_tensor(raw.transpose(0, 3, 1, 2)).float() / 255
    assert torch.equal(as_prepared(model, seen), expected)
    assert np.array_equal(as_seen(model, seen), seen)


def test_replay_observations_are_those_of_training() -> None:
    env = VecNormalize(DummyVecEnv([lambda: gym.make("Pendulum-v1")]))
    model = make_model("SAC", env)
    assert from_replay(model, 10) is None
    model.learn(50)
    raw, seen = from_replay(model, 200, normalised=False), from_replay(model, 200)
    assert raw is not None and seen is not None
    stored = model.replay_buffer.observations[:50, 0]
    assert all((row == stored).all(axis=1).any() for row in raw)
    assert np.allclose(seen, env.normalize_obs(raw))
    again = from_replay(model, 200)
    assert again is not None and np.array_equal(seen, again)


def test_rollout_observations_are_those_of_the_policy() -> None:
    model = make_model("PPO", n_steps=32)
    assert from_rollout(model, 10) is None
    model.learn(32)
    seen = from_rollout(model, 10)
    assert seen is not None and seen.shape == (10, 3)
    stored = model.rollout_buffer.observations.reshape(-1, 3)
    assert all((row == stored).all(axis=1).any() for row in seen)
    assert from_replay(model, 10) is None


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"\(3,\).*got shape \(4, 5\)"):
        as_seen(make_model("SAC"), np.zeros((4, 5)))
    with pytest.raises(ValueError, match="channels last"):
        as_seen(image_model(), np.zeros((4, 9, 9, 3), np.uint8))


def test_boxes_of_bytes_that_are_no_images() -> None:
    model = make_model("DQN", OddEnv(spaces.Box(0, 255, (7,), np.uint8)))
    assert image_scale(model) is None
    prepared = as_prepared(model, np.full((2, 7), 200, np.uint8))
    assert torch.equal(prepared, torch.full((2, 7), 200.0))
