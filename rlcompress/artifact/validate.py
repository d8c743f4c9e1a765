"""Whether a policy may be run: every index, shape, scale and count of it, from a file or not.

Owns the observation, the action, golden data and what holds for all ops together;
``validate_ops.py`` owns the single op. Every objection is a one-line ValueError.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from rlcompress.artifact.checks import (
    SCALE_RANGE,
    check_array,
    check_finite,
    check_integers,
    check_number,
    check_scale,
    check_within,
    is_integer,
    product,
    require,
)
from rlcompress.artifact.records import Action, BinaryDense, Golden, Linear, Observation, PolicyData
from rlcompress.artifact.shapes import TOTAL_WEIGHT_LIMIT, check_size
from rlcompress.artifact.validate_ops import check_op

_START_LIMIT = 2**31


def check_policy(policy: PolicyData) -> None:
    """Raise ValueError unless every consumer can run ``policy``."""
    with _naming("observation"):
        check_observation(policy.observation)
    _check_ops(policy)
    with _naming("action"):
        check_action(policy.action, policy.values[-1].size)
    if policy.golden is not None:
        with _naming("golden data"):
            check_golden(policy.golden, policy)
    meta_bytes(policy.meta)


def _check_ops(policy: PolicyData) -> None:
    require(
        isinstance(policy.ops, tuple) and policy.ops,
        "a policy must have a tuple of at least one op",
    )
    values, names, weights = [policy.observation.value], set(), 0
    for index, op in enumerate(policy.ops):
        name = getattr(op, "name", None)
        with _naming(f"op {index} {name!r:.60} ({type(op).__name__})"):
            check_op(op, values)
            require(name not in names, "its name must differ from those before it")
        names.add(name)
        values.append(op.output)
        weights += op.weight.size if isinstance(op, Linear | BinaryDense) else 0
    require(
        weights <= TOTAL_WEIGHT_LIMIT,
        f"a policy must have at most {TOTAL_WEIGHT_LIMIT} weights, got {weights}",
    )
    last = values[-1]
    require(
        last.kind == "float" and len(last.shape) == 1,
        f"the last op's output must be float with one axis, got {last.kind} of shape {last.shape}",
    )


def check_observation(observation: Observation) -> None:
    """Raise ValueError unless ``observation`` is well formed."""
    require(
        isinstance(observation, Observation), f"must be an Observation, got {observation!r:.40}"
    )
    check_integers("shape", observation.shape, low=1)
    require(observation.shape, "shape must have at least one axis, got ()")
    check_size("shape", observation.shape)
    for name in ("image", "channels_first"):
        flag = getattr(observation, name)
        require(isinstance(flag, bool), f"{name} must be a bool, got {flag!r:.40}")
    axes = len(observation.shape)
    require(
        axes == 3 or not (observation.image or observation.channels_first),
        f"images and channels_first need a shape of three axes, got {observation.shape}",
    )
    check_scale("scale", observation.scale)
    check_number("clip", observation.clip, *SCALE_RANGE)
    if not observation.image:
        require(
            observation.scale == 1.0,
            f"scale must be 1.0 unless it is an image, got {observation.scale}",
        )
    _check_normalisation(observation)


def _check_normalisation(observation: Observation) -> None:
    mean, inv_std = observation.mean, observation.inv_std
    require((mean is None) == (inv_std is None), "mean and inv_std must be given together")
    if mean is None or inv_std is None:
        return
    require(not observation.image, "images cannot be normalised: leave mean and inv_std out")
    check_array("mean", mean, "float32", observation.shape)
    check_array("inv_std", inv_std, "float32", observation.shape)
    check_finite("mean", mean)
    check_within("inv_std", inv_std, *SCALE_RANGE)


def check_action(action: Action, outputs: int) -> None:
    """Raise ValueError unless ``action`` is well formed and takes ``outputs`` numbers."""
    require(isinstance(action, Action), f"must be an Action, got {action!r:.40}")
    check_integers("shape", action.shape, low=1)
    check_size("shape", action.shape)
    for name in ("quantiles", "start"):
        value = getattr(action, name)
        require(is_integer(value), f"{name} must be an integer, got {value!r:.40}")
    if action.kind == "argmax":
        _check_argmax(action, outputs)
        return
    if action.kind == "count":
        _check_count(action, outputs)
        return
    require(
        action.kind in ("squash", "clip"),
        f"kind must be squash, clip, argmax or count, got {action.kind!r:.40}",
    )
    require(
        product(action.shape) == outputs,
        f"shape must have {outputs} elements, one per output, got {action.shape}",
    )
    require(
        action.quantiles == 1 and action.start == 0,
        f"quantiles and start belong to argmax, got {action.quantiles} and {action.start}",
    )
    _check_bounds(action, outputs)


def _check_argmax(action: Action, outputs: int) -> None:
    require(tuple(action.shape) == (), f"shape of argmax must be (), got {action.shape}")
    require(action.low is None and action.high is None, "argmax must have no low and high")
    require(
        action.quantiles >= 1 and outputs % action.quantiles == 0,
        f"quantiles must divide the {outputs} outputs, got {action.quantiles}",
    )
    require(
        abs(action.start) <= _START_LIMIT,
        f"start must lie in +-{_START_LIMIT}, got {action.start}",
    )


def _check_count(action: Action, outputs: int) -> None:
    require(action.quantiles == 1, f"quantiles belong to argmax, got {action.quantiles}")
    require(
        abs(action.start) <= _START_LIMIT,
        f"start must lie in +-{_START_LIMIT}, got {action.start}",
    )
    if action.low is None and action.high is None:
        require(tuple(action.shape) == (), f"shape of integers must be (), got {action.shape}")
        return
    size = product(action.shape)
    require(
        outputs % size == 0,
        f"shape {action.shape} must divide the {outputs} outputs into elements of equal levels",
    )
    require(action.start == 0, f"start belongs to integers, got {action.start}")
    _check_bounds(action, size)


def _check_bounds(action: Action, outputs: int) -> None:
    low, high = action.low, action.high
    for name, bound in (("low", low), ("high", high)):
        check_array(name, bound, "float32", (outputs,))
        assert bound is not None
        if action.kind in ("squash", "count"):
            check_within(name, bound, -SCALE_RANGE[1], SCALE_RANGE[1])
        else:
            require(not np.isnan(bound).any(), f"{name} must not hold NaN")
    assert low is not None and high is not None
    wrong = np.flatnonzero(low > high)
    if wrong.size:
        index = int(wrong[0])
        raise ValueError(
            f"low must not be above high, low[{index}] is {low[index]} and high[{index}] is "
            f"{high[index]}"
        )


def check_golden(golden: Golden, policy: PolicyData) -> None:
    """Raise ValueError unless golden data have the shapes and types of ``policy``'s."""
    require(isinstance(golden, Golden), f"must be a Golden, got {golden!r:.40}")
    observation, action = policy.observation, policy.action
    outputs = policy.values[-1].size
    count = len(golden.outputs) if getattr(golden.outputs, "ndim", 0) else 0
    require(count >= 1, "must hold at least one observation with its output")
    kind = "uint8" if observation.image else "float32"
    check_array("observations", golden.observations, kind, (count, *observation.shape))
    check_array("outputs", golden.outputs, "float32", (count, outputs))
    if not observation.image:
        check_finite("observations", golden.observations)
    check_finite("outputs", golden.outputs)
    if action.discrete:
        choices = outputs // action.quantiles + (action.kind == "count")
        check_array("actions", golden.actions, "int64", (count,))
        check_within("actions", golden.actions, action.start, action.start + choices - 1)
    else:
        check_array("actions", golden.actions, "float32", (count, *action.shape))
        check_finite("actions", golden.actions)


def meta_bytes(meta: Mapping[str, Any]) -> bytes:
    """``meta`` as JSON; empty for no meta at all."""
    require(isinstance(meta, Mapping), f"meta must be a mapping, got {type(meta).__name__}")
    require(all(isinstance(key, str) for key in meta), "meta must have strings as keys")
    try:
        text = json.dumps(dict(meta), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"meta must be what JSON can hold ({error})") from None
    return text.encode() if meta else b""


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """Say in every ValueError what was being checked."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
