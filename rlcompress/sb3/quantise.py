"""Quantises the actor of an SB3 model; during training that is done by ``qat_callback``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecNormalize

from rlcompress.quantization.prepare import calibrate_, check_quantisable, prepare_
from rlcompress.sb3.actors import actor_of
from rlcompress.sb3.observations import (
    as_prepared,
    as_seen,
    from_replay,
    from_rollout,
    image_scale,
    sample_size,
)
from rlcompress.spec import QuantSpec


def check(model: BaseAlgorithm, spec: QuantSpec) -> None:
    """Raise ValueError where ``model`` cannot be quantised as asked; change nothing."""
    check_quantisable(actor_of(model), spec, _example(model), image_scale=image_scale(model))


def make_quantised_(model: BaseAlgorithm, spec: QuantSpec) -> None:
    """Swap the modules of the actor and its target; activations have no range yet."""
    prepare_(actor_of(model), spec, _example(model), image_scale=image_scale(model))


def calibrate_on_(model: BaseAlgorithm, seen: NDArray[Any]) -> None:
    """Set the ranges from observations in the form that the policy is given."""
    calibrate_(actor_of(model), as_prepared(model, seen))


def quantise_after_training_(
    model: BaseAlgorithm,
    spec: QuantSpec,
    observations: NDArray[Any] | None = None,
    *,
    vec_normalize: VecNormalize | None = None,
) -> None:
    """Quantise a trained model without training it further.

    Ranges come from ``observations`` (a batch as the environment gives them), or, where they are
    None, from the model's replay or rollout buffer.

    Raises:
        ValueError: where the model cannot be quantised as asked, or there are no observations.
    """
    if observations is not None:
        normalise = vec_normalize or model.get_vec_normalize_env()
        seen: NDArray[Any] | None = as_seen(model, observations, normalise)
    else:
        count = sample_size(model)
        seen = from_replay(model, count)
        seen = from_rollout(model, count) if seen is None else seen
    if seen is None:
        raise ValueError("the model has no recorded observations to calibrate on; pass some")
    make_quantised_(model, spec)
    calibrate_on_(model, seen)


def _example(model: BaseAlgorithm) -> Any:
    space = model.observation_space
    return as_prepared(model, np.zeros((1, *(space.shape or ())), space.dtype))
