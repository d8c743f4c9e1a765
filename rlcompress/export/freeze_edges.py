"""How an SB3 model meets its environment: observation and action records, golden observations."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecNormalize, VecTransposeImage, unwrap_vec_wrapper

from rlcompress.artifact import Action, Observation
from rlcompress.sb3.actors import Actor
from rlcompress.sb3.observations import from_replay, from_rollout, image_scale

GOLDEN_VECTORS = 16
GOLDEN_IMAGES = 8
_LARGEST_SAMPLE = 10.0


def observation_record(
    model: BaseAlgorithm, given: NDArray[Any] | None, vec_normalize: VecNormalize | None
) -> Observation:
    """What the environment hands over, in the environment's own layout.

    Images are (height, width, channels) where ``given`` observations are, or else where the model's
    environment is wrapped to transpose them, or where there is no environment to ask.
    """
    shape = model.observation_space.shape
    assert shape is not None, "actor_of refuses other spaces than Box"
    scale = image_scale(model)
    if scale is None:
        fields: dict[str, Any] = {"shape": shape, "channels_first": len(shape) == 3}
        if vec_normalize is not None and vec_normalize.norm_obs:
            fields |= _normalisation(vec_normalize)
        return Observation(**fields)
    if vec_normalize is not None and vec_normalize.norm_obs:
        raise ValueError("images normalised by VecNormalize are unsupported; use norm_obs=False")
    last = (*shape[1:], shape[0])
    channels_first = _is_channels_first(model, given)
    return Observation(
        shape=shape if channels_first else last,
        image=True,
        channels_first=channels_first,
        scale=float(np.float32(scale)),
    )


def _normalisation(vec_normalize: VecNormalize) -> dict[str, Any]:
    statistics: Any = vec_normalize.obs_rms
    variance = np.asarray(statistics.var, np.float64)
    return {
        "mean": np.asarray(statistics.mean, np.float32),
        "inv_std": np.float32(1.0 / np.sqrt(variance + vec_normalize.epsilon)),
        "clip": float(vec_normalize.clip_obs),
    }


def _is_channels_first(model: BaseAlgorithm, given: NDArray[Any] | None) -> bool:
    if given is not None:
        return given.shape[1:] == model.observation_space.shape
    env = model.get_env()
    return env is not None and unwrap_vec_wrapper(env, VecTransposeImage) is None


def action_record(model: BaseAlgorithm, actor: Actor) -> Action:
    """How the actor's raw output becomes the action that the model's ``predict`` gives."""
    space = model.action_space
    if isinstance(space, spaces.Discrete):
        # SB3 counts actions from 0 wherever the space starts, in training and in predict.
        return Action("argmax", quantiles=actor.quantiles)
    assert isinstance(space, spaces.Box), "actor_of refuses other spaces"
    low, high = (np.float32(bound).reshape(-1) for bound in (space.low, space.high))
    return Action(actor.head, space.shape, low, high)


def golden_observations(
    model: BaseAlgorithm,
    record: Observation,
    given: NDArray[Any] | None,
    vec_normalize: VecNormalize | None,
) -> NDArray[Any]:
    """A few observations as the environment gives them: of ``given``, else of what the model saw.

    A model that has seen nothing gets seeded samples of its observation space.
    """
    count = GOLDEN_IMAGES if record.image else GOLDEN_VECTORS
    if given is None:
        given = _recorded(model, count, vec_normalize)
        if record.image and not record.channels_first:
            given = given.transpose(0, 2, 3, 1)
    chosen = np.linspace(0, len(given) - 1, min(count, len(given))).round().astype(int)
    return np.ascontiguousarray(given[chosen])


def _recorded(model: BaseAlgorithm, count: int, vec_normalize: VecNormalize | None) -> NDArray[Any]:
    found = from_replay(model, count, normalised=False)
    if found is not None:
        return found
    found = from_rollout(model, count)
    if found is None:
        return _sampled(model.observation_space, count)
    if vec_normalize is not None:
        raw = vec_normalize.unnormalize_obs(found)
        assert isinstance(raw, np.ndarray)
        return raw
    return found


def _sampled(space: spaces.Space[Any], count: int) -> NDArray[Any]:
    space = copy.deepcopy(space)
    space.seed(0)
    rows = np.stack([space.sample() for _ in range(count)])
    if rows.dtype == np.uint8:
        return rows
    # Bounds may be as large as float32 allows.
    return np.clip(rows.astype(np.float32), -_LARGEST_SAMPLE, _LARGEST_SAMPLE)
