"""Observations on their way from an environment or a buffer to an SB3 model's first layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer, RolloutBuffer
from stable_baselines3.common.preprocessing import is_image_space, preprocess_obs
from stable_baselines3.common.vec_env import VecNormalize

IMAGE_SAMPLES = 128
VECTOR_SAMPLES = 2048


def image_scale(model: BaseAlgorithm) -> float | None:
    """What one step of a pixel is to the first layer: 1/255 or 1; None for vectors."""
    if not is_image_space(model.observation_space):
        return None
    return 1.0 / 255.0 if model.policy.normalize_images else 1.0


def sample_size(model: BaseAlgorithm) -> int:
    """How many observations represent what ``model`` sees."""
    return VECTOR_SAMPLES if image_scale(model) is None else IMAGE_SAMPLES


def as_prepared(model: BaseAlgorithm, seen: NDArray[Any]) -> torch.Tensor:
    """A batch as the features extractor reads it, from one in the form that the policy is given."""
    batch = torch.as_tensor(seen, device=model.device)
    prepared = preprocess_obs(
        batch, model.observation_space, normalize_images=model.policy.normalize_images
    )
    assert isinstance(prepared, torch.Tensor), "only Box observations are supported"
    return prepared


def as_seen(
    model: BaseAlgorithm, raw: NDArray[Any], vec_normalize: VecNormalize | None = None
) -> NDArray[Any]:
    """A batch in the form that the policy is given, from the environment's own.

    Statistics of ``vec_normalize`` are applied; images are moved to (channels, height, width).
    """
    expected = model.observation_space.shape
    assert expected is not None, "only Box observations are supported"
    if vec_normalize is not None:
        normalised = vec_normalize.normalize_obs(raw)
        assert isinstance(normalised, np.ndarray)
        raw = normalised
    if raw.shape[1:] != expected and is_image_space(model.observation_space):
        raw = raw.transpose(0, 3, 1, 2)
    if raw.shape[1:] != expected:
        raise ValueError(
            f"observations must be a batch of the model's {expected} (or of images with their "
            f"channels last), got shape {raw.shape}"
        )
    return raw


def from_replay(
    model: BaseAlgorithm, count: int, *, normalised: bool = True
) -> NDArray[Any] | None:
    """Observations that an off-policy model has stored, in the form that the policy is given.

    They are drawn with a fixed seed; the random state of the running training is left alone. With
    ``normalised`` False no statistics of a VecNormalize are applied. None where there are none.
    """
    buffer = getattr(model, "replay_buffer", None)
    if not isinstance(buffer, ReplayBuffer) or buffer.size() == 0:
        return None
    state = np.random.get_state()
    np.random.seed(0)
    try:
        batch = buffer.sample(count, env=model.get_vec_normalize_env() if normalised else None)
    finally:
        np.random.set_state(state)
    found: NDArray[Any] = batch.observations.cpu().numpy()
    return found


def from_rollout(model: BaseAlgorithm, count: int) -> NDArray[Any] | None:
    """Observations of an on-policy model's last rollout, evenly spread, as the policy saw them."""
    buffer = getattr(model, "rollout_buffer", None)
    if not isinstance(buffer, RolloutBuffer) or not buffer.full:
        return None
    rows = buffer.observations.reshape(-1, *buffer.obs_shape)
    chosen = np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)
    found: NDArray[Any] = rows[chosen]
    return found
